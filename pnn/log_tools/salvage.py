"""Copy what can be read of a damaged HDF5 file into a new one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import h5py
import numpy as np

from devices.hdf5.tables import readable

__all__ = ["salvage"]

_ERRORS = (OSError, KeyError, RuntimeError, ValueError)
# Made anew where scales are attached: they point into the file that they are in.
_POINTERS = ("DIMENSION_LIST", "REFERENCE_LIST")


def salvage(path: Path) -> None:
    """Replace a file by one that has all of it that can be read; what cannot is left out.

    The library can neither delete nor move what has lost its head.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        with (
            h5py.File(path, "r") as source,
            h5py.File(fresh, "w", libver=("earliest", "v108")) as target,
        ):
            _copy(source["/"], target["/"])
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _copy(source: h5py.Group, target: h5py.Group) -> None:
    for name in source.attrs:
        with contextlib.suppress(*_ERRORS):
            target.attrs.create(name, source.attrs[name], dtype=source.attrs.get_id(name).dtype)
    arrays = {}
    for name, item in readable(source):
        if isinstance(item, h5py.Group):
            try:
                len(item)
            except _ERRORS:
                continue
            _copy(item, target.create_group(name))
            continue
        try:
            if item.size and item.ndim:
                item[-1:]
            source.copy(item, target, name)
        except _ERRORS:
            if name in target:
                del target[name]
            continue
        arrays[name] = [_scale_of(axis) for axis in item.dims]
        for pointer in _POINTERS:
            if pointer in target[name].attrs:
                del target[name].attrs[pointer]
    for name, scales in arrays.items():
        if not target[name].is_scale:
            for axis, scale in enumerate(scales):
                there = target[scale] if scale in arrays else _dimension(target, name, axis)
                target[name].dims[axis].attach_scale(there)


def _scale_of(axis: h5py.h5ds.DimensionScale) -> str:
    """Return the name of an axis' scale, "" if it is lost."""
    try:
        return next((str(one.name).rsplit("/", 1)[-1] for one in axis.values()), "")
    except _ERRORS:
        return ""


def _dimension(group: h5py.Group, name: str, axis: int) -> h5py.Dataset:
    """Make a dimension without values, in the netCDF way, for one that is lost."""
    length = group[name].shape[axis]
    scale = group.create_dataset(f"{name}_axis{axis}", (length,), np.float32)
    scale.make_scale(f"This is a netCDF dimension but not a netCDF variable. {length:10d}")
    return scale
