"""A recording as a device: it answers the drives that were recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.errors import DeviceError
from devices.spec import DeviceSpec

__all__ = ["Replay"]


class Replay(Device):
    """Answer recorded drives from a file that `Recorded` wrote; nothing is driven.

    A drive that was recorded several times is answered by its recordings in turn, so that
    repeats show the noise that they had.

    Parameters
    ----------
    path : path
        A file with ``drives``, (row, input), and ``answers``, (row, output).
    group : str
        The group that holds them; the root if not given. A run of ``pnn train --record`` has
        them under ``seed_0/measurements_0``.
    tolerance : float
        Largest distance (root of the sum of squares over inputs) between the drive that is asked
        for and the nearest recorded one; 0 asks for the very same drive.

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

    def __init__(self, path: str | Path, group: str = "/", tolerance: float = 0.0) -> None:
        import h5py
        from scipy.spatial import KDTree

        if not (np.isfinite(tolerance) and tolerance >= 0):
            raise ValueError(f"Replay: tolerance={tolerance!r} must be finite and at least 0")
        if not Path(path).is_file():
            raise FileNotFoundError(f"Replay: there is no file {path}")
        try:
            with h5py.File(path, "r") as file:
                # The shortest array is what was written whole.
                drives, answers = file[group]["drives"], file[group]["answers"]
                rows = min(len(drives), len(answers))
                recorded: NDArray[Any] = drives[:rows]
                self._replies: NDArray[Any] = answers[:rows]
                units = [str(a.attrs.get("units", "1")) for a in (drives, answers)]
        except (OSError, KeyError, TypeError) as error:
            raise ValueError(f"Replay: {path} has no drives and answers in {group!r}") from error
        if not rows:
            raise ValueError(f"Replay: {path} has no recorded rows in {group!r}")
        low, high = float(recorded.min()), float(recorded.max())
        self.spec = DeviceSpec(
            name=f"replay of {Path(path).name}",
            n_inputs=recorded.shape[1],
            n_outputs=self._replies.shape[1],
            low=low,
            high=high if high > low else low + 1.0,
            input_unit=units[0],
            output_unit=units[1],
            output_dtype=self._replies.dtype.name,
        )
        self._tolerance = tolerance
        # The rows of each different drive, in the order of their recording.
        different, which = np.unique(recorded, axis=0, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        self._rows = np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])
        self._turn = np.zeros(len(different), np.int64)
        self._tree = KDTree(different)

    def _measure(self, drives: NDArray[Any]) -> NDArray[Any]:
        distances, nearest = self._tree.query(drives)
        out = np.empty((len(drives), self.spec.n_outputs), self.spec.output_dtype)
        for i, (distance, which) in enumerate(zip(distances, nearest, strict=True)):
            if distance > self._tolerance:
                raise DeviceError(
                    f"{self.spec.name}: the nearest recorded drive is {distance:.3g} away, the "
                    f"tolerance is {self._tolerance:g}; ask for recorded drives, or give a larger "
                    "tolerance",
                    rows=out[:i],
                )
            rows = self._rows[which]
            out[i] = self._replies[rows[self._turn[which] % len(rows)]]
            self._turn[which] += 1
        return out
