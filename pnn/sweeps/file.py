"""The file of a sweep: the plan, the rows as they come, and the grid.

``rows`` is the record: one table in order of time, with the point of every row. A point is done
if its rows are in there; they are appended in one piece. ``grid`` shows the same on the planned
grid, and is filled as rows reach the disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceError, DeviceSpec, Measurement
from devices.hdf5 import BLOCK_SECONDS, Column, RecordFile, read_attributes, tables, valid_rows
from devices.recorded_table import RecordTable
from pnn.reading import open_h5
from pnn.sweeps.axes import Axis
from pnn.sweeps.design import Design, Dimension
from pnn.sweeps.metrics import METRICS, Metric
from pnn.sweeps.plan import Plan

__all__ = ["SweepFile", "done_points", "extremes", "read_plan"]

Array = NDArray[Any]

TIME = "seconds since 1970-01-01T00:00:00Z"
# A point that took longer is brought to the disk at once, which takes 1 ms.
_SLOW_S = 0.05
_SETTINGS = ("name", "averages", "settle_s", "seed", "metrics", "gridded")


class SweepFile:
    """Writes points into an open file.

    Parameters
    ----------
    file : RecordFile
        New, or re-opened.
    plan : Plan
    device : Device
        That of the first point; it need not be open.
    metrics : mapping of str to Metric

    Attributes
    ----------
    table : RecordTable
        The rows.
    done : ndarray of shape (points,), bool
        What is measured.
    """

    def __init__(
        self, file: RecordFile, plan: Plan, device: Device, metrics: Mapping[str, Metric]
    ) -> None:
        spec = device.spec
        self._file, self._plan, self._spec, self._metrics = file, plan, spec, metrics
        new = "grid" not in file
        if new:
            _write_plan(file, plan)
            _write_grid(file, plan, metrics, spec)
        self._rows, self._grid = file.group("rows"), file.group("grid")
        if new:  # before the table: where that is, everything is
            self._rows.write("probe_drives", plan.probe, ("probe", "input"), unit=spec.input_unit)
        for table in tables(self._rows.h5):
            if table.dim == "row":  # a repair may have cut within a point
                replace(table, rows=table.rows - table.rows % plan.n_drives).cut()
        self.table = RecordTable(
            self._rows,
            device,
            {
                "point": Column(dtype=np.int64, long_name="cell of the grid, counted in C order"),
                "drive": Column(dtype=np.int32, long_name="number of the drive at its point"),
            },
        )
        self.done = done_points(file.h5, plan)
        kept = ("time", *metrics, "done")
        self._cells = {name: self._grid.h5[name][()].ravel() for name in kept}
        self._settled = time.monotonic()
        if not new:
            self._catch_up()

    def add(self, point: int, drives: Array, measured: Measurement, began: float) -> None:
        """Append a point; `began` is when, on the monotonic clock.

        Raises
        ------
        ValueError
            If a metric fails. The answers are in the file.
        """
        n = len(drives)
        self.table.append(drives, measured, began, point=np.full(n, point), drive=np.arange(n))
        self.done[point] = True
        if time.monotonic() - began > _SLOW_S:
            self.table.flush()
        self._fill(point, measured.time_s, drives, measured.outputs)
        if time.monotonic() - self._settled > BLOCK_SECONDS:
            self.settle()

    def fail(self, point: int, drives: Array, error: DeviceError) -> None:
        """Keep the rows that were measured before a device failed; the point is not done."""
        if error.rows is None or not len(error.rows):
            return
        with self._file.restructuring():
            number = sum(name.startswith("incomplete") for name in self._file.h5)
            group = self._file.group(f"incomplete_{number}")
            group.set(point=point, error=str(error)[:4000], failed_row=error.failed_row)
            spec, n = self._spec, len(error.rows)
            group.write("drive", drives[:n], ("row", "input"), unit=spec.input_unit)
            group.write("answer", error.rows, ("row", "output"), unit=spec.output_unit)

    def settle(self) -> None:
        """Bring what is measured to the disk, and then note in the grid that it is there."""
        self._file.flush()
        for name, values in self._cells.items():
            self._grid.rewrite(name, values.reshape(self._plan.design.shape))
        self._settled = time.monotonic()

    def finish(self) -> None:
        """Settle, and lay the answers out on the grid, if the plan says so."""
        self.settle()
        if not self._plan.gridded:
            return
        spec, plan, table = self._spec, self._plan, self._rows.h5
        shape = (len(plan.design), plan.n_drives, spec.n_outputs)
        grid = np.full(shape, np.nan, spec.output_dtype)
        points, block = table["point"], 4096 * plan.n_drives
        for start in range(0, len(points), block):
            part = slice(start, start + block)
            grid[points[part][:: plan.n_drives]] = table["answers"][part].reshape(-1, *shape[1:])
        grid = grid.reshape(*plan.design.shape, *shape[1:])
        if "answers" in self._grid:
            self._grid.rewrite("answers", grid)
            return
        dims = (*plan.design.dims, "probe", "output")
        with self._file.restructuring():
            self._grid.write("answers", grid, dims, unit=spec.output_unit)
            named = [axis.name for axis in plan.design.axes]
            along = [d.name if d.name in named else "." for d in plan.design.dimensions]
            self._grid.plot("answers", [*along, "repeat", "probe", "."])

    def _fill(self, point: int, time_s: float, drives: Array, answers: Array) -> None:
        for name, metric in self._metrics.items():
            try:
                self._cells[name][point] = metric(drives, answers)
            except Exception as error:
                raise ValueError(
                    f"metric {name} failed at point {point} with {type(error).__name__}: {error}. "
                    "The answers are in the file: mend the metric and resume"
                ) from error
        self._cells["time"][point] = time_s
        self._cells["done"][point] = 1

    def _catch_up(self) -> None:
        """Bring the grid to where the rows are: a kill may have left it behind, or ahead."""
        table, n = self._rows.h5, self._plan.n_drives
        for name, values in self._cells.items():
            values[~self.done] = 0 if name == "done" else np.nan
        for k, point in enumerate(table["point"][::n].tolist()):
            if not self._cells["done"][point]:
                part = slice(k * n, (k + 1) * n)
                self._fill(
                    point,
                    float(table["time"][k * n]),
                    table["drives"][part],
                    table["answers"][part],
                )


def done_points(file: h5py.File, plan: Plan) -> Array:
    """Return which points have all of their rows in the file, (points,)."""
    rows = file["rows"]
    points = rows["point"][: valid_rows(rows)]
    found: Array = np.bincount(points, minlength=len(plan.design)) == plan.n_drives
    return found


def extremes(path: str | Path, plan: Plan, metrics: Iterable[str]) -> dict[str, Any]:
    """Return the lowest and the highest value of each metric, and the values of the axes there."""
    found: dict[str, Any] = {}
    with open_h5(path) as file:
        for name in metrics:
            values = file["grid"][name][()].ravel()
            if np.isfinite(values).any():
                found[name] = {
                    which: {
                        "value": float(values[point]),
                        "at": {a.name: a.plain(k) for a, k in plan.design.places(int(point))},
                    }
                    for which, point in (
                        ("lowest", np.nanargmin(values)),
                        ("highest", np.nanargmax(values)),
                    )
                }
    return found


def _write_plan(file: RecordFile, plan: Plan) -> None:
    axes = [
        {"name": a.name, "what": a.what, "dimension": one.name, "unit": a.unit,
         "dtype": a.values.dtype.kind, "table": a.rows is not None}
        for one in plan.design.dimensions
        for a in one.axes
    ]  # fmt: skip
    settings = {key: getattr(plan, key) for key in _SETTINGS}
    file.set(plan={**settings, "points": len(plan.design), "queries": plan.queries}, axes=axes)
    for axis in plan.design.axes:
        if axis.rows is not None:
            width = "input" if axis.kind == "drive" else "parameter"
            file.group("tables").write(axis.name, axis.rows, (f"{axis.name}_row", width))


def _write_grid(
    file: RecordFile, plan: Plan, metrics: Mapping[str, Metric], spec: DeviceSpec
) -> None:
    grid, design = file.group("grid"), plan.design
    beside = []
    for one in design.dimensions:
        for axis in sorted(one.axes, key=lambda a: a.name != one.name):  # its coordinate first
            unit = axis.unit or (spec.input_unit if axis.kind == "drive" else "")
            grid.write(axis.name, axis.values, (one.name,), unit=unit, long_name=axis.what)
            beside += [axis.name] if axis.name != one.name else []
    grid.write("repeat", np.arange(design.repeats), ("repeat",))
    grid.write("probe", np.arange(plan.n_drives), ("probe",), long_name="drive of a point")
    if beside:
        grid.set(coordinates=" ".join(beside))  # by which xarray knows them as coordinates
    rank = np.empty(len(design), np.int64)
    rank[plan.order] = np.arange(len(design))
    grid.write("order", rank.reshape(design.shape), design.dims, long_name="order of visiting")
    grid.write("done", np.zeros(design.shape, np.uint8), design.dims, long_name="1: measured")
    empty = np.full(design.shape, np.nan)
    grid.write("time", empty, design.dims, unit=TIME, long_name="start of the measurement")
    for name, function in metrics.items():
        unit = spec.output_unit if METRICS.get(name) is function else ""
        text = (function.__doc__ or name).partition("\n")[0]
        grid.write(name, empty, design.dims, unit=unit, long_name=text)


def read_plan(path: str | Path) -> tuple[Plan, dict[str, Any]]:
    """Read the plan of a file and its attributes.

    Raises
    ------
    ValueError
        If it is no sweep.
    OSError
        If it cannot be read.
    """
    with open_h5(path) as file:
        attributes = read_attributes(file)
        if attributes.get("kind") != "sweep":
            raise ValueError(f"{path} is of the kind {attributes.get('kind')!r}, no sweep")
        if not {"row", "point"} <= set(file.get("rows", ())):
            raise ValueError(f"{path} ended before a point was measured; begin anew")
        return _planned(file, attributes), attributes


def _planned(file: h5py.File, attributes: Mapping[str, Any]) -> Plan:
    grid, rows = file["grid"], file["rows"]
    together: dict[str, list[Axis]] = {}
    for one in attributes["axes"]:
        name, kind = one["name"], one["dtype"]
        values = grid[name].asstr()[()].astype(str) if kind == "U" else grid[name][()]
        axis = Axis(
            name=name,
            what=one["what"],
            unit=one["unit"],
            values=values.astype(bool) if kind == "b" else values,
            rows=file["tables"][name][()] if one["table"] else None,
        )
        together.setdefault(one["dimension"], []).append(axis)
    settings = {key: attributes["plan"][key] for key in _SETTINGS}
    return Plan(
        design=Design(
            tuple(Dimension(name, tuple(axes)) for name, axes in together.items()),
            repeats=len(grid["repeat"]),
        ),
        probe=rows["probe_drives"][()],
        order=np.argsort(grid["order"][()].ravel()),
        **settings | {"metrics": tuple(settings["metrics"])},
    )
