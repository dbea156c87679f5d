"""What a sweep will do, checked in every point before anything is driven."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.nonlinearity import uniform_drives
from devices import Device, DeviceSpec, LimitError, Wrapper, programmable_of
from devices.rigs.base import Rig
from pnn.config import ConfigError
from pnn.sweeps.axes import Axis, read_table
from pnn.sweeps.config import ProbeTable, SweepConfig
from pnn.sweeps.design import RESERVED, Design, design_of
from pnn.sweeps.metrics import Metric, metrics_of
from pnn.sweeps.rebuild import rebuilt

__all__ = ["Plan", "check", "differences", "plan_of"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides what is measured, and in which order.

    Attributes
    ----------
    name : str
    design : Design
    probe : ndarray of shape (drives, n_inputs)
        The drives of each point, before axes are put in.
    order : ndarray of shape (points,)
        The points as they are visited.
    averages : int
    settle_s : float
    seed : int
    metrics : tuple of str
    gridded : bool
        Whether the answers are laid out on the grid at the end.
    """

    name: str
    design: Design
    probe: Array
    order: Array
    averages: int = 1
    settle_s: float = 0.0
    seed: int = 0
    metrics: tuple[str, ...] = ()
    gridded: bool = True
    functions: Mapping[str, Metric] = field(default_factory=dict, repr=False)

    @property
    def n_drives(self) -> int:
        """Rows that a point adds to the file."""
        return len(self.probe)

    @property
    def queries(self) -> int:
        """Rows that are driven in all."""
        return len(self.design) * self.n_drives * self.averages

    def seconds(self, spec: DeviceSpec) -> float | None:
        """Return about how long it takes; None where the device does not say how fast it is."""
        if not spec.seconds_per_query:
            return None
        return self.queries * spec.seconds_per_query + len(self.design) * self.settle_s

    def drives(self, point: int) -> Array:
        """Return the drives of a point, (drives, n_inputs)."""
        return self._put("drive", point, self.probe)

    def parameters(self, point: int, start: Array) -> Array:
        """Return the programmable parameters at a point, those without an axis as in `start`."""
        new: Array = self._put("parameter", point, start[None])[0]
        return new

    def varies(self, kind: str) -> list[Axis]:
        """Return the axes of a kind."""
        return [axis for axis in self.design.axes if axis.kind == kind]

    @property
    def rebuilds(self) -> list[Axis]:
        """The axes that need a new device for each value."""
        return [axis for axis in self.design.axes if axis.rebuilds]

    def device(self, base: Device, point: int, *, programmed: bool) -> Device:
        """Return the device of a point, closed; see `rebuilt`.

        Raises
        ------
        ConfigError
            With the axes and their values, if the device refuses them.
        """
        at = [(axis, axis.plain(k)) for axis, k in self.design.places(point) if axis.rebuilds]
        try:
            return rebuilt(base, {(a.index, a.key): v for a, v in at}, programmed=programmed)
        except ValueError as error:
            told = ", ".join(f"{axis.name} = {value!r}" for axis, value in at)
            raise ConfigError(f"axis {told}: {error}") from error

    def _put(self, kind: str, point: int, rows: Array) -> Array:
        mine = [(axis, k) for axis, k in self.design.places(point) if axis.kind == kind]
        for axis, k in sorted(mine, key=lambda one: not one[0].complete):  # single ones on top
            rows = axis.put(rows, k)
        return rows


def plan_of(config: SweepConfig, device: Device) -> Plan:
    """Lay out a sweep; `check` it before use.

    Raises
    ------
    ConfigError
        If axes, drives and device do not go together.
    """
    design = design_of(config)
    complete = any(axis.kind == "drive" and axis.complete for axis in design.axes)
    if complete and config.probe is not None:
        raise ConfigError("[probe]: an axis drives all inputs; leave out one of the two")
    return Plan(
        name=config.name,
        design=design,
        # Where an axis drives all inputs, there is one drive, of which nothing is left.
        probe=device.spec.limits[0][None]
        if complete
        else _probe(config.probe or ProbeTable(), device, config.seed),
        order=design.order(random=config.order == "random", seed=config.seed),
        averages=config.averages,
        settle_s=config.settle_s,
        seed=config.seed,
        metrics=config.metrics,
        gridded=config.gridded,
    )


def check(plan: Plan, base: Device, *, programmed: bool) -> dict[str, Metric]:
    """Build every device, check every drive and parameter, and return the metrics' functions.

    Parameters
    ----------
    plan : Plan
    base : Device
        The device before an axis changes it.
    programmed : bool
        See `rebuilt`.

    Raises
    ------
    LimitError
        If a drive or a parameter is outside its limits, with axis, value and limits.
    ConfigError
        If an axis has no meaning for the device.
    """
    found = metrics_of(plan.metrics, plan.functions)
    taken = {*RESERVED, *plan.design.dims, *(axis.name for axis in plan.design.axes)}
    for label in found:
        if label in taken or not label.isidentifier():
            raise ConfigError(f"metrics: {label!r} cannot be a name in the file, or is one already")
    spec = base.spec
    widths = (spec.n_inputs, spec.n_outputs, spec.output_dtype)
    for point in plan.design.combinations(plan.rebuilds)[1]:
        device = plan.device(base, int(point), programmed=programmed) if plan.rebuilds else base
        mine = (device.spec.n_inputs, device.spec.n_outputs, device.spec.output_dtype)
        if mine != widths:
            at = {a.name: a.plain(k) for a, k in plan.design.places(int(point)) if a.rebuilds}
            raise ConfigError(
                f"axis {at}: inputs, outputs and type of the answers become {mine}, elsewhere they "
                f"are {widths}; a sweep has one width"
            )
        _check_one(plan, device)
    return found


def _check_one(plan: Plan, device: Device) -> None:
    if device.spec.memory and plan.averages > 1:
        raise ConfigError(f"averages={plan.averages}: {device.spec.name} has memory; use repeats")
    for axis in plan.varies("drive"):
        axis.check_drives(device.spec)
    try:
        if not any(axis.complete for axis in plan.varies("drive")):
            device.spec.check_drives(plan.probe)
    except LimitError as error:
        raise LimitError(f"[probe]: {error}") from error
    if parameters := plan.varies("parameter"):
        target = programmable_of(device)
        if target is None:
            raise ConfigError(
                f"axis {parameters[0].name}: {device.spec.name} has no programmable parameters"
            )
        for axis in parameters:
            axis.check_parameters(target)
    for point in plan.design.combinations(plan.varies("drive"))[1]:
        _check_laboratory(plan, device, int(point))


def _check_laboratory(plan: Plan, device: Device, point: int) -> None:
    """Ask a rig whether its laboratory's limits bear the waveforms of a point."""
    rows = plan.drives(point)
    while isinstance(device, Wrapper):
        rows, device = device._drives(rows), device.inner
    if isinstance(device, Rig):
        try:
            device._check(rows)
        except LimitError as error:
            places = plan.design.places(point)
            at = ", ".join(f"{a.name} = {a.values[k]}" for a, k in places if a.kind == "drive")
            raise LimitError(f"axis {at}: {error}") from error


def differences(there: Plan, asked: Plan) -> list[str]:
    """Return what differs between the plan of a file and one that is asked for, a line each."""
    lines = []
    mine = {axis.name: axis for axis in there.design.axes}
    other = {axis.name: axis for axis in asked.design.axes}
    for name in dict.fromkeys([*mine, *other]):
        one, two = mine.get(name), other.get(name)
        if one is None or two is None:
            lines.append(f"axis {name}: {'not planned' if one is None else 'planned'} in the file")
        elif one.what != two.what:
            lines.append(f"axis {name}: {one.what} in the file, not {two.what}")
        elif not np.array_equal(one.values, two.values) or not _same(one.rows, two.rows):
            lines.append(f"axis {name}: {_told(one)} in the file, not {_told(two)}")
    if there.design.dims != asked.design.dims:
        lines.append(f"dimensions: {there.design.dims} in the file, not {asked.design.dims}")
    if not _same(there.probe, asked.probe):
        lines.append(f"[probe]: other drives than the {len(there.probe)} in the file")
    for key in ("repeats", "averages", "settle_s", "metrics"):
        was, new = (getattr(p.design if key == "repeats" else p, key) for p in (there, asked))
        if was != new:
            lines.append(f"{key}: {was} in the file, not {new}")
    return lines


def _same(one: Array | None, two: Array | None) -> bool:
    return one is two or (one is not None and two is not None and np.array_equal(one, two))


def _told(axis: Axis) -> str:
    ends = f"{axis.values[0]} to {axis.values[-1]}"
    return f"{len(axis.values)} values from {ends}" if axis.rows is None else "another table"


def _probe(given: ProbeTable, device: Device, seed: int) -> Array:
    if given.table is not None:
        return read_table("[probe]", given.table)
    if given.hold is not None:
        return np.full((1, device.spec.n_inputs), given.hold)
    return uniform_drives(device, given.rows, seed)
