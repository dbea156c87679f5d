"""A recording as a device: it answers the drives that were recorded."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number
from devices.device import Device
from devices.errors import DeviceError
from devices.recorded_rows import read_rows

__all__ = ["Replay"]

Array = NDArray[Any]


class Replay(Device):
    """Answer recorded drives from a file; nothing is driven.

    A drive that was recorded several times is answered by its recordings in turn, so that
    repeats show the noise that they had. Limits, domain and units are those of the recorded
    device, so that the same training sends the same drives.

    Parameters
    ----------
    path : path
        A file of `Recorded`, of ``pnn train --record``, of ``pnn log import``, or any HDF5 file
        with ``drives``, (row, input), and ``answers``, (row, output).
    group : str, optional
        The group that holds them, as ``seed_0/measurements_0``. None: all that the file has, if
        they are of one device.
    tolerance : float
        Largest distance between the drive that is asked for and the nearest recorded one: root of
        the sum of squares over inputs, each in units of its legal range. 0 asks for the very same
        drive.

    Raises
    ------
    ValueError
        If the file has no such arrays, or `tolerance` is negative.
    FileNotFoundError
        If there is no such file.
    DeviceError
        While measuring: if no recorded drive is near enough; the message says how far the nearest
        is.
    """

    reproducible = True

    def __init__(self, path: str | Path, group: str | None = None, tolerance: float = 0.0) -> None:
        self._tolerance = number("Replay", "tolerance", tolerance, 0.0)
        recorded = read_rows(path, group)
        self.spec = replace(recorded.spec, name=f"replay of {Path(path).name}")
        self._replies = recorded.answers
        # The rows of each different drive, in the order of their recording.
        self._different, which = np.unique(recorded.drives, axis=0, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        self._rows = np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])
        self._turn = np.zeros(len(self._different), np.int64)
        self._known = {_key(drive): i for i, drive in enumerate(self._different)}

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import KDTree

        return KDTree(self._different / self._widths)

    @property
    def _widths(self) -> Array:
        low, high = self.spec.limits
        return high - low

    def _measure(self, drives: Array) -> Array:
        out = np.empty((len(drives), self.spec.n_outputs), self.spec.output_dtype)
        for i, drive in enumerate(drives):
            which = self._known.get(_key(drive))
            if which is None:
                which = self._nearest(drive, out[:i])
            rows = self._rows[which]
            out[i] = self._replies[rows[self._turn[which] % len(rows)]]
            self._turn[which] += 1
        return out

    def _nearest(self, drive: Array, before: Array) -> int:
        distance, which = self._tree.query(drive / self._widths)
        if distance > self._tolerance:
            k = int(np.argmax(np.abs(drive - self._different[which]) / self._widths))
            raise DeviceError(
                f"{self.spec.name}: the nearest recorded drive is {distance:.3g} away, in units of "
                f"the inputs' ranges (most in input {k}: asked for {drive[k]:g}, recorded "
                f"{self._different[which][k]:g}); the tolerance is {self._tolerance:g}. Ask for "
                "recorded drives, or give a larger tolerance",
                rows=before,
            )
        return int(which)


def _key(drive: Array) -> bytes:
    return (drive + 0.0).tobytes()  # so that -0 is 0
