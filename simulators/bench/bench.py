"""The virtual bench: the instruments that a rig file names, behind one physics."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devices import Device, build_device
from simulators.bench.board import Board
from simulators.bench.faults import Fault, Faults, parse_fault
from simulators.bench.generator import Generator
from simulators.bench.modulator import Modulator
from simulators.bench.network_analyser import NetworkAnalyser
from simulators.bench.rigs import KINDS, role_of
from simulators.bench.server import PtyServer, Server, TcpServer

__all__ = ["Bench"]

_OPTICAL = "; modulators and cameras have no wire: an OpticalTable is theirs, in the rig's process"


class Bench:
    r"""All instruments of a rig, in this process; `serve` puts them behind real links.

    Parameters
    ----------
    rig : mapping
        A rig file's tables: ``rig`` with ``kind``, ``instruments`` with a ``driver`` each,
        ``sim`` with the ``device`` that is the physics, and in it ``bench`` with settings of
        the virtual bench, by kind:

        * waveform: ``volts_per_input``, by default that of ``rig``, ``volts_per_output`` (see
          `SoundWiring`), ``load_ohm`` (what really is connected to the generator);
        * metasurface: ``reference_hz`` (see `MicrowaveWiring`), ``settle_s`` and ``stuck`` (see
          `Modulator`);
        * board: ``dac_bits``, ``adc_bits``, ``dac_volts``, ``adc_volts``, ``rest_v``,
          ``max_payload`` (see `Board`).
    faults : iterable of Fault or str
        What is to go wrong; see `parse_fault`.

    Attributes
    ----------
    instruments : dict
        Virtual instruments by their names in the rig.
    physics : Device
        The simulator behind them; open.
    wiring : SoundWiring, MicrowaveWiring or None
        What connects them.
    faults : Faults

    Raises
    ------
    ValueError
        If the rig has no simulator, one that does not fit its kind, an instrument without a
        virtual counterpart, a setting is unknown, or a fault can never strike.

    Examples
    --------
    >>> rig = {
    ...     "rig": {"kind": "waveform"},
    ...     "instruments": {"awg": {"driver": "33500B"}, "scope": {"driver": "dsox"}},
    ...     "sim": {"device": "sim:acoustic-cavity?n_inputs=8&n_outputs=16"},
    ... }
    >>> bench = Bench(rig)
    >>> bench.instruments["awg"].write(b"*IDN?;:OUTP1?\n")
    >>> bench.instruments["awg"].read(1.0).endswith(b";0\n")
    True
    """

    def __init__(self, rig: Mapping[str, Any], faults: Iterable[Fault | str] = ()) -> None:
        kind = rig.get("rig", {}).get("kind")
        if kind not in KINDS:
            raise ValueError(
                f"bench: [rig] kind={kind!r} is not one of {', '.join(KINDS)}"
                + (_OPTICAL if kind == "optical" else "")
            )
        build, expected, keys = KINDS[kind]
        tables = rig.get("instruments") or {}
        if not tables:
            raise ValueError("bench: the rig has no table [instruments.NAME]")
        settings = dict(rig.get("sim", {}).get("bench", {}))
        if unknown := [key for key in settings if key not in keys]:
            raise ValueError(
                f"bench: [sim.bench] has unknown keys {unknown}; of kind {kind!r} are "
                f"{', '.join(keys)}"
            )
        if kind == "waveform" and "volts_per_input" in rig["rig"]:
            settings.setdefault("volts_per_input", rig["rig"]["volts_per_input"])
        self.lock = threading.RLock()
        self.faults = Faults(parse_fault(f) if isinstance(f, str) else f for f in faults)
        roles = {name: role_of(name, str(t.get("driver", ""))) for name, t in tables.items()}
        for name, role in roles.items():
            if role not in expected:
                raise ValueError(
                    f"bench: [instruments.{name}], a {role}, has no place in a rig of kind "
                    f"{kind!r}, which has {', '.join(expected)}"
                )
        self.physics = _physics(rig)
        shared = {"faults": self.faults, "lock": self.lock}
        self.instruments, self.wiring = build(self.physics, roles, settings, shared)
        self.faults.belong_to({name: one.faults_of for name, one in self.instruments.items()})
        self._servers: dict[str, Server] = {}

    @classmethod
    def from_rig(cls, path: str | Path, faults: Iterable[Fault | str] = ()) -> Self:
        """Make the bench of a rig file.

        Raises
        ------
        ValueError
            As the constructor, and if the file is no TOML.
        OSError
            If it cannot be read.
        """
        try:
            tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: {error}") from error
        return cls(tables, faults)

    # -- links ---------------------------------------------------------------------------------

    def serve(
        self,
        *,
        host: str = "127.0.0.1",
        ports: Mapping[str, int] | None = None,
        token: str = "",
        pty: bool = False,
    ) -> dict[str, str]:
        """Put every instrument behind a link of its own and return the addresses for a rig file.

        Parameters
        ----------
        host : str
            Address to listen on; one that is not a loopback address needs a `token`.
        ports : mapping
            TCP port by instrument; a free one for those that are not in it.
        token : str
            See `TcpServer`.
        pty : bool
            Put instruments of serial lines on pseudo-terminals instead of ``socket://``.

        Raises
        ------
        ValueError, OSError
            As `TcpServer` and `PtyServer`; nothing is served then.
        """
        self.close()
        try:
            for name, instrument in self.instruments.items():
                server: Server
                if pty and instrument.wire == "serial":
                    server = PtyServer(instrument)
                else:
                    server = TcpServer(instrument, host, (ports or {}).get(name, 0), token)
                self._servers[name] = server
        except BaseException:
            self.close()
            raise
        return {name: server.address for name, server in self._servers.items()}

    def close(self) -> None:
        """End all links; the instruments keep their state."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def outputs_on(self) -> dict[str, bool]:
        """Return which instruments have an output on, or elements set."""
        on: dict[str, bool] = {}
        with self.lock:
            for name, each in self.instruments.items():
                if isinstance(each, Generator):
                    on[name] = any(each.outputs.values())
                elif isinstance(each, NetworkAnalyser):
                    on[name] = each.output_on
                elif isinstance(each, Board):
                    on[name] = each.driving
                elif isinstance(each, Modulator):
                    on[name] = bool(each.bits.any())
        return on


def _physics(rig: Mapping[str, Any]) -> Device:
    source = rig.get("sim", {}).get("device")
    if source is None:
        raise ValueError(
            'bench: the rig has no simulator; add [sim] with device = "sim:...", see `pnn devices`'
        )
    return build_device(source).open()
