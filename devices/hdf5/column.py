"""One column of a growing table: what its values are, and how they get onto the disk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from devices.hdf5.chunk_index import ChunkIndex

__all__ = ["BLOCK_ROWS", "Column", "StoredColumn", "chunk_rows"]

BLOCK_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a growing table: what a single row holds.

    Parameters
    ----------
    dims : mapping of str to int
        Names and lengths of the axes of one row; empty for a number.
    dtype : dtype
        Type of the stored values. Texts are ``S`` and a length: no variable length.
    unit, long_name : str
        What the values are.
    scale, offset : float, optional
        For counts of a converter in a column of whole numbers: what is appended is
        ``offset + scale * count``, in `unit`, and the counts are stored. xarray scales them back.
    """

    dims: Mapping[str, int] = field(default_factory=dict)
    dtype: DTypeLike = "float64"
    unit: str = ""
    long_name: str = ""
    scale: float | None = None
    offset: float = 0.0

    def __post_init__(self) -> None:
        kind = np.dtype(self.dtype).kind
        if kind not in "biufcS" or np.dtype(self.dtype).itemsize == 0:
            raise ValueError(
                f"Column: dtype={self.dtype!r} is no number and no text of a fixed size (as S64)"
            )
        if self.scale is None:
            if self.offset:
                raise ValueError(f"Column: offset={self.offset!r} needs a scale")
        elif kind not in "iu" or not math.isfinite(self.scale) or not self.scale:
            raise ValueError(
                f"Column: scale={self.scale!r} must be finite and not 0, and is for whole numbers; "
                f"dtype is {self.dtype!r}"
            )


def chunk_rows(tail: tuple[int, ...], dtype: DTypeLike) -> int:
    """Rows per chunk for chunks of about 256 KiB, a block of rows at the most."""
    row_bytes = max(1, math.prod(tail) * np.dtype(dtype).itemsize)
    return max(1, min(BLOCK_ROWS, 2**18 // row_bytes))


class StoredColumn:
    """A column in the file."""

    def __init__(self, dataset: h5py.Dataset, column: Column) -> None:
        # Asking h5py for these takes as long as writing a small block.
        self._id = dataset.id
        self._name = dataset.name.rsplit("/", 1)[-1]
        self._column = column
        self._dtype: np.dtype[Any] = dataset.dtype
        self._tail: tuple[int, ...] = dataset.shape[1:]
        self.index = ChunkIndex(dataset)
        self._chunk_bytes = math.prod(dataset.chunks) * self._dtype.itemsize

    def write(self, start: int, blocks: list[NDArray[Any]]) -> None:
        """Extend the column to `start` rows and the blocks, and write these."""
        values = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        self._id.set_extent((start + len(values), *self._tail))
        if values.size:
            place = self._id.get_space()
            place.select_hyperslab((start, *(0 for _ in self._tail)), values.shape)
            values = np.ascontiguousarray(values)
            self._id.write(h5py.h5s.create_simple(values.shape), place, values)

    def growth(self, written: int, n_rows: int) -> int:
        """Return the bytes of the chunks, and their index, that `n_rows` more will need."""
        chunks = self.index.chunks(written + n_rows) - self.index.chunks(written)
        return chunks * (self._chunk_bytes + 256)

    def fitting(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return a block as it is stored; nothing is cut, wrapped or dropped.

        Raises
        ------
        ValueError
            If the shape, the type or a value is not the column's.
        """
        target, kind = self._dtype, block.dtype.kind
        wrong = (kind == "c" and target.kind != "c") or ((kind in "SU") != (target.kind == "S"))
        if block.shape[1:] != self._tail or wrong or kind not in "biufcSU":
            raise ValueError(
                f"column {self._name}: a row is {target} of shape {self._tail}, "
                f"got {block.dtype} of shape {block.shape[1:]}"
            )
        if self._column.scale is not None:
            block = np.round((block - self._column.offset) / self._column.scale)
        if target.kind == "S":
            self._check_lengths(block := np.char.encode(block, "utf-8") if kind == "U" else block)
        elif target.kind in "iu" and block.dtype != target and block.size:
            self._check_range(block)
        return block if block.dtype == target else block.astype(target)

    def _check_lengths(self, block: NDArray[Any]) -> None:
        size = self._dtype.itemsize
        if block.dtype.itemsize > size and np.char.str_len(block).max() > size:
            raise ValueError(f"column {self._name}: a text is longer than {size} bytes")

    def _check_range(self, counts: NDArray[Any]) -> None:
        low, high = np.iinfo(self._dtype).min, np.iinfo(self._dtype).max
        # One comparison catches NaN as well, which is inside no range.
        if not (counts.min() >= low and counts.max() <= high):
            scale, offset = self._column.scale or 1.0, self._column.offset
            given, ends = (
                sorted(offset + scale * one for one in pair)
                for pair in ((counts.min(), counts.max()), (low, high))
            )
            raise ValueError(
                f"column {self._name}: values from {given[0]:g} to {given[1]:g} do not fit in "
                f"{self._dtype}, which holds {ends[0]:g} to {ends[1]:g}"
            )
