"""One experiment: every seed with the device and with the controls, on the same splits."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, Recorded
from devices.hdf5 import RecordFile, RecordGroup
from pnn.build import Estimator, make_estimator
from pnn.config import Config
from pnn.controls import fit_linear, stand_in
from pnn.data import Dataset, load, split, split_rows
from pnn.provenance import provenance
from pnn.report import summary
from pnn.result import Arm, Plan, Result, SeedResult
from pnn.run_file import Checkpoints, write_failure, write_seed
from pnn.training import Watch, limit_threads

__all__ = ["load_data", "plan", "run"]

Array = NDArray[Any]

#: Called with the seed, the arm, the share of the arm that is done, and what is going on.
Progress = Callable[[int, str, float, str], None]

# Share of an arm's progress that measuring its training rows takes, for the display.
_MEASURING = 0.3


def load_data(config: Config) -> Dataset:
    """Read the configuration's data."""
    return load(**config.data.model_dump())


def plan(config: Config, dataset: Dataset) -> Plan:
    """Check everything that can be checked without driving, and estimate the cost.

    Raises
    ------
    ValueError
        If data, device, encoder, rule and settings do not go together.
    """
    seed, n_classes = config.run.seed, len(dataset.classes)
    estimator = make_estimator(config, dataset.task, image=dataset.shape is not None, seed=seed)
    rule, settings = estimator.make_rule(), estimator.settings()
    train, test = split(dataset, seed, config.run.test)
    if len(test) < 2 or np.ptp(dataset.y[test]) == 0:
        raise ValueError(
            f"{dataset.name}: run.test={config.run.test:g} of {len(dataset.y)} rows leaves "
            f"{len(test)} to test on, with {len(np.unique(dataset.y[test]))} different targets; "
            "two at least are needed to judge by"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = estimator.build(dataset.X.shape[1], n_classes, seed)
        rule.check(network, settings, n_classes)
        network.layers[0].fit_encoder(dataset.X[train], n_classes if rule.hypotheses else 0)
    held_out = estimator.validation_rows(dataset.y[train], _of(dataset.groups, train), seed)[1]
    rows = {
        "train": len(train) - len(held_out),
        "validation": len(held_out),
        "test": len(test),
    }
    queries = rule.estimate(
        network, settings, n_classes=n_classes, **{f"n_{k}": n for k, n in rows.items()}
    )
    queries["total"] = sum(queries.values())
    pace = [device.spec.seconds_per_query for device in network.devices]
    return Plan(
        rule=rule.name,
        rule_class=rule.rule_class.name,
        device=", ".join(repr(device) for device in network.devices),
        rows=rows,
        queries=queries,
        device_seconds=max(pace) * queries["total"] * config.run.seeds if min(pace) > 0 else None,
        encoders=[
            type(layer.encoder).__name__ + (f", {layer.encoder.adapter_}" if i == 0 else "")
            for i, layer in enumerate(network.layers)
        ],
        notes=list(dict.fromkeys(str(w.message) for w in caught)),
    )


def run(config: Config, dataset: Dataset, progress: Progress = lambda *_: None) -> Result:
    """Train and test on every seed, with the controls, and write the run file.

    Raises
    ------
    ValueError
        If something does not go together; before anything is driven or written.
    OSError
        If the run file cannot be written; before anything is driven.
    DeviceError
        If the device fails; the rows measured so far are in the run file.
    """
    intended = plan(config, dataset)
    began = time.perf_counter()
    path = Path(config.run.out or _default_path(config.name))
    with RecordFile(path, kind="train", **provenance()) as file:
        file.set(
            name=config.name,
            config=config.model_dump(mode="json", exclude_unset=True),
            dataset=dataset.name,
            dataset_source=dataset.source,
            dataset_digest=dataset.digest(),
            task=dataset.task,
            image=dataset.shape is not None,
            classes=dataset.classes,
            n_features=dataset.X.shape[1],
            plan=vars(intended),
        )
        file.flush()
        results = []
        for seed in range(config.run.seed, config.run.seed + config.run.seeds):
            with warnings.catch_warnings(), limit_threads(config.run.threads):
                warnings.simplefilter("ignore")  # the plan has said them
                results.append(
                    _run_seed(config, dataset, seed, file.group(f"seed_{seed}"), progress)
                )
            file.flush()
        result = Result(config, dataset, intended, results, time.perf_counter() - began, path)
        file.set(summary=summary(result))
    return result


def _run_seed(
    config: Config, dataset: Dataset, seed: int, group: RecordGroup, progress: Progress
) -> SeedResult:
    """Train and test the device's arm, then the controls."""
    began = time.perf_counter()
    group.set(seed=seed, status="running")
    train, test = split(dataset, seed, config.run.test)
    estimator = make_estimator(config, dataset.task, image=dataset.shape is not None, seed=seed)
    devices = estimator.build(dataset.X.shape[1], len(dataset.classes), seed).devices
    if config.run.record:
        devices = [
            Recorded(device, group.group(f"measurements_{i}")) for i, device in enumerate(devices)
        ]
    estimator.set_params(device=devices if len(devices) > 1 else devices[0])
    try:
        with contextlib.ExitStack() as stack:
            for device in devices:
                stack.enter_context(device)
            checkpoints = Checkpoints(group, estimator)
            watch = _ArmWatch(progress, seed, "device", checkpoints)
            arms = {"device": _run_arm(estimator, dataset, train, test, watch)}
    except BaseException as error:
        write_failure(group, error)
        raise
    checkpoints.write()
    for name in config.run.controls:
        watch = _ArmWatch(progress, seed, name)
        if name == "linear":
            arms[name] = _run_linear(estimator, dataset, train, test, watch)
            continue
        layers = estimator.network_.layers
        stand_ins = [stand_in(name, layer, seed + i) for i, layer in enumerate(layers)]
        control = make_estimator(config, dataset.task, image=dataset.shape is not None, seed=seed)
        control.set_params(device=stand_ins if len(stand_ins) > 1 else stand_ins[0])
        arms[name] = _run_arm(control, dataset, train, test, watch)
    result = SeedResult(seed, arms, _ledger(devices), time.perf_counter() - began)
    write_seed(group, result, estimator.history_, train, test)
    return result


def _run_arm(
    estimator: Estimator, dataset: Dataset, train: Array, test: Array, watch: Watch
) -> Arm:
    estimator.fit(dataset.X[train], dataset.y[train], _of(dataset.groups, train), watch)
    predicted = estimator.predict(dataset.X[test])
    rule, n_classes = estimator.rule_, estimator.n_classes_
    layers = estimator.network_.layers
    rows = rule.rows_per_sample(n_classes)
    return Arm(
        merit=_merit(predicted, dataset.y[test], dataset.task),
        width=sum(layer.n_features for layer in layers),
        parameters=sum(
            layer.weights[k].numel() for layer in layers for k in rule.trained if layer.weights
        ),
        multiply_adds=sum(
            rule.multiply_adds(layer.n_features, layer.width, n_classes)
            + rows * layer.encoder.masks * getattr(layer.device, "multiply_adds", 0)
            + rows * layer.encoder.multiply_adds
            for layer in layers
        ),
    )


def _run_linear(
    estimator: Estimator, dataset: Dataset, train: Array, test: Array, watch: Watch
) -> Arm:
    """Fit the linear control on the rows of the device's arm, chosen on its validation rows."""
    X, y, groups = dataset.X[train], dataset.y[train], _of(dataset.groups, train)
    kept, held_out = estimator.validation_rows(y, groups, estimator.seed_)
    if not len(held_out):  # the rule needs none, or the rows are few
        kept, held_out = split_rows(y, groups, estimator.seed_, 0.2, dataset.task)
    regression = dataset.task == "regression"
    model = fit_linear(X[kept], y[kept], X[held_out], y[held_out], regression=regression)
    watch.progress("linear", 1, 1)
    n = X.shape[1] * (len(dataset.classes) or 1)
    return Arm(
        merit=_merit(model.predict(dataset.X[test]), dataset.y[test], dataset.task),
        width=X.shape[1],
        parameters=n + (len(dataset.classes) or 1),
        multiply_adds=n,
    )


class _ArmWatch(Watch):
    """Turns the steps of one arm into progress and checkpoints."""

    def __init__(
        self, progress: Progress, seed: int, arm: str, checkpoints: Checkpoints | None = None
    ) -> None:
        self._progress, self._seed, self._arm = progress, seed, arm
        self._checkpoints = checkpoints

    def progress(self, what: str, done: int, total: int) -> None:
        share = done / total
        share = share * _MEASURING if what.startswith("measure") else 1 - (1 - share) * _MEASURING
        self._progress(self._seed, self._arm, share, f"{what} {done}/{total}")

    def checkpoint(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.write()


def _merit(predicted: Array, truth: Array, task: str) -> Array:
    if task == "classification":
        return (predicted == truth).astype(float)
    return 1.0 - (predicted - truth) ** 2 / np.var(truth)


def _ledger(devices: list[Device]) -> dict[str, Any]:
    """Add up the ledgers of several devices."""
    ledgers = [device.ledger.as_dict() for device in devices]
    joined: dict[str, Any] = {
        part: {key: sum(one[part][key] for one in ledgers) for key in ledgers[0][part]}
        for part in ("queries", "seconds")
    }
    return joined | {part: sum(one[part] for one in ledgers) for part in ("retries", "joules")}


def _of(groups: Array | None, rows: Array) -> Array | None:
    return None if groups is None else groups[rows]


def _default_path(name: str) -> Path:
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    path, n = Path("runs") / f"{stem}.h5", 1
    while path.exists():
        path, n = Path("runs") / f"{stem}-{n}.h5", n + 1
    return path
