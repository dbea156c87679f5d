"""A wrapper that keeps what goes through a device, for the raw data of calibration files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.named_array import Quantity
from devices import Device, Measurement, Purpose, Wrapper

__all__ = ["Tap"]


class Tap(Wrapper):
    """Pass everything on and keep drives, answers, times and monitors' readings in memory.

    The device that is looked at stays open when this wrapper is closed.
    """

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._seen: list[tuple[NDArray[Any], Measurement]] = []

    def _acquire(self, drives: NDArray[Any], purpose: Purpose) -> Measurement:
        measured = self.inner.acquire(drives, purpose=purpose)
        self._seen.append((drives, measured))
        return measured

    def _close(self) -> None:
        pass

    def raw(self) -> dict[str, Quantity]:
        """Return the rows in order of time: ``drives``, ``answers``, ``time``, ``flags``.

        ``time`` is that of the call that a row was in; ``reading_NAME`` is what a monitor read
        before it.
        """
        if not self._seen:
            return {}
        drives, calls = [d for d, _ in self._seen], [m for _, m in self._seen]
        rows = np.repeat(np.arange(len(calls)), [len(d) for d in drives])
        found = {
            "drives": Quantity(np.concatenate(drives), ("row", "input"), self.spec.input_unit),
            "answers": Quantity(
                np.concatenate([m.outputs for m in calls]), ("row", "output"), self.spec.output_unit
            ),
            "time": Quantity(
                np.array([m.time_s for m in calls])[rows],
                ("row",),
                "seconds since 1970-01-01T00:00:00Z",
            ),
            "flags": Quantity(np.concatenate([m.flags for m in calls]), ("row",)),
        }
        for name in calls[0].readings:
            values = np.array([m.readings.get(name, np.nan) for m in calls])[rows]
            found[f"reading_{name}"] = Quantity(values, ("row",))
        return found
