"""One group of a record file: attributes, arrays with named dimensions, tables that grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from devices.hdf5 import bundle as bundles
from devices.hdf5.attributes import SLOT_LIMIT, attribute, put_in_place, reserve_slot, slot_size
from devices.hdf5.bundle import Bundle
from devices.hdf5.chunk_index import ChunkIndex
from devices.hdf5.column import BLOCK_ROWS, Column, chunk_rows
from devices.hdf5.rows import RowLog
from devices.hdf5.session import Session

__all__ = ["RecordGroup"]


class RecordGroup:
    """One group of a record file.

    What is created here is created before the first row is appended anywhere in the file, or
    inside `restructuring`; afterwards only what is there changes.
    """

    def __init__(self, group: h5py.Group, session: Session) -> None:
        self._group, self._session = group, session

    @property
    def h5(self) -> h5py.Group:
        """The group as h5py sees it, for reading."""
        return self._group

    def restructuring(self) -> AbstractContextManager[None]:
        """Allow new groups, arrays, tables and attributes while rows are appended.

        Everything is brought to the disk before and after, so that this is for rare moments.
        """
        return self._session.restructuring()

    def group(self, name: str) -> RecordGroup:
        """Return the sub-group `name`, made if it is not there."""
        if name not in self._group:
            self._session.check_structure(f"the group {name}")
        return RecordGroup(self._group.require_group(name), self._session)

    def __contains__(self, name: str) -> bool:
        return name in self._group

    # -- attributes ----------------------------------------------------------------------------

    def slot(self, name: str, size: int) -> None:
        """Reserve a text attribute of `size` bytes, which `set` can write again and again.

        An empty slot reads as no attribute. A slot that is there already is left as it is.

        Raises
        ------
        ValueError
            If `size` is not from 1 to 60000.
        """
        if not 1 <= size <= SLOT_LIMIT:
            raise ValueError(f"slot {name}: size={size} must be from 1 to {SLOT_LIMIT} bytes")
        if not slot_size(self._group, name):
            self._session.check_structure(f"the slot {name}")
            reserve_slot(self._group, name, size)

    def set(self, **attributes: Any) -> None:
        """Write attributes; anything that is not a number or a text is kept as JSON.

        A text that fits its slot, and a number of the same type, are written in place.

        Raises
        ------
        StructureError
            If rows are being appended and an attribute would be created, or replaced by a longer
            one.
        """
        for key, given in attributes.items():
            value = attribute(given)
            if not put_in_place(self._group, key, value):
                size = slot_size(self._group, key)
                longer = f" (too long for its slot of {size} bytes)" if size else ""
                self._session.check_structure(f"the attribute {key}{longer}")
                self._group.attrs[key] = value

    def plot(self, signal: str, axes: Sequence[str]) -> None:
        """Say which array is the one to look at, and its axes: ``signal`` and ``axes`` of NeXus.

        Parameters
        ----------
        signal : str
            Name of an array.
        axes : sequence of str
            The coordinate of each of its dimensions; ``.`` for one without.
        """
        self._session.check_structure("plot hints")
        self._group.attrs["signal"] = signal
        self._group.attrs.create("axes", list(axes), dtype=h5py.string_dtype("utf-8", 64))

    # -- arrays --------------------------------------------------------------------------------

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
        RecordFull
            If there is no room.
        """
        data = np.asarray(values)
        if data.dtype.kind == "b":
            data = data.astype(np.uint8)
        if data.ndim != len(dims):
            raise ValueError(f"{name}: {data.ndim} axes, but the names {tuple(dims)}")
        if data.dtype.kind == "U":  # what readers show as text; it is never written over
            data = data.astype(h5py.string_dtype())
        self._session.check_structure(f"the array {name}")
        self._session.check_room(data.nbytes, name)
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
        self._session.flush()

    # -- what changes while the file is written ------------------------------------------------

    def bundle(self, name: str) -> Bundle:
        """Reserve room for arrays of any names and shapes, and return what writes them.

        `read_bundle` finds nothing before the first `Bundle.write`. In a file that was re-opened,
        the bundle goes on.
        """
        if name not in self._group:
            self._session.check_structure(f"the bundle {name}")
            bundles.reserve(self._group.create_group(name))
        return Bundle(self._group[name], self._session)

    def rows(self, columns: Mapping[str, Column], dim: str = "row") -> RowLog:
        """Create the columns of a table that grows along `dim`, and return its writer.

        A table that is there with the same columns goes on where it ends.

        Raises
        ------
        ValueError
            If the table is there with other columns, or a column is called like a dimension.
        """
        dims = {dim}.union(*(column.dims for column in columns.values()))
        if twice := sorted(dims & columns.keys()):
            raise ValueError(f"{self._group.name}: {twice} are names of columns and of dimensions")
        if dim in self._group:
            return self._resume(columns, dim)
        self._session.check_structure(f"the table along {dim}")
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
                chunks=(chunk_rows(tail, column.dtype), *tail),
            )
            for axis, size in enumerate((scale, *sizes)):
                dataset.dims[axis].attach_scale(size)
            _describe(dataset, column.unit, column.long_name)
            if column.scale is not None:
                dataset.attrs["scale_factor"] = float(column.scale)
                dataset.attrs["add_offset"] = float(column.offset)
            datasets[name] = dataset
        for dataset in (scale, *datasets.values()):
            ChunkIndex.make(dataset)
        self._session.hand_over()
        return self._log(scale, datasets, columns)

    def _resume(self, columns: Mapping[str, Column], dim: str) -> RowLog:
        scale = self._group[dim]
        there = {
            name: item
            for name, item in self._group.items()
            if name != dim and isinstance(item, h5py.Dataset) and item.maxshape[:1] == (None,)
            and scale in item.dims[0].values()
        }  # fmt: skip
        have = {name: _told(item) for name, item in there.items()}
        want = {name: _wanted(column) for name, column in columns.items()}
        if have != want:
            wrong = sorted(n for n in have.keys() | want.keys() if have.get(n) != want.get(n))
            told = "; ".join(
                f"{n} is {have.get(n, 'missing')}, asked for {want.get(n)}" for n in wrong[:4]
            )
            raise ValueError(f"{self._group.name}: there is a table along {dim}, but {told}")
        return self._log(scale, {name: there[name] for name in columns}, columns)

    def _log(
        self, scale: h5py.Dataset, datasets: dict[str, h5py.Dataset], columns: Mapping[str, Column]
    ) -> RowLog:
        log = RowLog(scale, datasets, dict(columns), self._session)
        self._session.logs.append(log)
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


def _describe(dataset: h5py.Dataset, unit: str, long_name: str) -> None:
    if unit:
        dataset.attrs["units"] = unit
    if long_name:
        dataset.attrs["long_name"] = long_name


def _told(dataset: h5py.Dataset) -> str:
    """Say what makes a column on the disk the one that is asked for."""
    attrs = dataset.attrs
    scaling = (attrs.get("scale_factor"), attrs.get("add_offset"))
    return _kind(dataset.dtype, dataset.shape[1:], str(attrs.get("units", "")), scaling)


def _wanted(column: Column) -> str:
    scaling = (None, None) if column.scale is None else (column.scale, column.offset)
    return _kind(np.dtype(column.dtype), tuple(column.dims.values()), column.unit, scaling)


def _kind(dtype: object, shape: tuple[int, ...], unit: str, scaling: tuple[Any, Any]) -> str:
    scaled = f", counts of {scaling[0]} from {scaling[1]}" if scaling[0] is not None else ""
    return f"{dtype} of shape {shape} in {unit or 'no unit'}{scaled}"
