"""One seed of an experiment: the device's arm and the controls, on the same split."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, programmable_of
from devices.resumed import is_resumed, resumable
from pnn.build import Estimator, make_estimator
from pnn.config import Config
from pnn.controls import LAGS, fit_linear, lagged, stand_in
from pnn.data import Dataset, led_in, split, split_rows
from pnn.drift_report import told_reaction
from pnn.energy import EnergyMeter
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.result import Arm, SeedResult
from pnn.seed_record import SeedRecord
from pnn.training import Watch

__all__ = ["Progress", "is_recorded", "run_control", "run_seed"]

Array = NDArray[Any]

#: Called with the seed, the arm, the share of the arm that is done, and what is going on.
Progress = Callable[[int, str, float, str], None]

#: Called with the open devices of a seed before anything is driven.
Opened = Callable[[list[Device]], None]

# Share of an arm's progress that measuring its training rows takes, for the display.
_MEASURING = 0.3


def run_seed(
    config: Config, dataset: Dataset, record: SeedRecord, progress: Progress, opened: Opened
) -> SeedResult:
    """Run the arms that the record has not; each is in the record as soon as it is done."""
    try:
        if "device" not in record.arms():
            _run_device(config, dataset, _DeviceWatch(progress, record), opened)
        if missing := [name for name in config.run.controls if name not in record.arms()]:
            _run_controls(config, dataset, missing, record, progress)
    except BaseException as error:
        record.fail(error)
        raise
    record.finish()
    told = record.attributes
    return SeedResult(
        record.seed,
        record.arms(),
        told["ledger"],
        told["seconds"],
        drift=record.looks(),
        notes=told.get("notes", []),
        alignment=record.alignment(),
    )


def is_recorded(config: Config, device: Device) -> bool:
    """Return whether the device's rows go into the run file."""
    return not device.reproducible if config.run.record == "auto" else config.run.record


def _run_device(config: Config, dataset: Dataset, watch: _DeviceWatch, opened: Opened) -> None:
    """Train and test with the device; rows that were recorded before are not driven again."""
    began, record = time.perf_counter(), watch.record
    estimator = _estimator(config, dataset, record.seed)
    devices = _network(estimator, dataset, record.seed).devices
    for i, device in enumerate(devices):
        if is_recorded(config, device):
            devices[i] = resumable(device, record.group.group(f"measurements_{i}"))
    estimator.set_params(device=devices if len(devices) > 1 else devices[0])
    watch.begin(estimator, devices)
    try:
        with contextlib.ExitStack() as stack:
            for device in devices:
                stack.enter_context(device)
            opened(devices)
            train, test = split(dataset, record.seed, config.run.test)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UserWarning)
                arm = _run_arm(estimator, dataset, train, test, watch, energy=config.run.energy)
    finally:
        record.spent(watch.ledger())
    record.warned([str(w.message) for w in caught])
    watch.checkpoint()
    record.trained(estimator.network_.layers, estimator.history_)
    record.finish_arm("device", arm, time.perf_counter() - began)


def _run_controls(
    config: Config, dataset: Dataset, names: Sequence[str], record: SeedRecord, progress: Progress
) -> None:
    """Train and test with what takes the device's place."""
    seed = record.seed
    train, test = split(dataset, seed, config.run.test)
    layers = _network(_estimator(config, dataset, seed), dataset, seed).layers
    record.restore_layers(layers)
    for name in names:
        began, watch = time.perf_counter(), _ArmWatch(progress, seed, name)
        estimator, energy = _estimator(config, dataset, seed), config.run.energy
        arm = run_control(name, estimator, layers, dataset, train, test, seed, watch, energy=energy)
        record.finish_arm(name, arm, time.perf_counter() - began)


def run_control(
    name: str,
    estimator: Estimator,
    layers: Sequence[PhysicalLayer],
    dataset: Dataset,
    train: Array,
    test: Array,
    seed: int,
    watch: Watch,
    *,
    energy: bool = False,
) -> Arm:
    """Train and test an untrained estimator with what takes the place of the layers' devices.

    Parameters
    ----------
    name : str
        One of `pnn.controls.CONTROLS`.
    layers : sequence of PhysicalLayer
        As they are once the device's arm is trained: some controls are made of its answers.
    train, test : ndarray of int
        Rows of the data set.
    """
    if name == "linear":
        return _run_linear(estimator, dataset, train, test, seed, watch)
    stand_ins = [stand_in(name, layer, seed + i) for i, layer in enumerate(layers)]
    estimator.set_params(device=stand_ins if len(stand_ins) > 1 else stand_ins[0])
    estimator.set_params(drift=None)  # a stand-in does not drift
    estimator.set_params(train=_parts(estimator, _network(estimator, dataset, seed)))
    rule = estimator.make_rule().on_stand_ins()
    estimator.set_params(rule=rule, rule_options=None)
    return _run_arm(estimator, dataset, train, test, watch, energy=energy)


def _estimator(config: Config, dataset: Dataset, seed: int) -> Estimator:
    return make_estimator(
        config,
        dataset.task,
        image=dataset.shape is not None,
        seed=seed,
        washout=dataset.washout,
    )


def _network(estimator: Estimator, dataset: Dataset, seed: int) -> PhysicalNetwork:
    return estimator.build(dataset.X.shape[1], len(dataset.classes), seed)


def _parts(estimator: Estimator, network: PhysicalNetwork) -> tuple[str, ...]:
    """Return what is trained in a control: stand-ins have no parameters inside."""
    parts = estimator.make_rule().parts(estimator.settings())
    if all(programmable_of(layer.device) for layer in network.layers):
        return parts
    return tuple(part for part in parts if part != "parameters") or ("readout",)


def _run_arm(
    estimator: Estimator,
    dataset: Dataset,
    train: Array,
    test: Array,
    watch: Watch,
    *,
    energy: bool,
) -> Arm:
    with EnergyMeter(energy) as training:
        estimator.fit(dataset.X[train], dataset.y[train], _of(dataset.groups, train), watch)
    with EnergyMeter(energy) as inference:
        predicted = estimator.predict(dataset.X[led_in(dataset, test)])[-len(test) :]
    return Arm(
        merit=_merit(predicted, dataset.y[test], dataset.task),
        width=sum(layer.n_features for layer in estimator.network_.layers),
        parameters=estimator.n_trained(),
        multiply_adds=estimator.multiply_adds_per_row(),
        training_multiply_adds=estimator.multiply_adds_,
        training_joules=training.joules,
        inference_joules=inference.joules,
    )


def _run_linear(
    estimator: Estimator, dataset: Dataset, train: Array, test: Array, seed: int, watch: Watch
) -> Arm:
    """Fit the linear control on the rows of the device's arm, chosen on its validation rows.

    In a sequence it sees the last steps of the input, `LAGS` of them, at once.
    """
    inputs = dataset.X
    if dataset.washout is not None:
        inputs = lagged(inputs, LAGS)
        train = train[dataset.washout :]
    X, y, groups = inputs[train], dataset.y[train], _of(dataset.groups, train)
    kept, held_out = estimator.validation_rows(y, groups, seed)
    if dataset.washout is not None:
        kept, held_out = np.split(np.arange(len(y)), [round(0.8 * len(y))])
    elif not len(held_out):  # the rule needs none, or the rows are few
        kept, held_out = split_rows(y, groups, seed, 0.2, dataset.task)
    regression = dataset.task == "regression"
    model = fit_linear(X[kept], y[kept], X[held_out], y[held_out], regression=regression)
    watch.progress("linear", 1, 1)
    n = X.shape[1] * (len(dataset.classes) or 1)
    return Arm(
        merit=_merit(model.predict(inputs[test]), dataset.y[test], dataset.task),
        width=X.shape[1],
        parameters=n + (len(dataset.classes) or 1),
        multiply_adds=n,
    )


class _ArmWatch(Watch):
    """Turns the steps of one arm into progress."""

    def __init__(self, progress: Progress, seed: int, arm: str) -> None:
        self._progress, self._seed, self._arm = progress, seed, arm
        self._said = ""  # of the drift, behind everything else

    def progress(self, what: str, done: int, total: int) -> None:
        share = done / total
        share = share * _MEASURING if what.startswith("measure") else 1 - (1 - share) * _MEASURING
        self._progress(self._seed, self._arm, share, f"{what} {done}/{total}{self._said}")


class _DeviceWatch(_ArmWatch):
    """Keeps metrics and the best state of the device's arm in the record as well."""

    def __init__(self, progress: Progress, record: SeedRecord) -> None:
        super().__init__(progress, record.seed, "device")
        self.record = record

    def begin(self, estimator: Estimator, devices: list[Device]) -> None:
        self._estimator, self._devices = estimator, devices
        # The time of rows that are answered from the record; of others, it is spent once more.
        spent = self.record.attributes.get("ledger", {}) if any(map(is_resumed, devices)) else {}
        parts = ("seconds", "joules", "conversion_joules")
        self._before = {key: spent[key] for key in parts if key in spent}
        self.record.begin()

    def epoch(self, **metrics: Any) -> None:
        self.record.look(metrics, self.ledger())

    def checkpoint(self) -> None:
        self.record.learned(self._estimator.state())

    def drift(self, **look: Any) -> None:
        self.record.looked(look)
        if look["drifted"]:
            change = 100 * look["relative_change"]
            self._said = f"; drifted by {change:.2g} %, {told_reaction(look)}"

    def ledger(self) -> dict[str, Any]:
        """Return what was spent so far."""
        return _added(
            reduce(_added, [device.ledger.as_dict() for device in self._devices]), self._before
        )


def _merit(predicted: Array, truth: Array, task: str) -> Array:
    if task == "classification":
        return (predicted == truth).astype(float)
    return 1.0 - (predicted - truth) ** 2 / np.var(truth)


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Add two ledgers, entry by entry; the second may lack some."""
    return {
        key: _added(value, other.get(key, {}))
        if isinstance(value, dict)
        else value + other.get(key, 0)
        for key, value in one.items()
    }


def _of(groups: Array | None, rows: Array) -> Array | None:
    return None if groups is None else groups[rows]
