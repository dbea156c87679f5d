"""Reading tables that grow: which there are, and how many of their rows are whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["Table", "physical", "readable", "tables", "valid_rows"]


@dataclass(frozen=True)
class Table:
    """One growing table of a file.

    Attributes
    ----------
    group : h5py.Group
        Where it is.
    dim : str
        Name of its dimension and of its index.
    lengths : dict of str to int
        Of the index and of every column; a table is ragged if they differ.
    rows : int
        How many rows are whole in all columns.
    """

    group: h5py.Group
    dim: str
    lengths: dict[str, int]
    rows: int

    @property
    def ragged(self) -> bool:
        """Whether something ends after, or within, the last whole row."""
        return set(self.lengths.values()) != {self.rows}

    @property
    def counted(self) -> bool:
        """Whether it has an index of rows; else it is a dimension that grows, as of bytes."""
        return bool(self.group[self.dim].dtype.kind == "i")

    def cut(self) -> None:
        """Cut every column to the whole rows; the file is open for writing."""
        for name in self.lengths:
            self.group[name].resize(self.rows, axis=0)


def tables(group: h5py.Group) -> Iterator[Table]:
    """Yield every growing table of the group and of the groups below it."""
    here = dict(readable(group))
    for name, item in here.items():
        if isinstance(item, h5py.Group):
            yield from tables(item)
        elif item.maxshape == (None,) and item.is_scale:
            columns = {name: item}
            for other, column in here.items():
                grows = isinstance(column, h5py.Dataset) and column.maxshape[:1] == (None,)
                if grows and other != name and item in column.dims[0].values():
                    columns[other] = column
            lengths = {key: len(column) for key, column in columns.items()}
            yield Table(group, name, lengths, min(map(_stored_rows, columns.values())))


def valid_rows(group: h5py.Group, dim: str = "row") -> int | None:
    """Return how many rows of the table along `dim` are whole; None if there is no such table."""
    return next((t.rows for t in tables(group) if t.group == group and t.dim == dim), None)


def physical(dataset: h5py.Dataset, stop: int | None = None, *, start: int = 0) -> NDArray[Any]:
    """Return rows of an array; counts of a converter in their unit."""
    values: NDArray[Any] = dataset[start:stop]
    if "scale_factor" in dataset.attrs:
        return values * dataset.attrs["scale_factor"] + dataset.attrs.get("add_offset", 0.0)
    return values


def readable(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield what a group has; of a damaged file, what can be opened."""
    names: list[str] = []
    with contextlib.suppress(OSError, KeyError, RuntimeError):
        names = list(group[group.name])  # a file opens what it lists, a group does not
    for name in names:
        try:
            item = group[name]
            dict(item.attrs)
        except (OSError, KeyError, RuntimeError):
            continue
        yield name, item


def _stored_rows(dataset: h5py.Dataset) -> int:
    """Return the rows that are really there: a kill may leave a length without its data."""
    rows, chunk = len(dataset), dataset.chunks[0]
    if dataset.is_scale and dataset.dtype.kind != "i":
        return rows  # a mere dimension has no values
    if not dataset.is_scale:
        try:
            # Chunks span all other axes, so that their number says how many rows have space.
            return min(rows, dataset.id.get_num_chunks() * chunk)
        except (OSError, RuntimeError):  # a damaged file: there is no way to the data
            return 0
    while rows:
        start = (rows - 1) // chunk * chunk
        with contextlib.suppress(OSError, RuntimeError):  # the last chunk may lie behind the end
            good = np.flatnonzero(dataset[start:rows] == np.arange(start, rows))
            if len(good):
                return start + int(good[-1]) + 1
        rows = start
    return 0
