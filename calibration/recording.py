"""Rows that were measured before: CSV files or an HDF5 recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import DeviceSpec
from devices.recorded_rows import read_rows

__all__ = ["Recording", "read_recording"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Drives and answers, row by row.

    Attributes
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
    name : str
        What a verdict calls it.
    input_unit, output_unit : str
    domain : str
        Of the inputs, see `DeviceSpec`.
    memory : bool
        Whether the device remembers earlier rows.
    """

    drives: Array
    answers: Array
    name: str = "recording"
    input_unit: str = "1"
    output_unit: str = "1"
    domain: str = "amplitude"
    memory: bool = False

    @classmethod
    def of(cls, spec: DeviceSpec, drives: Array, answers: Array) -> Recording:
        """Return rows of a device."""
        return cls(
            drives=drives,
            answers=answers,
            name=spec.name,
            input_unit=spec.input_unit,
            output_unit=spec.output_unit,
            domain=spec.domain,
            memory=spec.memory,
        )

    def __post_init__(self) -> None:
        shapes = self.drives.shape, self.answers.shape
        if any(len(shape) != 2 for shape in shapes) or shapes[0][0] != shapes[1][0]:
            raise ValueError(
                f"{self.name}: drives of shape {shapes[0]} and answers of shape {shapes[1]} must "
                "be two tables with the same number of rows"
            )
        for what, values in (("drives", self.drives), ("answers", self.answers)):
            if not np.isfinite(values).all():
                row, column = np.argwhere(~np.isfinite(values))[0]
                raise ValueError(
                    f"{self.name}: {what} has {values[row, column]} at row {row}, column {column}"
                )

    def repeats(self) -> list[Array]:
        """Return the row numbers of each drive that occurs more than once, in order of time."""
        _, which = np.unique(self.drives, axis=0, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        cuts = np.flatnonzero(np.diff(which.ravel()[order])) + 1
        return [np.sort(group) for group in np.split(order, cuts) if len(group) > 1]


def read_recording(
    path: str | Path, answers: str | Path | None = None, group: str | None = None
) -> Recording:
    """Read a recording.

    Parameters
    ----------
    path : path
        An HDF5 file of `devices.Recorded`, or a CSV file of drives without header.
    answers : path, optional
        The CSV file of the answers, where the drives are one. Values may be complex (``1+2j``).
    group : str, optional
        The group of the HDF5 file; needed where it has several recordings.

    Raises
    ------
    ValueError
        If a file is no such recording; the message names it.
    OSError
        If a file cannot be read.
    """
    path = Path(path)
    if answers is None:
        if path.suffix.lower() not in (".h5", ".hdf5", ".nc"):
            raise ValueError(
                f"{path}: a recording is an HDF5 file, or two CSV files, of drives and of answers"
            )
        return _from_hdf5(path, group)
    tables = [_from_csv(Path(one)) for one in (path, answers)]
    if np.iscomplexobj(tables[0]):
        raise ValueError(f"{path}: drives must be real numbers")
    return Recording(drives=tables[0], answers=tables[1], name=path.resolve().parent.name)


def _from_csv(path: Path) -> Array:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    for kind in (float, complex):
        try:
            return np.loadtxt(path, delimiter=",", dtype=kind, ndmin=2)
        except ValueError as error:
            reason = error
    raise ValueError(f"{path}: not a table of numbers separated by commas: {reason}")


def _from_hdf5(path: Path, group: str | None) -> Recording:
    found = read_rows(path, group)
    return Recording.of(found.spec, found.drives, found.answers)
