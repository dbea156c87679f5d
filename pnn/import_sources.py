"""Files of others that rows can be imported from: their columns, by name or by number."""

from __future__ import annotations

import fnmatch
import re
import zlib
from abc import ABC, abstractmethod
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np
from numpy.typing import NDArray

from pnn.data.table import csv_lines

__all__ = ["ArrayFile", "Source", "TextTable", "open_source"]

Array = NDArray[Any]

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


class Source(ABC):
    """A file with columns of numbers. A column has a place: an array's name, and a number in it."""

    path: Path

    @abstractmethod
    def widths(self) -> dict[str, int]:
        """Return how many columns each named thing has: 1 each in a table."""

    @abstractmethod
    def read(self, places: list[tuple[str, int]]) -> Array:
        """Return columns, (rows, columns)."""

    def everything(self) -> list[tuple[str, int]]:
        """Return all columns."""
        return [(name, k) for name, width in self.widths().items() for k in range(width)]

    def select(self, text: str, option: str) -> list[tuple[str, int]]:
        """Return the columns that a selection names, in its order.

        Parameters
        ----------
        text : str
            Separated by commas: a name (``drive``), names by a pattern (``x*``), columns of a
            named array (``data:1-20``), or numbers of columns from 1 (``1-20``).
        option : str
            What an error calls the selection.

        Raises
        ------
        ValueError
            If nothing is called so; the message lists what there is.
        """
        found: list[tuple[str, int]] = []
        for part in (one.strip() for one in text.split(",")):
            places = self._part(part)
            if not places:
                raise ValueError(
                    f"{self.path}: {option} {part!r} matches nothing; there are {self.told()}"
                )
            found += places
        if len(set(found)) < len(found):
            twice = next(place for place in found if found.count(place) > 1)
            raise ValueError(f"{self.path}: {option} {text!r} has {self.call(twice)} twice")
        return found

    def _part(self, part: str) -> list[tuple[str, int]]:
        widths = self.widths()
        if part in widths:
            return [(part, k) for k in range(widths[part])]
        name, colon, numbers = part.rpartition(":")
        if colon and name in widths:
            return self._numbered(numbers, [(name, k) for k in range(widths[name])])
        if _RANGE.fullmatch(part):
            return self._numbered(part, self.everything())
        return [(n, k) for n in fnmatch.filter(widths, part) for k in range(widths[n])]

    def _numbered(self, text: str, places: list[tuple[str, int]]) -> list[tuple[str, int]]:
        match = _RANGE.fullmatch(text)
        if match is None:
            return []
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= len(places):
            raise ValueError(
                f"{self.path}: columns {text}: they are counted from 1 to {len(places)}"
            )
        return places[first - 1 : last]

    def call(self, place: tuple[str, int]) -> str:
        """Return what a message calls a column."""
        name, k = place
        return f"column {name!r}" if self.widths()[name] == 1 else f"column {k + 1} of {name!r}"

    def told(self) -> str:
        """Return what there is to select."""
        widths = self.widths()
        shown = [n if width == 1 else f"{n} ({width} columns)" for n, width in widths.items()]
        more = f" and {len(shown) - 24} more" if len(shown) > 24 else ""
        return ", ".join(shown[:24]) + more


class TextTable(Source):
    """A CSV file; only the columns that are taken must be numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = csv_lines(path)
        first = next(lines, None)
        if first is None:
            raise ValueError(f"{path}: it is empty")
        named = not any(map(_is_number, first[1]))
        self._names = [cell.strip() for cell in first[1]] if named else []
        if named and len(set(self._names)) < len(self._names):
            # Called by their numbers, then: two of the same name cannot be told apart.
            self._names = []
        self._names = self._names or [str(i + 1) for i in range(len(first[1]))]
        rows = list(lines if named else chain([first], lines))
        for line, cells in rows:
            if len(cells) != len(self._names):
                raise ValueError(
                    f"{path}, line {line}: it has {len(cells)} cells, expected {len(self._names)}"
                )
        if not rows:
            raise ValueError(f"{path}: it has no row below its header")
        self._lines = [line for line, _ in rows]
        self._cells = [cells for _, cells in rows]

    def widths(self) -> dict[str, int]:  # noqa: D102
        return dict.fromkeys(self._names, 1)

    def read(self, places: list[tuple[str, int]]) -> Array:  # noqa: D102
        at = [self._names.index(name) for name, _ in places]
        cells = [[row[i] for i in at] for row in self._cells]
        try:
            return np.array(cells, np.float64)
        except ValueError:
            pass
        try:
            return np.array([[complex(cell.strip()) for cell in row] for row in cells])
        except ValueError:
            for line, row in zip(self._lines, cells, strict=True):
                for (name, _), cell in zip(places, row, strict=True):
                    if not _is_number(cell):
                        hint = " (write decimals with a point)" if "," in cell else ""
                        raise ValueError(
                            f"{self.path}, line {line}, column {name!r}: {cell!r} is not a "
                            f"number{hint}"
                        ) from None
            raise


class ArrayFile(Source):
    """Named arrays of one or two dimensions; `turned` ones have a row for each column."""

    def __init__(self, path: Path, arrays: dict[str, Array], turned: bool) -> None:
        self.path = path
        self._arrays = {}
        for name, array in arrays.items():
            if array.dtype.kind in "biufc" and array.size and array.ndim in (1, 2):
                table = array[:, None] if array.ndim == 1 else array
                self._arrays[name] = table.T if turned and array.ndim == 2 else table
        if not self._arrays:
            raise ValueError(f"{path}: it has no array of numbers of one or two dimensions")

    def widths(self) -> dict[str, int]:  # noqa: D102
        return {name: array.shape[1] for name, array in self._arrays.items()}

    def read(self, places: list[tuple[str, int]]) -> Array:  # noqa: D102
        lengths = {name: len(self._arrays[name]) for name, _ in places}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {n}" for name, n in lengths.items())
            raise ValueError(
                f"{self.path}: the arrays differ in their number of rows: {told}. Rows are "
                "measurements; --transpose takes arrays that have them as columns"
            )
        columns = np.stack([self._arrays[name][:, k] for name, k in places], axis=1)
        return columns if columns.dtype.kind in "fc" else columns.astype(np.float64)


def open_source(path: str | Path, *, transpose: bool = False) -> Source:
    """Open a file by its ending: .npz, .mat, .h5 (.hdf5, .nc); any other is read as CSV.

    Parameters
    ----------
    transpose : bool
        Whether arrays have a column for each measurement, as MATLAB's often do.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not what its ending says, or has no numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    kind = path.suffix.lower()
    if kind == ".npz":
        return ArrayFile(path, _npz(path), transpose)
    if kind == ".mat":
        return ArrayFile(path, _mat(path), transpose)
    if kind in (".h5", ".hdf5", ".nc"):
        return ArrayFile(path, _hdf5(path), transpose)
    if transpose:
        raise ValueError(f"{path}: --transpose is for files with arrays, not for CSV")
    return TextTable(path)


def _npz(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file}
    except (BadZipFile, EOFError, OSError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"{path}: it cannot be read as an NPZ file: {error}") from error


def _mat(path: Path) -> dict[str, Array]:
    if h5py.is_hdf5(path):  # version 7.3; there, axes are in the other order
        return {name: array.T for name, array in _hdf5(path).items()}
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path)
    except (MatReadError, ValueError, TypeError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: it cannot be read as a MATLAB file: {error}") from error
    return {n: a for n, a in found.items() if isinstance(a, np.ndarray) and n[:2] != "__"}


def _hdf5(path: Path) -> dict[str, Array]:
    found: dict[str, Array] = {}

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("#") and item.ndim in (1, 2):
            values = item[()]
            if values.dtype.names == ("real", "imag"):  # how MATLAB writes complex numbers
                values = values["real"] + 1j * values["imag"]
            found[name] = values

    try:
        with h5py.File(path, "r") as file:
            file.visititems(look)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path}: it cannot be read as HDF5: {error}") from error
    return {name: found[name] for name in sorted(found, key=_natural)}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort x2 before x10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _is_number(cell: str) -> bool:
    try:
        complex(cell.strip())
    except ValueError:
        return False
    return True
