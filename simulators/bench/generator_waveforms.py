"""What a generator plays: uploaded waveforms, and one cycle of the functions built in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.values import ScpiError, number

if TYPE_CHECKING:
    from simulators.bench.generator import Generator

__all__ = ["Arbitraries", "one_cycle"]

Array = NDArray[Any]

_MEMORY = 1_000_000  # samples per channel
_SHORTEST = 8
_FULL_SCALE = 32767
_BUILT_IN = "EXP_RISE"
_CYCLE = 1000  # samples of one cycle of a function built in


class Arbitraries:
    """The volatile memory of one channel: waveforms from -1 to 1 by name."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all uploads; a built-in waveform is selected."""
        ramp = 2 * (1 - np.exp(-np.linspace(0, 5, 410))) - 1
        self._waveforms: dict[str, Array] = {_BUILT_IN: ramp}
        self.selected = _BUILT_IN

    @property
    def free(self) -> int:
        """Samples that there is still room for."""
        used = sum(len(w) for name, w in self._waveforms.items() if name != _BUILT_IN)
        return _MEMORY - used

    def catalog(self) -> str:
        """Return the names, in quotation marks."""
        return ",".join(f'"{name}"' for name in self._waveforms)

    def points(self, name: str) -> Array:
        """Return a waveform.

        Raises
        ------
        ScpiError
            785 if there is none of that name.
        """
        if name.upper() not in self._waveforms:
            raise ScpiError(785, f"Specified arb waveform does not exist; {name}")
        return self._waveforms[name.upper()]

    def store(
        self, name: str, data: tuple[str | bytes, ...], *, dac: bool, big_endian: bool
    ) -> None:
        """Keep an upload: a block, or a list of numbers; DAC codes or numbers from -1 to 1.

        Raises
        ------
        ScpiError
            783 if the name is taken, 781 without room, -222 for a value out of range, -161 for a
            block of a wrong length.
        """
        if name.upper() in self._waveforms:
            raise ScpiError(783, f"Specified arb waveform already exists; {name}")
        if not name or len(name) > 12 or not name.replace("_", "a").isalnum():
            raise ScpiError(-224, f"Illegal parameter value; {name!r} is no name of a waveform")
        first, low = data[0], -_FULL_SCALE if dac else -1.0
        if isinstance(first, bytes):
            kind = np.dtype((">" if big_endian else "<") + ("i2" if dac else "f4"))
            if len(first) % kind.itemsize or len(data) > 1:
                raise ScpiError(-161, "Invalid block data")
            values = np.frombuffer(first, kind).astype(float)
        else:
            try:
                values = np.array(data, float)
            except ValueError:
                values = np.array([number(each) for each in data])
        if len(values) < _SHORTEST or not (np.abs(values) <= abs(low)).all():
            raise ScpiError(-222, "Data out of range; samples or their number")
        if len(values) > self.free:
            raise ScpiError(781, "Not enough memory to store new arb waveform")
        self._waveforms[name.upper()] = values / abs(low)


def one_cycle(generator: Generator, channel: int) -> tuple[Array, float]:
    """Return one cycle from -1 to 1 of what a channel is set to, and samples per second."""
    setting = generator.setting
    function = setting("function", channel)
    if function == "ARB":
        memory = generator.arbitraries[channel]
        values, rate = memory.points(memory.selected), float(setting("rate", channel))
    else:
        rate = _CYCLE * float(setting("frequency", channel))
        share = (np.arange(_CYCLE) / _CYCLE + float(setting("phase", channel)) / 360) % 1.0
        values = _function(str(function), share, generator, channel)
    return (values if setting("polarity", channel) == "NORM" else -values), rate


def _function(function: str, share: Array, generator: Generator, channel: int) -> Array:
    setting = generator.setting
    if function == "SIN":
        return np.sin(2 * np.pi * share)
    if function in ("SQU", "PULS"):
        duty = setting("square_duty" if function == "SQU" else "pulse_duty", channel)
        return np.where(share < float(duty) / 100, 1.0, -1.0)
    if function in ("TRI", "RAMP"):
        up = 0.5 if function == "TRI" else float(setting("symmetry", channel)) / 100
        return 2 * np.interp(share, [0.0, up, 1.0], [0.0, 1.0, 0.0]) - 1
    if function == "DC":
        return np.zeros(len(share))
    random = np.random.default_rng(channel)  # noise and PRBS: the same cycle again and again
    noise = random.uniform(-1, 1, len(share))
    return np.sign(noise) if function == "PRBS" else noise
