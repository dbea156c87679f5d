"""Reading what was written: every file of this toolkit as xarray objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from devices.errors import DamagedFile
from devices.extras import require
from devices.hdf5 import check_undone, read_attributes, tables
from devices.hdf5.superblock import read_superblock

if TYPE_CHECKING:
    import xarray

__all__ = ["Run", "open_h5", "open_run"]


def open_run(path: str | Path) -> Run:
    """Open a file of ``pnn``: a sweep, a training run, a recording, a calibration.

    Files of runs that were killed open as well; what reached the disk is there.

    Parameters
    ----------
    path : path

    Returns
    -------
    Run

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no file of this toolkit.
    OSError
        If it cannot be read: damaged, or open for writing in another program.

    Examples
    --------
    >>> with open_run("runs/sweep-20250101-120000.h5") as run:  # doctest: +SKIP
    ...     run.grid.answers.mean(("probe", "output")).plot()
    """
    return Run(path)


class Run:
    """One file: its attributes at once, its arrays when they are asked for.

    Attributes
    ----------
    path : Path
    attributes : dict
        Of the whole file: times, versions, device ...
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._open: list[xarray.Dataset] = []
        check_undone(self.path)
        with open_h5(self.path) as file:
            self.attributes = read_attributes(file)
            self._groups = list(_groups(file))
            # Rows that a kill left whole in some columns only are none. By group and column:
            self._rows: dict[str, dict[str, int]] = {name: {} for name in self._groups}
            for table in tables(file):
                self._rows[_name(table.group)] |= dict.fromkeys(table.lengths, table.rows)
        if "kind" not in self.attributes:
            raise ValueError(f"{self.path} has no kind: it is no file of this toolkit")

    @property
    def kind(self) -> str:
        """``sweep``, ``train``, ``recording``, ``calibration``, ``characterisation`` ..."""
        return str(self.attributes["kind"])

    @property
    def status(self) -> str:
        """``done``, ``failed``, ``interrupted``; ``running`` also of a run that was killed."""
        return str(self.attributes.get("status", ""))

    @property
    def config(self) -> dict[str, Any]:
        """The configuration; empty where there was none."""
        return dict(self.attributes.get("config") or {})

    @property
    def groups(self) -> list[str]:
        """The groups that hold arrays; the root is ``/``."""
        return list(self._groups)

    def dataset(self, group: str = "/") -> xarray.Dataset:
        """Return a group; values are read from the file when they are used.

        Raises
        ------
        ValueError
            If there is no such group.
        MissingExtraError
            If the extra ``xarray`` is missing.
        """
        name = "/" + group.strip("/")
        with open_h5(self.path) as file:
            if name not in file or not isinstance(file[name], h5py.Group):
                raise ValueError(f"{self.path} has no group {group!r}; it has {self._groups}")
        require("h5netcdf", "xarray")
        opened: xarray.Dataset = require("xarray", "xarray").open_dataset(
            self.path, engine="h5netcdf", group=name
        )
        self._open.append(opened)
        rows = self._rows.get(name, {})
        cuts = {d: slice(rows[str(d)]) for d, n in opened.sizes.items() if rows.get(str(d), n) != n}
        return opened.isel(cuts) if cuts else opened

    @property
    def rows(self) -> xarray.Dataset:
        """The recorded rows: ``drives``, ``answers`` and what belongs to each.

        Those of a sweep have the values of its axes as coordinates, ``axis_NAME`` where there is a
        column of that name.

        Raises
        ------
        ValueError
            If the file has none, or several such tables; `dataset` gives each.
        """
        found = [n for n in self._groups if self._has(n, "drives", "answers")]
        if len(found) != 1:
            raise ValueError(
                f"{self.path} has recorded rows in {found}; choose one with dataset()"
                if found
                else f"{self.path} has no recorded rows; it has {self._groups}"
            )
        rows = self.dataset(found[0])
        return rows if self.kind != "sweep" else self._with_axes(rows)

    @property
    def metrics(self) -> xarray.Dataset:
        """Of a training run, the metrics of every look along ``seed``; of a sweep, on the grid.

        Raises
        ------
        ValueError
            If the file has none.
        """
        if self.kind == "sweep":
            planned = {"answers", "order", "done", "time"}
            grid = self.dataset("grid")
            return grid[[name for name in grid.data_vars if name not in planned]]
        found = [n for n in self._groups if n.endswith("/metrics")]
        if not found:
            raise ValueError(f"{self.path} has no metrics; it has {self._groups}")
        xr = require("xarray", "xarray")
        seeds = [int(name.split("/")[1].removeprefix("seed_")) for name in found]
        combined: xarray.Dataset = xr.concat(
            [self.dataset(name) for name in found],
            xr.Variable("seed", seeds),
            join="outer",
            data_vars="all",
            coords="minimal",
            compat="override",
        )
        return combined

    @property
    def grid(self) -> xarray.Dataset:
        """The answers of a sweep on its grid, with its metrics; what is missing is NaN.

        Raises
        ------
        ValueError
            If the file is no sweep.
        """
        if self.kind != "sweep":
            raise ValueError(f"{self.path} is of the kind {self.kind!r}, which has no grid")
        grid, rows = self.dataset("grid"), self.dataset("rows")
        # From the rows: the grid in the file may be behind them, or without answers.
        first = self._first_rows(grid, rows)
        at = first + grid["probe"]
        answers = rows["answers"].isel(row=at.clip(min=0)).drop_vars("row").where(first >= 0)
        grid = grid.assign(answers=answers.assign_attrs(rows["answers"].attrs))
        return grid.assign(done=(first >= 0).assign_attrs(grid["done"].attrs))

    def _first_rows(self, grid: xarray.Dataset, rows: xarray.Dataset) -> xarray.DataArray:
        """Return the first row of each cell of the grid, -1 where it is missing."""
        n = grid.sizes["probe"]
        first = np.full(grid["done"].size, -1, np.int64)
        points: NDArray[np.int64] = rows["point"].values[::n][: rows.sizes["row"] // n]
        first[points] = n * np.arange(len(points))
        cells = grid["done"].copy(data=first.reshape(grid["done"].shape))
        cells.attrs = {}
        return cells

    def _with_axes(self, rows: xarray.Dataset) -> xarray.Dataset:
        grid = self.dataset("grid")
        indices = np.unravel_index(rows["point"].values, grid["done"].shape)
        at = dict(zip(grid["done"].dims, indices, strict=True))
        coords = {}
        for name in grid.coords:
            if name != "probe":
                label = f"axis_{name}" if name in rows.variables else name
                coords[label] = ("row", grid[name].values[at[grid[name].dims[0]]])
        return rows.assign_coords(coords)

    def close(self) -> None:
        """Close the file; what was not read yet cannot be read any more."""
        while self._open:
            self._open.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        told = {key: self.attributes.get(key) for key in ("started", "ended", "device", "error")}
        lines = [f"{self.path}: {self.kind}, {self.status or 'no status'}"]
        lines += [f"  {key:<8} {str(value)[:100]}" for key, value in told.items() if value]
        with open_h5(self.path) as file:
            for name, rows in self._rows.items():
                arrays = {
                    key: (rows.get(key, a.shape[0]), *a.shape[1:])
                    for key, a in file[name].items()
                    if isinstance(a, h5py.Dataset) and a.ndim and not a.is_scale
                }
                shown = ", ".join(f"{key} {'x'.join(map(str, s))}" for key, s in arrays.items())
                lines.append(f"  {name:<8} {shown}")
        return "\n".join(lines)

    def _has(self, group: str, *names: str) -> bool:
        with open_h5(self.path) as file:
            return all(name in file[group] for name in names)


def open_h5(path: str | Path) -> h5py.File:
    """Open a file for reading, or say why that cannot be.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BlockingIOError
        If it is being written by another program.
    DamagedFile
        If it does not open otherwise.
    ValueError
        If it is no HDF5 file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if read_superblock(Path(path)) is None:
        raise ValueError(f"cannot open {path} as a run file: it is no HDF5 file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "unable to lock" in str(error):
            raise BlockingIOError(
                f"{path} is being written by another program; wait until it has ended"
            ) from error
        raise DamagedFile.because(path, error) from error


def _groups(group: h5py.Group) -> Iterator[str]:
    """Yield the names of the groups that hold arrays."""
    if any(isinstance(item, h5py.Dataset) for item in group.values()):
        yield _name(group)
    for item in group.values():
        if isinstance(item, h5py.Group):
            yield from _groups(item)


def _name(group: h5py.Group) -> str:
    return str(group.name)
