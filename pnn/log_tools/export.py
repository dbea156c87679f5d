"""Hand the arrays of a group on: as CSV, NPZ or netCDF."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import one_of
from pnn.log_tools.opening import beside
from pnn.reading import Run, open_run

if TYPE_CHECKING:
    import xarray

__all__ = ["export"]

_SUFFIXES = (".csv", ".npz", ".nc")
_BLOCK = 4096


def export(
    path: str | Path, out: str | Path, group: str | None = None, dim: str | None = None
) -> dict[str, Any]:
    """Write the arrays of one group of a record into a file of another format.

    The suffix says which: ``.csv`` (what runs along one dimension, a line for each place),
    ``.npz`` (all arrays) or ``.nc`` (netCDF: all arrays with dimensions, units and attributes).
    Complex arrays become two in CSV and netCDF, ``_real`` and ``_imag``, which every reader takes.

    Parameters
    ----------
    path, out : path
        The record, and the file to write, which must not be there.
    group : str, optional
        The group; needed where several have arrays.
    dim : str, optional
        For CSV: the dimension; that of most arrays if not given.

    Returns
    -------
    dict
        ``file``, ``group``, and ``arrays``: names with shapes.

    Raises
    ------
    ValueError
        If suffix, group or dimension is another; the message says which there are.
    OSError
        If the record cannot be read or the file be written.
    """
    suffix = one_of("export", "suffix", Path(out).suffix.lower(), _SUFFIXES)
    out = beside(Path(path), "", out)
    with open_run(path) as run:
        place = _chosen(run, group)
        data = run.dataset(place)
        out.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npz":
            arrays = {str(name): one.values for name, one in data.variables.items()}
            # Without what HDF5 says of its texts, which NumPy's format does not keep.
            arrays = {k: v.view(v.dtype.str) if v.dtype.metadata else v for k, v in arrays.items()}
            np.savez_compressed(out, allow_pickle=False, **arrays)
        elif suffix == ".csv":
            data = _write_csv(_split(data), out, dim)
        else:
            data = _split(data)
            data.to_netcdf(out, engine="h5netcdf")
        shapes = {str(name): list(one.shape) for name, one in data.variables.items()}
    return {"file": str(out), "group": place, "arrays": shapes}


def _chosen(run: Run, group: str | None) -> str:
    """Return the group, or the only one with arrays."""
    if group is not None:
        place = "/" + group.strip("/")
        if place not in run.groups:
            known = ", ".join(run.groups)
            raise ValueError(f"{run.path} has no arrays in {group!r}; it has {known}")
        return place
    groups = [name for name in run.groups if run.dataset(name).sizes]
    if len(groups) != 1:
        raise ValueError(
            f"{run.path} has arrays in {', '.join(groups) or 'no group'}; choose one with --group"
        )
    return groups[0]


def _split(data: xarray.Dataset) -> xarray.Dataset:
    """Return the data with complex arrays in two parts."""
    for name in [name for name, one in data.variables.items() if one.dtype.kind == "c"]:
        whole = data[name]
        parts = {
            f"{name}_real": whole.real.assign_attrs(whole.attrs),
            f"{name}_imag": whole.imag.assign_attrs(whole.attrs),
        }
        data = data.drop_vars([name]).assign(parts)
        if data.attrs.get("signal") == name:
            data.attrs["signal"] = f"{name}_real"
    return data


def _write_csv(data: xarray.Dataset, out: Path, dim: str | None) -> xarray.Dataset:
    """Write what runs along one dimension first, and return it."""
    dims = [str(one.dims[0]) for one in data.variables.values() if one.dims]
    dim = dim or max(dict.fromkeys(dims), key=dims.count)
    one_of("export", "dim", dim, tuple(sorted(set(dims))))
    names = sorted((str(name) for name in data.variables), key=lambda name: name not in data.coords)
    columns = {k: data.variables[k] for k in names if data.variables[k].dims[:1] == (dim,)}
    header = [
        "_".join([name, *map(str, place)])
        for name, one in columns.items()
        for place in itertools.product(*map(range, one.shape[1:]))
    ]
    with out.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for start in range(0, data.sizes[dim], _BLOCK):
            parts = [_texts(one[start : start + _BLOCK].values) for one in columns.values()]
            writer.writerows(zip(*(column for part in parts for column in part), strict=True))
    return data[list(columns)]


def _texts(values: NDArray[Any]) -> list[list[Any]]:
    """Return the columns of an array, flattened behind its first axis, as a text file has them."""
    flat = values.reshape(len(values), -1)
    if flat.dtype.kind == "S":
        flat = np.char.decode(flat, "utf-8")
    elif flat.dtype.kind == "M":
        flat = flat.astype(str)
    columns: list[list[Any]] = flat.T.tolist()
    return columns
