"""Visiting the points: one after the other, safely, and never one twice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceError, programmable_of
from devices.hdf5 import RecordFile, RecordFull
from devices.provenance import provenance
from pnn.reading import open_h5
from pnn.resume_check import agree, standing
from pnn.sweeps.file import SweepFile, done_points, read_plan
from pnn.sweeps.metrics import Metric
from pnn.sweeps.pause import SweepPaused, pausing
from pnn.sweeps.plan import Plan

__all__ = ["Progress", "run"]

#: Called with the share of the points that is done, and what is going on.
Progress = Callable[[float, str], object]


def run(
    plan: Plan,
    base: Device,
    path: Path,
    metrics: Mapping[str, Metric],
    *,
    attributes: Mapping[str, Any],
    programmed: bool,
    resume: bool = False,
    accept: bool = False,
    progress: Progress = lambda *_: None,
    told: Callable[[], object] = lambda: None,
) -> None:
    """Measure every point that is missing, and write the file.

    Parameters
    ----------
    plan : Plan
        Checked.
    base : Device
        Before an axis changes it. It is left as it was found: open or closed, and with its
        parameters.
    path : Path
        To be made, or with `resume` to go on with.
    metrics : mapping of str to Metric
    attributes : mapping
        Of the file.
    programmed : bool
        See `rebuilt`.
    resume, accept : bool
        Whether the file is there, and whether it may stand on something else by now.
    progress : callable
    told : callable
        Called when Ctrl-C was pressed and the point is being finished.

    Raises
    ------
    DeviceError
        If the device fails; what was measured of the point is in the file, apart.
    DifferentError
        If the device, its limits or the code are not those of the file.
    OSError
        If the file cannot be written.
    SweepPaused
        After Ctrl-C.
    """
    first = _device(plan, base, int(plan.order[0]), programmed)
    accepted: list[str] = []
    if resume:
        _, there = read_plan(path)
        with open_h5(path) as before:
            is_measured = done_points(before, plan).all()
        if not is_measured:  # else nothing is driven, and only the end of the file is missing
            with _opened(first):
                now = standing(provenance(), [first])
            accepted = agree(str(path), there.get("standing", now), now, accept=accept)
        file = RecordFile.reopen(path, kind="sweep")
    else:
        file = RecordFile(path, kind="sweep", **attributes)
    with file, pausing(told) as asked, contextlib.ExitStack() as stack:
        if not resume:
            file.slot("accepted", 8000)
        elif accepted:
            file.set(accepted=[*_list(there.get("accepted")), *accepted][-40:])
        record = SweepFile(file, plan, first, metrics)
        left = plan.order[~record.done[plan.order]]
        n_done, n = len(plan.order) - len(left), len(plan.order)
        stack.callback(_settle, record)
        stack.enter_context(_told_how_to_go_on(path))
        for block in _blocks(plan, left):
            same = not plan.rebuilds or block[0] == plan.order[0]
            device = first if same else _device(plan, base, int(block[0]), programmed)
            with _opened(device):
                if "standing" not in file.h5.attrs:
                    file.set(standing=standing(provenance(), [device]))
                    record.table.note_instruments()
                    file.flush()  # before anything is driven
                for point in block:
                    if asked():
                        record.finish()
                        raise SweepPaused(
                            f"paused after {n_done} of {n} points; go on with: "
                            f"pnn sweep --resume {path}"
                        )
                    progress(n_done / n, f"point {n_done + 1}/{n}: {_where(plan, int(point))}")
                    _measure(plan, device, int(point), record)
                    n_done += 1
        record.finish()
        progress(1.0, f"{n} points")


@contextlib.contextmanager
def _told_how_to_go_on(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"go on with: pnn sweep --resume {path}")
        raise


def _settle(record: SweepFile) -> None:
    """Bring the grid to where the rows are, on every way out; a full disk was told already."""
    with contextlib.suppress(RecordFull):
        record.settle()


def _measure(plan: Plan, device: Device, point: int, record: SweepFile) -> None:
    record.table.make_room(plan.n_drives)
    drives = plan.drives(point)
    target = programmable_of(device)
    if target is not None and plan.varies("parameter"):
        target.program(plan.parameters(point, target.parameters))
    if device.spec.memory:
        device.reset()  # a point does not depend on which one was before it
    if plan.settle_s:
        time.sleep(plan.settle_s)
    began = time.monotonic()
    try:
        measured = device.acquire(drives, purpose="probe", averages=plan.averages)
    except DeviceError as error:
        record.fail(point, drives, error)
        raise
    record.add(point, drives, measured, began)


def _device(plan: Plan, base: Device, point: int, programmed: bool) -> Device:
    return plan.device(base, point, programmed=programmed) if plan.rebuilds else base


def _blocks(plan: Plan, points: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split the points, in their order, where the device changes."""
    if not len(points):
        return []
    group, _ = plan.design.combinations(plan.rebuilds)
    return np.split(points, np.flatnonzero(np.diff(group[points])) + 1)


def _where(plan: Plan, point: int) -> str:
    values = ((axis.name, axis.values[k]) for axis, k in plan.design.places(point))
    return ", ".join(f"{n} = {v:.4g}" if v.dtype.kind == "f" else f"{n} = {v}" for n, v in values)


@contextlib.contextmanager
def _opened(device: Device) -> Iterator[None]:
    """Open a device that is closed, and leave it as it was, parameters included."""
    target = programmable_of(device)
    start = None if target is None else target.parameters
    with contextlib.nullcontext() if device.is_open else device:
        try:
            yield
        finally:
            if target is not None and start is not None:
                target.program(start)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
