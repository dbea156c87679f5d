"""Tables that grow: rows are kept for a moment, go out in blocks, and the index goes last."""

from __future__ import annotations

import time
from bisect import bisect
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.hdf5.column import BLOCK_ROWS, Column, StoredColumn
from devices.hdf5.session import Session

__all__ = ["BLOCK_SECONDS", "RowLog"]

BLOCK_SECONDS = 1.0
BLOCK_BYTES = 2**24
# Rows wait no longer than makes flushing cost this share of the time.
_FLUSH_SHARE = 0.02


class RowLog:
    """Append rows to a table; blocks go out at 256 rows, as soon as that is cheap, or by a timer.

    Nothing waits for longer than `WAIT_SECONDS`, whatever the caller does after he has appended.
    """

    def __init__(
        self,
        scale: h5py.Dataset,
        datasets: Mapping[str, h5py.Dataset],
        columns: Mapping[str, Column],
        session: Session,
    ) -> None:
        self._index = StoredColumn(scale, Column(dtype=np.int64))
        self._columns = {name: StoredColumn(datasets[name], columns[name]) for name in columns}
        self._session = session
        self._blocks: list[Mapping[str, NDArray[Any]]] = []
        self._waiting = self._waiting_bytes = 0
        self._written = len(scale)
        self._flushed = time.monotonic()
        self._cost = 0.0  # of the last flush, in seconds

    @property
    def count(self) -> int:
        """Rows of the table, those that wait to be written included."""
        return self._written + self._waiting

    @property
    def waiting(self) -> int:
        """Rows that are not in the file yet."""
        return self._waiting

    def append(self, **columns: ArrayLike) -> None:
        """Append rows; every column is given, each with the same number of rows.

        The values are copied: the caller may change his arrays at once.

        Raises
        ------
        ValueError
            If a column is missing, unknown, of another length or shape, complex where the
            table is real, or beyond the range of its type. Nothing is appended.
        RecordFull
            If the space runs out. The rows are written before it is raised, as far as they fit:
            what is kept free is more than a block, unless a row is very wide.
        """
        blocks = {name: np.atleast_1d(np.asarray(values)) for name, values in columns.items()}
        lengths = {name: len(block) for name, block in blocks.items()}
        if blocks.keys() != self._columns.keys() or len(set(lengths.values())) != 1:
            raise ValueError(
                f"a block needs the columns {sorted(self._columns)}, of equal length, got {lengths}"
            )
        for name, block in blocks.items():  # now, not when the block is written with its neighbours
            blocks[name] = self._columns[name].fitting(block)
        with self._session.lock:
            self._session.begin()
            n = next(iter(lengths.values()))
            fits, ample = self._fits(n)
            if fits < n:
                blocks = {name: block[:fits] for name, block in blocks.items()}
            self._blocks.append(blocks)
            self._waiting += fits
            self._waiting_bytes += sum(block.nbytes for block in blocks.values())
            elapsed = time.monotonic() - self._flushed
            late = elapsed >= min(BLOCK_SECONDS, self._cost / _FLUSH_SHARE)
            full = self._waiting >= BLOCK_ROWS or self._waiting_bytes >= BLOCK_BYTES
            if full or late or not ample:
                self.flush()
            else:  # they wait, and the caller may change his arrays
                self._blocks[-1] = {
                    name: np.array(block) if np.may_share_memory(block, columns[name]) else block
                    for name, block in blocks.items()
                }
                self._session.flush_soon()
            if not ample:
                lost = f", {n - fits} rows did not fit" if fits < n else ""
                raise self._session.full(f"no room for more than {self.count} rows{lost}")

    def make_room(self, n_rows: int) -> None:
        """Check that `n_rows` more can be written without touching the reserve.

        Raises
        ------
        RecordFull
            If they cannot. To be called before what takes time or wear is done for these rows.
        """
        if not self._session.spare(self._bytes(self._waiting + n_rows))[1]:
            raise self._session.full(f"no room for {n_rows} more rows after {self.count}")

    def flush(self) -> None:
        """Write what waits, the row index last: the valid length is that of the index.

        Raises
        ------
        RecordFull
            If another program has taken the room that was there; the rows go on waiting.
        """
        with self._session.lock:
            if self._waiting:
                self._write()
            self._flushed = time.monotonic()

    def _write(self) -> None:
        clock = time.perf_counter()
        start, stop = self._written, self.count
        if self._session.spare(self._bytes(self._waiting))[0] < 0:
            raise self._session.full(f"no room for the {self._waiting} rows that wait")
        for name, column in self._columns.items():
            column.write(start, [block[name] for block in self._blocks])
        self._index.write(start, [np.arange(start, stop)])
        self._blocks, self._waiting, self._waiting_bytes = [], 0, 0
        self._written = stop
        stored = (*self._columns.values(), self._index)
        self._session.hand_over((column.index, start, stop) for column in stored)
        self._cost = time.perf_counter() - clock

    def _fits(self, n_rows: int) -> tuple[int, bool]:
        """Return how many of `n_rows` more can be written, and whether more can after them."""

        def left(rows: int) -> tuple[int, bool]:
            return self._session.spare(self._bytes(self._waiting + rows))

        spare, ample = left(n_rows)
        if spare >= 0:
            return n_rows, ample
        return bisect(range(1, n_rows), 0, key=lambda rows: -left(rows)[0]), False

    def _bytes(self, n_rows: int) -> int:
        """Return how much the file grows by `n_rows`: whole chunks, and their index."""
        return sum(
            column.growth(self._written, n_rows)
            for column in (self._index, *self._columns.values())
        )
