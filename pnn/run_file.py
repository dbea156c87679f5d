"""The run file's content: what one training leaves behind, and how it is read again."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from devices import DeviceError
from devices.hdf5 import RecordGroup
from pnn.build import Estimator, make_estimator
from pnn.config import Config
from pnn.estimators import DeviceLike, PhysicalClassifier
from pnn.result import SeedResult

__all__ = ["Checkpoints", "RunFileError", "load", "read_attributes", "write_failure", "write_seed"]


class RunFileError(ValueError):
    """A file is not a run of this toolkit, or has not what is asked of it."""


class Checkpoints:
    """Keeps the state of an estimator in the file, the best so far while it trains."""

    def __init__(self, group: RecordGroup, estimator: Estimator) -> None:
        self._group, self._estimator = group, estimator
        self._weights = group.group("weights")

    def write(self) -> None:
        """Write the state, over the one before."""
        for name, values in self._estimator.state().items():
            if name in self._weights:
                self._weights.rewrite(name, values)
            else:
                dims = [f"{name}.axis{axis}" for axis in range(np.ndim(values))]
                self._weights.write(name, values, dims)
        self._group.flush()


def write_seed(
    group: RecordGroup,
    result: SeedResult,
    history: list[dict[str, Any]],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> None:
    """Write what one seed gave: metrics, split, merits of all arms, ledger."""
    metrics = group.group("metrics")
    for key in dict.fromkeys(key for row in history for key in row):
        metrics.write(key, [row.get(key, np.nan) for row in history], ("check",))
    group.write("train_row", train, ("train_row",), long_name="row of the data set")
    group.write("test_row", test, ("test_row",), long_name="row of the data set")
    for name, arm in result.arms.items():
        group.write(
            f"merit_{name}",
            arm.merit,
            ("test_row",),
            long_name="1 for a right label, 0 for a wrong one; 1 - error^2 / variance for numbers",
        )
    group.set(
        status="done",
        seconds=result.seconds,
        ledger=result.ledger,
        scores={name: arm.score for name, arm in result.arms.items()},
        arms={
            name: {
                "width": arm.width,
                "parameters": arm.parameters,
                "multiply_adds": arm.multiply_adds,
            }
            for name, arm in result.arms.items()
        },
    )


def write_failure(group: RecordGroup, error: BaseException) -> None:
    """Say how a seed ended, and keep the rows that were measured before a device failed."""
    interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
    group.set(status="interrupted" if interrupted else "failed", error=str(error))
    if isinstance(error, DeviceError) and error.rows is not None and len(error.rows):
        failure = group.group("failure")
        failure.write(
            "answers",
            error.rows,
            ("row", "output"),
            long_name="answers of the failing call before the row that failed",
        )
        failure.set(failed_row=error.failed_row)


def read_attributes(path: str | Path) -> dict[str, Any]:
    """Return the attributes of a run and, under ``seeds``, of each of its seeds.

    Raises
    ------
    RunFileError
        If the file is not there or is no run of this toolkit.
    """
    with _open(path) as file:
        content = _decoded(file)
        content["seeds"] = {
            name: _decoded(file[name]) for name in sorted(file) if name.startswith("seed_")
        }
    return content


def load(path: str | Path, seed: int | None = None, device: DeviceLike | None = None) -> Estimator:
    """Return the trained estimator of a run, ready to predict.

    A classifier predicts the codes of its classes; their names are in `class_names_`.

    Parameters
    ----------
    path : path
        A run file; that of an interrupted run gives the best state that it has.
    seed : int, optional
        Which seed's network; the first one's if not given.
    device : Device, str or mapping, optional
        Takes the place of the device named in the file.

    Raises
    ------
    RunFileError
        If the file is no run, or has no trained network for that seed.
    """
    with _open(path) as file:
        attributes = _decoded(file)
        config = Config.model_validate(attributes["config"])
        seed = config.run.seed if seed is None else seed
        weights = file.get(f"seed_{seed}/weights")
        if weights is None or not len(weights):
            trained = [n.removeprefix("seed_") for n in file if len(file[n].get("weights", ()))]
            known = ", ".join(trained) or "none"
            raise RunFileError(f"{path} has no trained network for seed {seed}; it has {known}")
        state = {name: values[()] for name, values in weights.items() if not _is_dimension(values)}
    estimator = make_estimator(
        config, attributes["task"], image=bool(attributes["image"]), seed=seed
    )
    if device is not None:
        estimator.set_params(device=device)
    classes = attributes["classes"]
    estimator.restore(state, attributes["n_features"], len(classes))
    if isinstance(estimator, PhysicalClassifier):
        estimator.classes_ = np.arange(len(classes))
        estimator.class_names_ = tuple(classes)
    return estimator


def _open(path: str | Path) -> h5py.File:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise RunFileError(f"cannot open {path} as a run file: {error}") from error
    if file.attrs.get("kind") != "train":
        file.close()
        raise RunFileError(f"{path} is no run of `pnn train`")
    return file


def _decoded(group: h5py.Group) -> dict[str, Any]:
    """Return the attributes, those kept as JSON read back."""
    content = {}
    for key, value in group.attrs.items():
        content[key] = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, str) and value[:1] in ("{", "["):
            with contextlib.suppress(json.JSONDecodeError):  # a text may begin like that, too
                content[key] = json.loads(value)
    return content


def _is_dimension(dataset: h5py.Dataset) -> bool:
    return bool(dataset.attrs.get("CLASS") == b"DIMENSION_SCALE")
