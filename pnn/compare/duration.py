"""How long a comparison, or a run, takes on this computer, roughly."""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple

import numpy as np

from devices import Device, DeviceError
from pnn.build import make_estimator
from pnn.compare.config import CompareConfig
from pnn.compare.plan import ComparePlan
from pnn.config import Config
from pnn.data import Dataset
from pnn.result import Plan
from pnn.training import limit_threads

__all__ = ["Expected", "expected_seconds", "expected_seconds_of_run"]

#: Multiply-adds in a second of one thread, all that goes with them included. The rules of
#: examples/compare/digits_on_speckle.toml have 4e9 to 2e10.
RATE = 1e10

#: What every training takes besides.
SECONDS_PER_TRAINING = 0.1

#: Rows that a simulator is timed by, and what the first of them may take for the others to follow.
ROWS, PATIENCE = 64, 0.05


class Expected(NamedTuple):
    """About how many seconds go by, and whether those of all devices are among them."""

    seconds: float
    is_whole: bool


def expected_seconds(config: CompareConfig, dataset: Dataset, plan: ComparePlan) -> Expected | None:
    """Return what all takes, processes side by side; None where a rule's work is not known.

    Simulators are timed for a moment. What is no simulator is left alone: its seconds per query
    are those that it states, and none if it does not.
    """
    if plan.multiply_adds is None:
        return None
    trainings = len(plan.cells) + plan.control_trainings
    seconds = _computing(plan.multiply_adds, len(plan.cells), trainings)
    used, is_whole = {cell.device: cell.rule for cell in plan.cells}, True
    for device, rule in used.items():
        pace = _seconds_per_query(config.config(rule, device, config.run.seed), dataset)
        is_whole &= pace > 0
        seconds += pace * plan.device_queries[device]
    processes = min(config.run.jobs, os.cpu_count() or 1, len(plan.cells)) if plan.parallel else 1
    return Expected(seconds / processes, is_whole)


def expected_seconds_of_run(config: Config, dataset: Dataset, plan: Plan) -> Expected | None:
    """Return the same of a run with its controls."""
    if plan.multiply_adds is None:
        return None
    pace = _seconds_per_query(config, dataset)
    seeds, controls = config.run.seeds, len(config.run.controls)
    computing = _computing(plan.multiply_adds, seeds, seeds * (1 + controls))
    return Expected(computing + pace * plan.queries["total"] * seeds, pace > 0)


def _computing(multiply_adds: int, of: int, trainings: int) -> float:
    """Return the seconds of trainings and controls; the multiply-adds are of the trainings alone.

    A control learns by the same rule, from as many features.
    """
    return multiply_adds / RATE * trainings / of + SECONDS_PER_TRAINING * trainings


def _seconds_per_query(config: Config, dataset: Dataset) -> float:
    estimator = make_estimator(
        config,
        dataset.task,
        image=dataset.shape is not None,
        seed=config.run.seed,
        washout=dataset.washout,
    )
    network = estimator.build(dataset.X.shape[1], len(dataset.classes), config.run.seed)
    return max(
        _timed(one) if one.reproducible else one.spec.seconds_per_query for one in network.devices
    )


@limit_threads(1)
def _timed(device: Device) -> float:
    taken, rows = 0.0, np.tile(np.ceil(device.spec.limits[0]), (ROWS, 1))
    with contextlib.suppress(DeviceError), device:
        for part in (rows[:1], rows):
            began = time.perf_counter()
            device.measure(part, purpose="probe")
            taken = (time.perf_counter() - began) / len(part)
            if taken > PATIENCE:
                break
    return taken
