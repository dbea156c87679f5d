"""Python functions in roles: for instruments that have their own package, or a script."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from devices.drivers.recipe import Recipe
from devices.function import load_function

__all__ = ["CallableModulator", "CallableMonitor", "CallableSource", "Callables", "resolved"]

Function = Callable[..., Any]


def resolved(given: Function | str) -> Function:
    """Return a function that is given as such or by its name."""
    return load_function(given, fresh=False) if isinstance(given, str) else given


class Callables(Recipe):
    """What an instrument made of functions has in common with any other.

    Functions are given as such, or as ``"package.module:name"`` or ``"file.py:name"``, imported
    on opening.
    """

    def __init__(
        self,
        *,
        name: str,
        open: Function | str | None = None,
        close: Function | str | None = None,
        off: Function | str | None = None,
        hold: Function | str | None = None,
        on: Function | str | None = None,
    ) -> None:
        self.name = name
        self.identity = ""
        self._life = {"open": open, "close": close, "off": off, "hold": hold, "on": on}

    def open(self) -> Self:
        """Call the functions `open`, whose answer, if it is a text, is the identity, and `on`."""
        self.connect()
        self.on()
        return self

    def connect(self) -> Self:
        """Call the function `open` alone."""
        answer = self._call("open")
        self.identity = answer if isinstance(answer, str) else f"functions of {self.name}"
        return self

    def close(self) -> None:
        """Call the function `close`."""
        self._call("close")

    def on(self) -> None:
        """Call the function `on`: unmute an amplifier, open a shutter."""
        self._call("on")

    def hold(self) -> None:
        """Call the function `hold`."""
        self._call("hold")

    def off(self) -> None:
        """Call the function `off`."""
        self._call("off")

    def step(self) -> AbstractContextManager[Any]:
        """Nothing to keep together."""
        return nullcontext()

    def settings(self) -> dict[str, Any]:
        """Return the identity."""
        return {"identity": self.identity}

    def _call(self, which: str) -> Any:
        function = self._life[which]
        return None if function is None else resolved(function)()


class CallableModulator(Callables):
    """A function that shows values, (n_elements,), as a `Modulator`.

    Parameters
    ----------
    set : callable or str
        Takes an array of shape (n_elements,).
    n_elements : int
    settle_s : float
        Time that the elements take to change.
    **life
        Functions ``open``, ``close``, ``on``, ``off``, ``hold``, and the ``name``.
    """

    def __init__(
        self, set: Function | str, *, n_elements: int, settle_s: float = 0.0, **life: Any
    ) -> None:
        super().__init__(**{"name": "modulator"} | life)
        self.n_elements = whole(self.name, "n_elements", n_elements, 1)
        self.settle_s = number(self.name, "settle_s", settle_s, 0.0)
        self._set = set

    def set(self, values: NDArray[Any]) -> None:
        """Call the function with the values."""
        resolved(self._set)(np.asarray(values))


class CallableMonitor(Callables):
    """A function that returns a number, as a `Monitor`.

    Parameters
    ----------
    function : callable or str
        Takes nothing and returns a number.
    unit : str
        Its SI unit.
    **life
        Functions ``open``, ``close``, and the ``name``.
    """

    def __init__(self, function: Function | str, *, unit: str = "1", **life: Any) -> None:
        super().__init__(**{"name": "monitor"} | life)
        self.unit = unit
        self._read = function

    def read(self) -> float:
        """Call the function."""
        return float(resolved(self._read)())


class CallableSource(Callables):
    """A function that plays a waveform, as a `Source`.

    Parameters
    ----------
    play : callable or str
        Takes volts of shape (n_channels, n_samples) and the sample rate in Hz, and plays them
        once.
    channels : sequence of int
        Numbers of the outputs.
    **life
        Functions ``open``, ``close``, ``on``, ``off``, ``hold``, and the ``name``.
    """

    def __init__(self, play: Function | str, *, channels: Any = (1,), **life: Any) -> None:
        super().__init__(**{"name": "source"} | life)
        self.channels: tuple[int, ...] = tuple(channels)
        self.sample_rate_hz = self.full_scale_v = 0.0
        self._play = play
        self._slots: dict[int, NDArray[Any]] = {}
        self._selected = 0

    def prepare(self, sample_rate_hz: float, full_scale_v: float, points: int) -> None:
        """Take note of rate and range."""
        self.sample_rate_hz, self.full_scale_v = sample_rate_hz, full_scale_v

    def load(self, waveforms: NDArray[Any], slot: int = 0) -> None:
        """Keep a waveform."""
        self._slots[slot] = np.asarray(waveforms)
        self._selected = 0

    def select(self, slot: int) -> None:
        """Choose a waveform."""
        self._selected = slot

    def fire(self) -> None:
        """Call the function with the selected waveform."""
        resolved(self._play)(self._slots[self._selected], self.sample_rate_hz)
