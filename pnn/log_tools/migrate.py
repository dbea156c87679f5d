"""Bring files of older layouts up to date; each step leads from one version to the next."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import h5py
import numpy as np

from devices.hdf5 import SCHEMA, read_attributes, schema_of, tables
from devices.hdf5.attributes import put_in_place, reserve_slot, slot_text
from devices.hdf5.file import ROOT_SLOTS
from devices.row_context import ROW_FIELDS
from pnn.log_tools.opening import beside, existing, opened

__all__ = ["migrate"]


def migrate(path: str | Path, out: str | Path | None = None) -> Path:
    """Write a copy of a file in the layout of this version.

    Parameters
    ----------
    path : path
        A record file of an older layout; it is not changed.
    out : path, optional
        The copy; ``NAME.vN.h5`` beside it if not given.

    Raises
    ------
    ValueError
        If there is nothing to do, or the file is no record, or of a newer layout.
    OSError
        If it cannot be read or the copy be written.
    """
    path = existing(path)
    with opened(path) as file:
        version = schema_of(file)
    if version is None:
        raise ValueError(f"{path} is no record of this toolkit; `pnn log import` takes it over")
    if version == SCHEMA:
        raise ValueError(f"{path} has the layout of this version, {SCHEMA}: nothing to do")
    if version > SCHEMA:
        raise ValueError(
            f"{path} has the layout {version}, newer than {SCHEMA}: update the toolkit"
        )
    copy = beside(path, f"v{SCHEMA}", out)
    shutil.copyfile(path, copy)
    try:
        with h5py.File(copy, "r+") as file:
            for step in range(version, SCHEMA):
                _STEPS[step](file)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return copy


def _from_0(file: h5py.File) -> None:
    """Slots at the root, a run id, and the columns that recordings did not have."""
    before = read_attributes(file)
    for name, size in ROOT_SLOTS.items():
        if name in file.attrs:
            del file.attrs[name]
        reserve_slot(file, name, size)
        put_in_place(file, name, slot_text(str(before.get(name, "")), size))
    if "run_id" not in file.attrs:
        file.attrs["run_id"] = uuid.uuid4().hex
    for table in list(tables(file)):
        if {"drives", "answers", "purpose"} <= table.lengths.keys():
            table.cut()
            for name in (*ROW_FIELDS, "state", "calibration"):
                _add_column(table.group, table.dim, name, np.full(table.rows, -1, np.int32))
            for name in ("monotonic", "duration"):
                _add_column(table.group, table.dim, name, np.full(table.rows, np.nan))


def _add_column(group: h5py.Group, dim: str, name: str, values: np.ndarray) -> None:
    if name not in group:
        column = group.create_dataset(name, data=values, maxshape=(None,), chunks=(256,))
        column.dims[0].attach_scale(group[dim])
        column.attrs["long_name"] = "not recorded by the version that wrote this file"


_STEPS = {0: _from_0}
