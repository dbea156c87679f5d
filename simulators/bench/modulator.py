"""A controller of a metasurface: bits in, by lines of text."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from simulators.bench.faults import Faults
from simulators.bench.link import Instrument, Link

__all__ = ["Modulator"]

_LONGEST = 1 << 16


class Modulator(Instrument):
    """Answers a line of text with a line of text.

    ============== ==============================================================================
    ``*IDN?``      ``pnn-metasurface,<elements>,<serial>,<version>``
    ``BITS 0A1F``  Hexadecimal, first element the highest bit of the first digit, padded with
                   zeros to whole bytes; ``OK``
    ``BITS?``      The bits that are set, in the same form
    ``OFF``        All elements 0; ``OK``
    ============== ==============================================================================

    Anything else, and a pattern of another length, is answered ``ERROR <reason>`` and changes
    nothing.

    Parameters
    ----------
    name : str
        In the rig.
    n_elements : int
    settle_s : float
        How long the elements keep their old states after they were set, in s.
    stuck : dict of int to int
        Elements that stay at a bit whatever they are set to; ``BITS?`` does not know of it.
    clock : callable
        Returns seconds.
    faults, lock
        See `Instrument`.
    """

    def __init__(
        self,
        name: str = "modulator",
        n_elements: int = 64,
        *,
        settle_s: float = 0.0,
        stuck: dict[int, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, faults, lock)
        self.n_elements = whole(name, "n_elements", n_elements, 1)
        self.settle_s = number(name, "settle_s", settle_s, 0.0)
        self.stuck, self._clock = dict(stuck or {}), clock
        self._new = self._old = np.zeros(n_elements, np.uint8)
        self._set_at = -np.inf

    @property
    def bits(self) -> NDArray[Any]:
        """The states of the elements now, (n_elements,), uint8."""
        settled = self._clock() - self._set_at >= self.settle_s
        states = (self._new if settled else self._old).copy()
        for element, bit in self.stuck.items():
            states[element] = bit
        return states

    def obey(self, line: str) -> str:
        """Do what a line says and return the answer."""
        verb, _, rest = line.strip().partition(" ")
        verbs: dict[str, Callable[[], str]] = {
            "*IDN?": self._identity,
            "BITS?": lambda: np.packbits(self._new).tobytes().hex().upper(),
            "BITS": lambda: self._show(rest),
            "OFF": lambda: self._set(np.zeros(self.n_elements, np.uint8)),
        }
        if verb.upper() not in verbs or self.faults.due("error", self.name, line):
            return f"ERROR unknown command {verb}"
        return verbs[verb.upper()]()

    def _identity(self) -> str:
        if self.faults.due("identity", self.name, "*IDN?"):
            return "Elsewhere Instruments,Model 0,0,0"
        return f"pnn-metasurface,{self.n_elements},VB0003,1.0"

    def _show(self, digits: str) -> str:
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            return "ERROR no hexadecimal digits"
        length = -(-self.n_elements // 8)
        if len(data) != length:
            return f"ERROR {len(data)} bytes, expected {length}"
        return self._set(np.unpackbits(np.frombuffer(data, np.uint8))[: self.n_elements])

    def _set(self, bits: NDArray[Any]) -> str:
        self._old, self._new, self._set_at = self.bits, bits, self._clock()
        return "OK"

    def _link(self) -> Link:
        return ModulatorLink(self)


class ModulatorLink(Link):
    """A connection to a `Modulator`."""

    instrument: Modulator

    def __init__(self, instrument: Modulator) -> None:
        super().__init__(instrument)
        self._buffer = bytearray()

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = self._buffer[:end].decode("latin-1")
            del self._buffer[: end + 1]
            if line.strip():
                self._reply(self.instrument.obey(line).encode() + b"\n", line)
        if len(self._buffer) > _LONGEST:  # no line is that long: the host has lost its way
            self._buffer.clear()

    def _forget(self) -> None:
        self._buffer.clear()
