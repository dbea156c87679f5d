"""A NanoVNA: a vector network analyser of two ports with a text shell on a serial line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import whole
from simulators.bench.faults import COMMON_KINDS, Faults
from simulators.bench.link import Instrument, Link
from simulators.bench.wiring import Scattering

__all__ = ["NanoVna"]

Array = NDArray[Any]

_PROMPT = b"ch> "
_LONGEST_LINE = 256
_LOWEST_HZ, _HIGHEST_HZ = 10_000, 3_000_000_000
_VERBS = "scan sweep data frequencies version info pause resume bandwidth power cal help"


class NanoVna(Instrument):
    """Shell commands of the original firmware and its successors, S11 and S21.

    A command ends with a carriage return and is echoed; the answer's lines end with CR and LF,
    and the prompt ``ch> `` ends it. ``scan START STOP POINTS MASK`` prints a line per point:
    mask 1 the frequency in Hz, 2 S11, 4 S21.

    Parameters
    ----------
    name : str
        In the rig.
    physics : Scattering
        What is between the ports.
    driven, heard : int
        Ports of `physics` that port 1 drives and port 2 listens at.
    most_points : int
        Of one sweep.
    faults, lock
        See `Instrument`.
    """

    wire = "serial"
    faults_of = (*COMMON_KINDS, "nan", "drift")

    def __init__(
        self,
        name: str,
        physics: Scattering,
        *,
        driven: int = 1,
        heard: int = 3,
        most_points: int = 1024,
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, faults, lock)
        self.physics = physics
        for label, port in (("driven", driven), ("heard", heard)):
            whole(name, label, port, 1, physics.n_ports)
        self._ports = [(driven, driven), (heard, driven)]
        self._most = whole(name, "most_points", most_points, 2)
        self._sweep = (50_000, 900_000_000, 101)
        self._measured: tuple[tuple[int, int, int], Array] | None = None
        self.gain = 1.0

    def answer(self, line: str) -> list[str]:
        """Do what a line says and return the lines of the answer."""
        verb, *words = line.split() or [""]
        try:
            numbers = [int(float(word)) if "." in word else int(word, 0) for word in words]
        except ValueError:
            return [f"usage: {verb} with whole numbers"]
        verbs: dict[str, Callable[[list[int]], list[str]]] = {
            "scan": self._scan,
            "sweep": self._asked_sweep,
            "data": self._asked_data,
            "frequencies": lambda _: [f"{f:d}" for f in self._grid()],
        }
        return verbs[verb](numbers) if verb in verbs else self._words(verb)

    def _asked_sweep(self, numbers: list[int]) -> list[str]:
        if not numbers:
            return [" ".join(map(str, self._sweep))]
        return self._set_sweep([*numbers, *self._sweep[len(numbers) :]])

    def _asked_data(self, numbers: list[int]) -> list[str]:
        which = numbers[0] if numbers else 0
        return _lines(self._data()[which]) if which in (0, 1) else ["usage: data [0|1]"]

    def _words(self, verb: str) -> list[str]:
        wrong = verb in ("version", "info") and self.faults.due("identity", self.name, verb)
        fixed = {
            "version": ["9.9.9" if wrong else "1.2.27"],
            "info": ["Board: tinySA" if wrong else "Model: NanoVNA-H 4", "Version: 1.2.27"],
            "help": [f"Commands: {_VERBS}"],
            "bandwidth": ["bandwidth 0 (4000Hz)"],
            "": [],
            "pause": [],
            "resume": [],
            "power": [],
            "cal": [],
        }
        return fixed.get(verb, [f"{verb}?"])

    def _set_sweep(self, numbers: list[int]) -> list[str]:
        start, stop, points = numbers[:3]
        if not _LOWEST_HZ <= start <= stop <= _HIGHEST_HZ:
            return ["error: frequencies out of range"]
        if not 2 <= points <= self._most:
            return [f"sweep points exceeds range 2-{self._most}"]
        self._sweep, self._measured = (start, stop, points), None
        return []

    def _scan(self, numbers: list[int]) -> list[str]:
        if not 2 <= len(numbers) <= 4:
            return ["usage: scan {start(Hz)} {stop(Hz)} [points] [outmask]"]
        mask = numbers[3] if len(numbers) == 4 else 0
        if trouble := self._set_sweep([*numbers[:3], *self._sweep[len(numbers[:3]) :]]):
            return trouble
        self._measured = None
        s11, s21 = self._data()
        columns = [f"{f:d}" for f in self._grid()] if mask & 1 else []
        parts = [columns] if columns else []
        parts += [_lines(s) for bit, s in ((2, s11), (4, s21)) if mask & bit]
        return [" ".join(row) for row in zip(*parts, strict=True)]

    def _grid(self) -> Array:
        start, stop, points = self._sweep
        return np.rint(np.linspace(start, stop, points)).astype(np.int64)

    def _data(self) -> Array:
        """Return S11 and S21 of the sweep, (2, points), measured once per scan."""
        if self._measured is None or self._measured[0] != self._sweep:
            answers = self.physics.scattering(self._grid().astype(float), self._ports)
            if fault := self.faults.due("drift", self.name):
                self.gain *= 1 + fault.size
            answers = answers * self.gain
            if self.faults.due("nan", self.name, "scan data"):
                answers = np.full_like(answers, complex(np.nan, np.nan))
            self._measured = self._sweep, answers
        return self._measured[1]

    def _link(self) -> Link:
        return ShellLink(self)


class ShellLink(Link):
    """The serial line of a `NanoVna`."""

    instrument: NanoVna

    def __init__(self, instrument: NanoVna) -> None:
        super().__init__(instrument)
        self._buffer = bytearray()

    def _take(self, data: bytes) -> None:
        self._buffer += data.replace(b"\n", b"")
        while (end := self._buffer.find(b"\r")) >= 0:
            line = self._buffer[:end].decode("latin-1").strip()
            del self._buffer[: end + 1]
            instrument = self.instrument
            if instrument.faults.due("error", instrument.name, line):
                answer = ["error: on demand"]
            else:
                answer = instrument.answer(line)
            text = "".join(f"{each}\r\n" for each in [line, *answer])
            self._reply(text.encode("latin-1") + _PROMPT, line)
        if len(self._buffer) > _LONGEST_LINE:
            self._buffer.clear()

    def _forget(self) -> None:
        self._buffer.clear()


def _lines(values: Array) -> list[str]:
    """Return complex values, (n,), as lines of two numbers."""
    return [f"{v.real:.9f} {v.imag:.9f}" for v in values]
