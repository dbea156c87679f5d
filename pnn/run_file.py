"""Reading run files: what a run says of itself, its configuration, its trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from devices.hdf5 import read_attributes as read_group_attributes
from devices.hdf5 import read_bundle
from pnn.build import Estimator, make_estimator
from pnn.config import Config
from pnn.estimators import DeviceLike, PhysicalClassifier
from pnn.reading import open_h5

__all__ = ["RunFileError", "config_of", "load", "read_attributes"]


class RunFileError(ValueError):
    """A file is not a run of this toolkit, or has not what is asked of it."""


def read_attributes(path: str | Path) -> dict[str, Any]:
    """Return the attributes of a run and, under ``seeds``, of each of its seeds.

    Raises
    ------
    RunFileError
        If the file is not there or is no run of this toolkit.
    """
    with _open(path) as file:
        content = read_group_attributes(file)
        content["seeds"] = {
            name: read_group_attributes(file[name])
            for name in sorted(file)
            if name.startswith("seed_")
        }
    return content


def config_of(path: str | Path) -> Config:
    """Return the configuration of a run.

    Raises
    ------
    RunFileError
        If the file is not there, is no run, or was broken off before it was laid out.
    """
    with _open(path) as file:
        attributes = read_group_attributes(file)
    if "config" not in attributes:
        raise RunFileError(f"{path} was broken off before it was laid out; begin a new run")
    return Config.model_validate(attributes["config"])


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
        attributes = read_group_attributes(file)
        config = Config.model_validate(attributes["config"])
        seed = config.run.seed if seed is None else seed
        states = {
            int(name.removeprefix("seed_")): _learned(group)
            for name, group in file.items()
            if name.startswith("seed_")
        }
    state = states.get(seed)
    if not state:
        known = ", ".join(str(n) for n in sorted(states) if states[n]) or "none"
        raise RunFileError(f"{path} has no trained network for seed {seed}; it has {known}")
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
        file = open_h5(path)
    except FileNotFoundError as error:
        raise RunFileError(f"cannot open {path} as a run file: there is no such file") from error
    except ValueError as error:
        raise RunFileError(str(error)) from error
    if file.attrs.get("kind") != "train":
        file.close()
        raise RunFileError(f"{path} is no run of `pnn train`")
    return file


def _learned(seed: h5py.Group) -> dict[str, NDArray[Any]]:
    """Return what was learned: the newest checkpoint, in older files the array by array."""
    state = read_bundle(seed, "state")
    if state is None:
        arrays = seed.get("weights", {})
        state = {name: values[()] for name, values in arrays.items() if not _is_dimension(values)}
    return state


def _is_dimension(dataset: h5py.Dataset) -> bool:
    return bool(dataset.attrs.get("CLASS") == b"DIMENSION_SCALE")
