"""The virtual bench: the instruments that a rig file names, behind one physics."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from devices import Device, build_device
from simulators._checks import number
from simulators.acoustic_box import AcousticBox
from simulators.bench.board import Board
from simulators.bench.faults import Fault, Faults, parse_fault
from simulators.bench.generator import Generator
from simulators.bench.link import Instrument
from simulators.bench.modulator import Modulator
from simulators.bench.nanovna import NanoVna
from simulators.bench.network_analyser import NetworkAnalyser
from simulators.bench.oscilloscope import Oscilloscope
from simulators.bench.server import PtyServer, Server, TcpServer
from simulators.bench.wiring import MicrowaveWiring, SoundWiring
from simulators.metasurface_cavity import MetasurfaceCavity

__all__ = ["ROLES", "Bench"]

Array = NDArray[Any]

#: What a driver's name contains, and the virtual instrument that answers it.
ROLES = {
    "generator": ("335", "336", "generator", "awg"),
    "oscilloscope": ("dsox", "infiniivision", "scope"),
    "nanovna": ("nanovna",),
    "analyser": ("pna", "e5080", "n52", "vna", "analyser", "analyzer"),
    "board": ("board",),
    "modulator": ("metasurface", "modulator"),
}
_KINDS = {
    "waveform": ("generator", "oscilloscope"),
    "metasurface": ("analyser", "nanovna", "modulator"),
    "board": ("board",),
}
_SETTINGS = {
    "waveform": ("volts_per_input", "volts_per_output", "load_ohm"),
    "metasurface": ("reference_hz", "settle_s", "stuck"),
    "board": ("dac_bits", "adc_bits", "dac_volts", "adc_volts", "rest_v", "max_payload"),
}
_ROWS_FOR_RANGE = 256
_MARGIN = 0.25  # of the answers' range, left free on either side of a board's converters


class Bench:
    """All instruments of a rig, in this process; `serve` puts them behind real links.

    Parameters
    ----------
    rig : mapping
        A rig file's tables: ``rig`` with ``kind``, ``instruments`` with a ``driver`` each,
        ``sim`` with the ``device`` that is the physics, and ``bench`` with settings of the
        virtual bench, by kind:

        * waveform: ``volts_per_input``, ``volts_per_output`` (see `SoundWiring`), ``load_ohm``
          (what really is connected to the generator);
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
        virtual counterpart, or a setting is unknown.

    Examples
    --------
    >>> rig = {
    ...     "rig": {"kind": "waveform"},
    ...     "instruments": {"awg": {"driver": "33500B"}, "scope": {"driver": "dsox"}},
    ...     "sim": {"device": "sim:acoustic-cavity?n_inputs=8&n_outputs=16"},
    ... }
    >>> bench = Bench(rig)
    >>> bench.instruments["awg"].write(b"*IDN?;:OUTP1?\\n")
    >>> bench.instruments["awg"].read(1.0).endswith(b";0\\n")
    True
    """

    def __init__(self, rig: Mapping[str, Any], faults: Iterable[Fault | str] = ()) -> None:
        kind = rig.get("rig", {}).get("kind")
        if kind not in _KINDS:
            raise ValueError(
                f"bench: [rig] kind={kind!r} is not one of {', '.join(_KINDS)}"
                + (
                    "; optical rigs are rehearsed with slmsuite's own simulated modulator and camera"
                    if kind == "optical"
                    else ""
                )
            )
        self._kind = kind
        tables = rig.get("instruments") or {}
        if not tables:
            raise ValueError("bench: the rig has no table [instruments.NAME]")
        self._settings = dict(rig.get("bench", {}))
        unknown = [key for key in self._settings if key not in _SETTINGS[kind]]
        if unknown:
            raise ValueError(
                f"bench: [bench] has unknown keys {unknown}; of kind {kind!r} are "
                f"{', '.join(_SETTINGS[kind])}"
            )
        self.lock = threading.RLock()
        self.faults = Faults(parse_fault(f) if isinstance(f, str) else f for f in faults)
        known = {"", *tables}
        for fault in self.faults.all:
            if fault.instrument not in known:
                raise ValueError(
                    f"bench: fault for {fault.instrument!r}, which the rig has not; it has "
                    f"{', '.join(tables)}"
                )
        roles = {name: _role(name, table, kind) for name, table in tables.items()}
        self.physics = _physics(rig)
        self.wiring: SoundWiring | MicrowaveWiring | None = None
        build = {"waveform": self._sound, "metasurface": self._microwaves, "board": self._board}
        self.instruments: dict[str, Instrument] = build[kind](roles)
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

    # -- kinds of rigs -------------------------------------------------------------------------

    def _sound(self, roles: dict[str, str]) -> dict[str, Instrument]:
        if not isinstance(self.physics, AcousticBox):
            raise ValueError(
                f"bench: the physics of a waveform rig is an acoustic simulator, not "
                f"{self.physics.spec.name}"
            )
        settings = dict(self._settings)
        load = number("bench", "load_ohm", settings.pop("load_ohm", 1e6), 0.0, above=True)
        wiring = SoundWiring(self.physics, lock=self.lock, **settings)
        made: dict[str, Instrument] = {}
        for name, role in roles.items():
            if role == "generator":
                generator = Generator(name, load_ohm=load, on_fire=wiring.fire, **self._shared())
                wiring.generators.append(generator)
                made[name] = generator
            else:
                scope = Oscilloscope(name, on_arm=wiring.armed, **self._shared())
                wiring.oscilloscopes.append(scope)
                made[name] = scope
        self.wiring = wiring
        return made

    def _microwaves(self, roles: dict[str, str]) -> dict[str, Instrument]:
        if not isinstance(self.physics, MetasurfaceCavity):
            raise ValueError(
                f"bench: the physics of a metasurface rig is sim:metasurface, not "
                f"{self.physics.spec.name}"
            )
        settings = dict(self._settings)
        reference = settings.pop("reference_hz", 2.45e9)
        if "stuck" in settings:  # TOML has no keys but texts
            settings["stuck"] = {int(k): int(bit) for k, bit in settings["stuck"].items()}
        setters = [name for name, role in roles.items() if role == "modulator"]
        if len(setters) != 1:
            raise ValueError(f"bench: a metasurface rig has one modulator, not {len(setters)}")
        modulator = Modulator(setters[0], self.physics.spec.n_inputs, **settings, **self._shared())
        wiring = MicrowaveWiring(self.physics, self.physics._kwargs, modulator, reference)
        made: dict[str, Instrument] = {}
        for name, role in roles.items():
            if role == "modulator":
                made[name] = modulator
            elif role == "nanovna":
                heard = len(self.physics.transmitters) + 1
                made[name] = NanoVna(name, wiring, heard=heard, **self._shared())
            else:
                made[name] = NetworkAnalyser(name, wiring, **self._shared())
        self.wiring = wiring
        return made

    def _board(self, roles: dict[str, str]) -> dict[str, Instrument]:
        if len(roles) != 1:
            raise ValueError(f"bench: a board rig has one board, not {len(roles)}")
        (name,) = roles
        settings = dict(self._settings)
        dac = tuple(settings.get("dac_volts", (0.0, 3.3)))
        adc = tuple(settings.get("adc_volts", (0.0, 3.3)))
        board = Board(
            name,
            _volts_to_volts(self.physics, dac, adc),
            self.physics.spec.n_inputs,
            self.physics.spec.n_outputs,
            **settings,
            **self._shared(),
        )
        return {name: board}

    def _shared(self) -> dict[str, Any]:
        return {"faults": self.faults, "lock": self.lock}


def _role(name: str, table: Mapping[str, Any], kind: str) -> str:
    driver = str(table.get("driver", "")).lower()
    for role, words in ROLES.items():
        if any(word in driver for word in words):
            break
    else:
        raise ValueError(
            f"bench: [instruments.{name}] driver={driver!r} has no virtual counterpart; there are "
            f"{', '.join(ROLES)}"
        )
    if role not in _KINDS[kind]:
        raise ValueError(
            f"bench: [instruments.{name}] driver={driver!r} has no place in a rig of kind {kind!r}, "
            f"which has {', '.join(_KINDS[kind])}"
        )
    return role


def _physics(rig: Mapping[str, Any]) -> Device:
    source = rig.get("sim", {}).get("device")
    if source is None:
        raise ValueError(
            'bench: the rig has no simulator; add [sim] with device = "sim:...", see `pnn devices`'
        )
    return build_device(source).open()


def _volts_to_volts(device: Device, dac: tuple[float, ...], adc: tuple[float, ...]) -> Any:
    """Return the device as a function from DAC volts to ADC volts.

    The range of the DACs is that of the inputs; the answers to random drives fill the range of
    the ADCs but for a margin.
    """
    spec = device.spec
    low, high = np.broadcast_to(spec.low, spec.n_inputs), np.broadcast_to(spec.high, spec.n_inputs)
    low, high = low.astype(float), high.astype(float)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"bench: {spec.name} has no limits on its inputs, which a board needs")
    if np.dtype(spec.output_dtype).kind == "c":
        raise ValueError(f"bench: {spec.name} has complex answers, which a board cannot convert")
    random = np.random.default_rng(0)
    seen = device.measure(random.uniform(low, high, (_ROWS_FOR_RANGE, spec.n_inputs)))
    least, most = float(seen.min()), float(seen.max())
    wide = max(most - least, 1e-12)
    least, most = least - _MARGIN * wide, most + _MARGIN * wide

    def physics(volts: Array) -> Array:
        share = np.clip((volts - dac[0]) / (dac[1] - dac[0]), 0.0, 1.0)
        drives = low + share * (high - low)
        if spec.domain in ("bits", "codes"):
            drives = np.rint(drives)
        answers = device.measure(drives)
        return adc[0] + (answers - least) / (most - least) * (adc[1] - adc[0])

    return physics
