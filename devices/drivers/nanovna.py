"""NanoVNA network analysers over their serial shell."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from devices.drivers.recipe import Recipe
from devices.errors import Desync, DeviceError, LinkDown, ReplyTimeout, ShortTransfer
from devices.transports import Transport, make_transport

__all__ = ["NanoVna"]

_PROMPT = b"ch> "
_COLUMNS = {"S11": 1, "S21": 3}  # of a line "frequency re im re im"


class NanoVna(Recipe):
    """A NanoVNA that scans once per question; the role `VectorNetworkAnalyser`.

    The shell echoes each command and ends its answer with the prompt ``ch> ``. An answer is
    taken only if it begins with the echo of its own command, and if the frequencies in it are
    those that were asked for.

    Parameters
    ----------
    address : str
        ``serial:///dev/ttyACM0``, ``serial://COM3`` or ``socket://host:port``.
    start_hz, stop_hz : float
        Range of the sweep.
    points : int
        Frequencies, evenly spaced; 101 or more, as the firmware has it.
    parameters : sequence of {"S11", "S21"}
    sweep_s : float
        Longest time of one scan.
    name, idn : str
        `idn` is a regular expression that the answer to ``info`` must match.
    **link
        Settings of the transport.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    def __init__(
        self,
        address: str,
        *,
        start_hz: float,
        stop_hz: float,
        points: int = 101,
        parameters: Sequence[str] = ("S21",),
        sweep_s: float = 20.0,
        name: str = "nanovna",
        idn: str = r"(?i)nanovna",
        **link: Any,
    ) -> None:
        self.name = name
        self._start = round(number(name, "start_hz", start_hz, 1e3, 1e10))
        self._stop = round(number(name, "stop_hz", stop_hz, self._start, 1e10, above=True))
        self._n = whole(name, "points", points, 2, 1601)
        self.parameters = tuple(parameters)
        if unknown := [p for p in self.parameters if p not in _COLUMNS]:
            raise ValueError(f"{name}: parameters: {unknown[0]!r} is not one of S11, S21")
        self._sweep_s = number(name, "sweep_s", sweep_s, 0.0, 1e4, above=True)
        self.frequencies_hz = np.linspace(self._start, self._stop, self._n)
        self.transport: Transport = make_transport(
            address, idn=idn, hello=self._hello, resync=self._resync, read_end=_PROMPT, **link
        )

    @property
    def identity(self) -> str:
        """The answer to ``info``."""
        return self.transport.identity

    def open(self) -> Self:
        """Connect, check the identity and stop the sweeping that nobody asked for."""
        self.transport.open()
        self.shell("pause")
        return self

    def connect(self) -> Self:
        """Connect and check the identity, and change nothing."""
        self.transport.open()
        return self

    def close(self) -> None:
        """Disconnect; may be called twice."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self) -> AbstractContextManager[Any]:
        """Keep the calls inside together, see `Transport.step`."""
        return self.transport.step()

    def on(self) -> None:
        """Nothing to do: measuring drives again."""

    def hold(self) -> None:
        """Stop sweeping."""
        self.shell("pause")

    def off(self) -> None:
        """Stop sweeping; the instrument has no switch for its power."""
        self.shell("pause")

    def settings(self) -> dict[str, Any]:
        """Return identity and grid."""
        return {
            "identity": self.identity,
            "start_hz": self._start,
            "stop_hz": self._stop,
            "points": self._n,
        }

    def sweep(self) -> NDArray[np.complex128]:
        """Scan once and return complex values, (n_parameters, n_points).

        Raises
        ------
        ShortTransfer
            If lines are missing.
        Desync
            If the frequencies are not those that were asked for.
        """
        text = self.shell(f"scan {self._start} {self._stop} {self._n} 7", deadline_s=self._sweep_s)
        rows = text.split("\r\n")
        try:
            table = np.array([[float(v) for v in row.split()] for row in rows if row.strip()])
        except ValueError as error:
            raise Desync(f"{self.name}: a line of the scan is no row of numbers") from error
        if table.shape != (self._n, 5):
            raise ShortTransfer(
                f"{self.name}: the scan has shape {table.shape}, expected ({self._n}, 5)"
            )
        # The firmware works with whole hertz, and its steps may be rounded.
        if np.abs(table[:, 0] - self.frequencies_hz).max() > max(2.0, 1e-6 * self._stop):
            raise Desync(f"{self.name}: the scan is of other frequencies than those asked for")
        return np.stack(
            [table[:, c] + 1j * table[:, c + 1] for c in (_COLUMNS[p] for p in self.parameters)]
        )

    def shell(self, command: str, *, deadline_s: float | None = None) -> str:
        """Give a command to the shell and return what it prints, without echo and prompt."""

        def accept(answer: bytes) -> str | None:
            text = answer.removesuffix(_PROMPT).decode("ascii", "replace").lstrip("\r\n")
            echo, _, rest = text.partition("\r\n")
            return rest if echo.strip() == command else None

        answer = self.transport.exchange(
            command.encode("ascii") + b"\r",
            _PROMPT,
            accept,
            idempotent=True,
            deadline_s=deadline_s,
        )
        if answer.strip().endswith("?") and len(answer) < 80:
            raise DeviceError(f"{self.name} does not know the command {command!r}: {answer!r}")
        return answer

    def _hello(self, transport: Transport, until: float) -> str:
        try:
            self._resync(transport, until)
            return " ".join(self.shell("info").split())
        except ReplyTimeout as error:
            raise LinkDown(f"{self.name} opens, but no shell answers: {error}") from error

    def _resync(self, transport: Transport, until: float) -> None:
        """Ask for the prompt by an empty line, and throw away what comes before and behind."""
        transport.exchange(b"\r", _PROMPT, lambda answer: answer)
        transport.link.drain(transport.settings.quiet_s, until)
