"""One experiment: every seed with the device and with the controls, on the same splits."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device
from devices.hdf5 import RecordFile, recover
from devices.provenance import provenance
from pnn.arms import Progress, run_seed
from pnn.build import make_estimator
from pnn.config import Config
from pnn.data import Dataset, led_in, load, split
from pnn.drift_guard import DriftStop
from pnn.drift_settings import DriftSettings
from pnn.report import summary
from pnn.result import Plan, Result
from pnn.resume_check import DifferentError, agree, standing
from pnn.run_file import RunFileError, config_of, read_attributes
from pnn.run_path import default_path
from pnn.run_record import RunRecord
from pnn.training import limit_threads

__all__ = ["Progress", "check_resume", "load_data", "plan", "resume", "run", "with_enough_seeds"]

Array = NDArray[Any]

#: Below so many test rows, a run has ten seeds unless its configuration says otherwise.
FEW_TEST_ROWS = 200


def load_data(config: Config) -> Dataset:
    """Read the configuration's data."""
    return load(**config.data.model_dump())


def with_enough_seeds(config: Config, dataset: Dataset) -> Config:
    """Return the configuration with ten splits where it names no number and few rows are tested.

    The rows of one small test set say little about the next split; an interval over splits does.
    A bench is left alone: its time is its owner's.
    """
    few = dataset.washout is None and config.run.test * len(dataset.y) < FEW_TEST_ROWS
    named = "seeds" in config.run.model_fields_set
    if named or not few or not all(one.reproducible for one in _planned(config, dataset)[1]):
        return config
    return config.with_(run={"seeds": 10})


def plan(config: Config, dataset: Dataset) -> Plan:
    """Check everything that can be checked without driving, and estimate the cost.

    Raises
    ------
    ValueError
        If data, device, encoder, rule and settings do not go together.
    """
    return _planned(config, dataset)[0]


def _planned(config: Config, dataset: Dataset) -> tuple[Plan, list[Device]]:
    """Return the plan, and the devices as they are built, none of them open."""
    seed, n_classes = config.run.seed, len(dataset.classes)
    estimator = make_estimator(
        config,
        dataset.task,
        image=dataset.shape is not None,
        seed=seed,
        washout=dataset.washout,
    )
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
        drift = DriftSettings.of(estimator.drift)
        if drift is not None:
            drift.check(rule, network, settings)
        rule.fit_encoders(network, dataset.X[train], n_classes)
    groups = None if dataset.groups is None else dataset.groups[train]
    held_out = estimator.validation_rows(dataset.y[train], groups, seed)[1]
    rows = {
        "train": len(train) - len(held_out),
        "validation": len(held_out),
        "test": len(test),
    }
    queries = rule.estimate(
        network,
        settings,
        n_train=rows["train"],
        n_validation=rows["validation"],
        n_test=len(led_in(dataset, test)),
        n_classes=n_classes,
    )
    each = rule.estimate_multiply_adds(
        network, settings, n_train=rows["train"], n_classes=n_classes
    )
    notes = list(dict.fromkeys(str(w.message) for w in caught))
    if drift is not None:
        allowance = drift.allowance(queries)
        watching = drift.queries(network, settings, queries)
        queries = {p: queries.get(p, 0) + watching.get(p, 0) for p in {**queries, **watching}}
        if allowance:
            notes.append(
                f"reactions to drift may spend {allowance} of these queries in all, whatever they "
                "are counted as"
            )
    queries["total"] = sum(queries.values())
    pace = [device.spec.seconds_per_query for device in network.devices]
    seconds = max(pace) * queries["total"] * config.run.seeds if min(pace) > 0 else None
    watts = [device.spec.watts for device in network.devices]
    joules = None
    if seconds is not None and None not in watts:
        joules = seconds * sum(one or 0.0 for one in watts)
    intended = Plan(
        rule=rule.name,
        rule_class=rule.rule_class.name,
        device=", ".join(repr(device) for device in network.devices),
        rows=rows,
        queries=queries,
        device_seconds=seconds,
        encoders=[
            type(layer.encoder).__name__ + (f", {layer.encoder.adapter_}" if i == 0 else "")
            for i, layer in enumerate(network.layers)
        ],
        notes=notes,
        joules=joules,
        multiply_adds=None if each is None else each * config.run.seeds,
    )
    return intended, network.devices


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
    intended, devices = _planned(config, dataset)
    path = Path(config.run.out or default_path(config.name))
    with RecordFile(path, kind="train") as file:
        stands = standing(provenance(), devices)
        record = RunRecord.lay_out(file, config, dataset, intended, devices, stands)
        return _go_on(config, dataset, intended, record, progress)


def resume(
    path: str | Path,
    dataset: Dataset,
    progress: Progress = lambda *_: None,
    *,
    accept: bool = False,
) -> Result:
    """Go on with a run that was broken off, from its file; the result is that of a whole run.

    Arms that are done are not run again. The arm that was broken off begins anew with the same
    seeds: a device that is `Device.reproducible` is driven again, any other answers from the
    record of its rows and is driven for those that come after them.

    Parameters
    ----------
    path : path
        A run file; `pnn.run_file.config_of` reads its configuration.
    dataset : Dataset
        The run's data.
    accept : bool
        Go on although code, packages or devices differ; the differences are noted in the file.

    Raises
    ------
    DifferentError
        If the data are others, or something differs that is not accepted.
    RunFileError
        If the file is no run, or was broken off before its seeds were laid out.
    """
    config, intended, now, accepted = _stands(path, dataset, accept=accept)
    with RecordFile.reopen(path, kind="train") as file:
        record = RunRecord(file, config, accept=accept)
        record.stand_on(now, accepted)
        return _go_on(config, dataset, intended, record, progress)


def check_resume(path: str | Path, dataset: Dataset, *, accept: bool = False) -> None:
    """Check whatever `resume` checks, and touch nothing; it raises the same errors."""
    _stands(path, dataset, accept=accept)


def _stands(
    path: str | Path, dataset: Dataset, *, accept: bool
) -> tuple[Config, Plan, dict[str, Any], list[str]]:
    """Return configuration and plan, what the run stands on now, and in what that differs."""
    recover(path)
    config, told = config_of(path), read_attributes(path)
    if "standing" not in told:
        raise RunFileError(
            f"{path} was broken off before anything was driven, or is of an older version; begin "
            "a new run"
        )
    if (digest := dataset.digest()) != told["dataset_digest"]:
        raise DifferentError(
            f"the data are not those of {path}: {dataset.name} has the digest {digest}, it had "
            f"{told['dataset_digest']}; begin a new run"
        )
    intended, devices = _planned(config, dataset)
    if "recalibrate" in config.drift.reactions and not all(d.reproducible for d in devices):
        raise RunFileError(
            f"{path} recalibrates its device when it drifts, and what that measured is not in the "
            "record of the rows: such a run cannot be gone on with; begin a new run"
        )
    now = standing(provenance(), devices)
    accepted = agree(str(path), told["standing"], now, accept=accept)
    return config, intended, now, accepted


def _go_on(
    config: Config, dataset: Dataset, intended: Plan, record: RunRecord, progress: Progress
) -> Result:
    """Run what the record has not."""
    try:
        with warnings.catch_warnings(), limit_threads(config.run.threads):
            warnings.simplefilter("ignore")  # the plan, or the result, says them
            results = [
                run_seed(config, dataset, seed, progress, record.opened) for seed in record.seeds
            ]
        seconds = sum(result.seconds for result in results)
        result = Result(config, dataset, intended, results, seconds, record.path)
        record.finish(summary(result))
    except DriftStop:
        raise  # the rows so far are of a device that was another one
    except BaseException as error:
        error.add_note(f"go on with: pnn train --resume {shlex.quote(str(record.path))}")
        raise
    finally:
        record.publish()
    return result
