"""Train and test one cell of a comparison, in this process or in another."""

from __future__ import annotations

import contextlib
import signal
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import DeviceError
from pnn.arms import run_control
from pnn.build import Estimator, make_estimator
from pnn.compare.config import CompareConfig
from pnn.compare.onlooker import Onlooker
from pnn.compare.plan import Cell
from pnn.config import Config
from pnn.data import Dataset, led_in, split
from pnn.training import Watch, limit_threads

__all__ = ["Outcome", "prepare", "train_cell", "work"]

_shared: dict[str, Any] = {}


@dataclass(frozen=True)
class Outcome:
    """What one cell gave; `error` says why it gave nothing.

    Attributes
    ----------
    merit : ndarray of shape (test rows,)
        1 for a right label and 0 for a wrong one; for regression 1 - error^2 / variance.
    train, validation, test : int
        Queries.
    seconds, device_seconds, device_joules, conversion_joules : float
        All of it, and what was spent in the device and its converters.
    multiply_adds, multiply_adds_per_row : int
        Digital, of the training and of one prediction.
    curve : ndarray of shape (looks, 2)
        Queries for training and validation so far, and the accuracy on the test rows, at every
        look; measured as probes, whose seconds and joules are not part of the others.
    controls : dict
        The merit of the same rows with each control in the device's place; its seconds and
        multiply-adds are not part of the others.
    """

    merit: NDArray[np.float64]
    train: int = 0
    validation: int = 0
    test: int = 0
    seconds: float = 0.0
    device_seconds: float = 0.0
    device_joules: float = 0.0
    conversion_joules: float = 0.0
    multiply_adds: int = 0
    multiply_adds_per_row: int = 0
    curve: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    controls: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    error: str = ""


def prepare(config: CompareConfig, dataset: Dataset) -> None:
    """Take over what all cells share; each process does this once."""
    # Ctrl-C is for the process that writes; it ends the others.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _shared.update(config=config, dataset=dataset)


def work(cell: Cell) -> Outcome:
    """Train a cell in a process that was prepared."""
    return train_cell(_shared["config"], _shared["dataset"], cell)


def train_cell(config: CompareConfig, dataset: Dataset, cell: Cell) -> Outcome:
    """Train and test one cell; a device that fails or a loss that diverges is an outcome, too."""
    began = time.perf_counter()
    single = config.config(cell.rule, cell.device, cell.seed).with_(
        training={"epochs": cell.epochs, "check_every": cell.check_every}
    )
    train, test = split(dataset, cell.seed, config.run.test)
    train = train[: cell.rows]
    groups = None if dataset.groups is None else dataset.groups[train]
    estimator = _estimator(single, dataset)
    devices = estimator.build(dataset.X.shape[1], len(dataset.classes), cell.seed).devices
    estimator.set_params(device=devices if len(devices) > 1 else devices[0])
    truth, error = dataset.y[test], ""
    tested = dataset.X[test] if config.run.curves else None
    onlooker = Onlooker(estimator, devices, tested, truth)
    merit: NDArray[np.float64] = np.full(len(test), np.nan)
    per_row = 0
    with warnings.catch_warnings(), limit_threads(1), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")  # the plan's business
        try:
            for device in devices:
                stack.enter_context(device)
            estimator.fit(dataset.X[train], dataset.y[train], groups, onlooker)
            predicted = estimator.predict(dataset.X[led_in(dataset, test)])[-len(test) :]
        except (DeviceError, FloatingPointError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        else:
            merit = (
                (predicted == truth).astype(np.float64)
                if dataset.task == "classification"
                else 1.0 - (predicted - truth) ** 2 / np.var(truth)
            )
            per_row = estimator.multiply_adds_per_row()
    seconds = time.perf_counter() - began - onlooker.seconds
    names = config.run.controls
    controls: dict[str, NDArray[np.float64]] = dict.fromkeys(names, np.full(len(test), np.nan))
    for name in names if not error else ():
        with warnings.catch_warnings(), limit_threads(1):
            warnings.simplefilter("ignore")
            layers, beside = estimator.network_.layers, _estimator(single, dataset)
            try:
                arm = run_control(name, beside, layers, dataset, train, test, cell.seed, Watch())
            except (FloatingPointError, ValueError) as failure:
                error = f"control {name}: {failure}"
            else:
                controls[name] = arm.merit
    ledgers = [device.ledger for device in devices]

    def spent(purpose: str) -> int:
        return sum(ledger.queries[purpose] for ledger in ledgers)

    return Outcome(
        merit=merit,
        train=spent("train"),
        validation=spent("validation"),
        test=spent("test"),
        seconds=seconds,
        device_seconds=sum(sum(ledger.seconds.values()) for ledger in ledgers) - onlooker.in_device,
        device_joules=sum(ledger.joules for ledger in ledgers) - onlooker.joules[0],
        conversion_joules=sum(ledger.conversion_joules for ledger in ledgers) - onlooker.joules[1],
        multiply_adds=getattr(estimator, "multiply_adds_", 0),
        multiply_adds_per_row=per_row,
        curve=np.array(onlooker.curve).reshape(-1, 2),
        controls=controls,
        error=error,
    )


def _estimator(config: Config, dataset: Dataset) -> Estimator:
    return make_estimator(
        config,
        dataset.task,
        image=dataset.shape is not None,
        seed=config.run.seed,
        washout=dataset.washout,
    )
