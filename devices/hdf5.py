"""The one place where HDF5 is written.

Files follow the netCDF-4 conventions for dimensions, so that plain
``xarray.open_dataset(path, engine="h5netcdf", group=...)`` shows named dimensions, coordinates
and units. The structure of a growing table is created and flushed first; after that, rows are
only appended, in blocks, which is what leaves a file readable when the process is killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["SCHEMA", "Column", "RecordFile", "RecordGroup", "RowLog", "attribute"]

#: Version of the layout, written into every file.
SCHEMA = 1

BLOCK_ROWS = 256
BLOCK_SECONDS = 1.0


class RecordGroup:
    """One group of a record file: attributes, arrays with named dimensions, tables that grow."""

    def __init__(self, group: h5py.Group, logs: list[RowLog] | None = None) -> None:
        self._group = group
        self._logs = [] if logs is None else logs  # of the whole file, so that it can flush them

    def group(self, name: str) -> RecordGroup:
        """Return the sub-group `name`, made if it is not there."""
        return RecordGroup(self._group.require_group(name), self._logs)

    def set(self, **attributes: Any) -> None:
        """Write attributes; anything that is not a number or a text is kept as JSON."""
        for key, value in attributes.items():
            self._group.attrs[key] = attribute(value)

    def write(
        self,
        name: str,
        values: ArrayLike,
        dims: Sequence[str],
        *,
        unit: str = "",
        long_name: str = "",
    ) -> None:
        """Write an array whose axes are called `dims`.

        A dimension belongs to the group and has one length in it. An array called like its only
        dimension becomes that dimension's coordinate; write it before the others.

        Raises
        ------
        ValueError
            If the number of names is not that of the axes, or a length does not fit.
        """
        data = np.asarray(values)
        if data.dtype.kind == "b":
            data = data.astype(np.uint8)
        if data.ndim != len(dims):
            raise ValueError(f"{name}: {data.ndim} axes, but the names {tuple(dims)}")
        if (name,) == tuple(dims):
            dataset = self._group.create_dataset(name, data=data)
            dataset.make_scale(name)
        else:
            scales = [self._scale(d, n) for d, n in zip(dims, data.shape, strict=True)]
            dataset = self._group.create_dataset(name, data=data)
            for axis, scale in enumerate(scales):
                dataset.dims[axis].attach_scale(scale)
        _describe(dataset, unit, long_name)

    def rewrite(self, name: str, values: ArrayLike) -> None:
        """Put new values into an array that is there already, of the same shape.

        Raises
        ------
        ValueError
            If the shape differs.
        """
        data, dataset = np.asarray(values), self._group[name]
        if data.shape != dataset.shape:
            raise ValueError(f"{name} has shape {dataset.shape}, the new values {data.shape}")
        dataset[...] = data

    def flush(self) -> None:
        """Hand everything written so far to the operating system, waiting rows included."""
        for log in self._logs:
            log.flush()
        self._group.file.flush()

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def rows(self, columns: Mapping[str, Column], dim: str = "row") -> RowLog:
        """Create the columns of a table that grows along `dim`, and return its writer."""
        scale = self._group.create_dataset(
            dim, shape=(0,), maxshape=(None,), dtype=np.int64, chunks=(4 * BLOCK_ROWS,)
        )
        scale.make_scale(dim)
        datasets = {}
        for name, column in columns.items():
            sizes = [self._scale(d, n) for d, n in column.dims.items()]
            tail = tuple(column.dims.values())
            dataset = self._group.create_dataset(
                name,
                shape=(0, *tail),
                maxshape=(None, *tail),
                dtype=column.dtype,
                chunks=(_chunk_rows(tail, column.dtype), *tail),
            )
            for axis, size in enumerate((scale, *sizes)):
                dataset.dims[axis].attach_scale(size)
            _describe(dataset, column.unit, column.long_name)
            datasets[name] = dataset
        self._group.file.flush()
        log = RowLog(scale, datasets)
        self._logs.append(log)
        return log

    def _scale(self, name: str, length: int) -> h5py.Dataset:
        if name not in self._group:
            # The netCDF way to say "a dimension without coordinate values".
            scale = self._group.create_dataset(name, shape=(length,), dtype=np.float32)
            scale.make_scale(f"This is a netCDF dimension but not a netCDF variable. {length:10d}")
        scale = self._group[name]
        if scale.shape != (length,):
            raise ValueError(
                f"{self._group.name}: dimension {name} has length {scale.shape[0]}, not {length}"
            )
        return scale


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a growing table: what a single row holds.

    Parameters
    ----------
    dims : mapping of str to int
        Names and lengths of the axes of one row; empty for a number.
    dtype : dtype
        Type of the values.
    unit, long_name : str
        What the values are.
    """

    dims: Mapping[str, int]
    dtype: DTypeLike = "float64"
    unit: str = ""
    long_name: str = ""


class RowLog:
    """Append rows to a table; blocks go out at 256 rows or after a second."""

    def __init__(self, scale: h5py.Dataset, columns: Mapping[str, h5py.Dataset]) -> None:
        self._scale = scale
        self._columns = columns
        self._blocks: list[Mapping[str, NDArray[Any]]] = []
        self._waiting = 0
        self._flushed = time.monotonic()

    def append(self, **columns: ArrayLike) -> None:
        """Append rows; every column is given, each with the same number of rows.

        The values are copied: the caller may change his arrays at once.

        Raises
        ------
        ValueError
            If a column is missing, unknown, of another length or shape, or complex where the
            table is real.
        """
        blocks = {name: np.atleast_1d(np.array(values)) for name, values in columns.items()}
        lengths = {name: len(block) for name, block in blocks.items()}
        if blocks.keys() != self._columns.keys() or len(set(lengths.values())) != 1:
            raise ValueError(
                f"a block needs the columns {sorted(self._columns)}, of equal length, got {lengths}"
            )
        for name, block in blocks.items():  # now, not when the block is written with its neighbours
            column = self._columns[name]
            real = block.dtype.kind == "c" and column.dtype.kind != "c"
            if block.shape[1:] != column.shape[1:] or real:
                raise ValueError(
                    f"column {name}: a row is {column.dtype} of shape {column.shape[1:]}, "
                    f"got {block.dtype} of shape {block.shape[1:]}"
                )
        self._blocks.append(blocks)
        self._waiting += next(iter(lengths.values()))
        late = time.monotonic() - self._flushed >= BLOCK_SECONDS
        if self._waiting >= BLOCK_ROWS or late:
            self.flush()

    def flush(self) -> None:
        """Write what waits, the row index last: the valid length is that of the index."""
        if self._waiting:
            start = self._scale.shape[0]
            stop = start + self._waiting
            for name, dataset in self._columns.items():
                dataset.resize(stop, axis=0)
                dataset[start:] = np.concatenate([block[name] for block in self._blocks])
            self._scale.resize(stop, axis=0)
            self._scale[start:] = np.arange(start, stop)
            self._blocks, self._waiting = [], 0
            self._scale.file.flush()
        self._flushed = time.monotonic()


class RecordFile(RecordGroup):
    """An HDF5 file written by one command; closed in every case with its status.

    Parameters
    ----------
    path : path
        A file that does not exist yet; missing folders are made.
    kind : str
        What the file records: ``train``, ``recording`` ...
    **attributes
        Written at the root at once.

    Raises
    ------
    FileExistsError
        If there is a file already: a record is never overwritten.
    OSError
        If the place cannot be written; raised before anything is driven.
    """

    def __init__(self, path: str | Path, *, kind: str, **attributes: Any) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"cannot make the folder of the record {self.path}: {error}") from error
        try:
            self.file = h5py.File(self.path, "x")
        except FileExistsError:
            raise FileExistsError(
                f"{self.path} exists already and is not overwritten; choose another file"
            ) from None
        except OSError as error:
            raise OSError(f"cannot write the record {self.path}: {error}") from error
        super().__init__(self.file)
        try:
            self.set(
                schema=SCHEMA,
                kind=kind,
                status="running",
                started=datetime.now(UTC).isoformat(timespec="milliseconds"),
                **attributes,
            )
            self.flush()
        except BaseException as error:
            self.close("failed", error)
            raise

    def close(self, status: str = "done", error: BaseException | None = None) -> None:
        """Write the waiting rows and close the file with its status; nothing on a closed file."""
        if self.file:
            try:
                if error is not None:
                    self.set(error=f"{type(error).__name__}: {error}")
                self.flush()
                self.set(status=status, ended=datetime.now(UTC).isoformat(timespec="milliseconds"))
            finally:
                self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
            self.close("interrupted" if interrupted else "failed", error)


def attribute(value: Any) -> Any:
    """Return `value` as HDF5 keeps it in an attribute: a number, a text, or JSON."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, str):  # an instrument's text may hold what HDF5 cannot
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)  # a seed may have 128 bits
    if isinstance(value, (int, float, np.number)):
        return value
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def _describe(dataset: h5py.Dataset, unit: str, long_name: str) -> None:
    if unit:
        dataset.attrs["units"] = unit
    if long_name:
        dataset.attrs["long_name"] = long_name


def _chunk_rows(tail: tuple[int, ...], dtype: DTypeLike) -> int:
    """Rows per chunk for chunks of about 256 KiB, a block of rows at the most."""
    row_bytes = max(1, int(np.prod(tail, dtype=np.int64)) * np.dtype(dtype).itemsize)
    return max(1, min(BLOCK_ROWS, 2**18 // row_bytes))
