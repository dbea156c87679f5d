"""How a network is trained: the settings, the rows, and who looks on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pnn.layer import PhysicalNetwork

__all__ = ["PARTS", "Rows", "Session", "Tally", "Training", "Watch", "limit_threads"]

#: What can be trained, each with where it stands.
PARTS = {
    "encoder": "before the device",
    "readout": "after the device",
    "parameters": "inside the device",
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of gradient training, shared by all rules that descend.

    Parameters
    ----------
    epochs : int
        Passes over the training rows, per layer.
    batch_size : int
        Samples per step.
    learning_rate : float
        Of Adam, at the start; it falls to zero over the epochs along a cosine.
    inner_steps : int
        Optimiser steps per measured batch.
    schedule : {"layerwise", "joint"}
        One layer after the other, every drive measured once; or all layers with each batch, in
        which the layers after the first are measured anew each time.
    check_every : int
        Epochs between two looks at the validation rows, which are measured afresh each time.
    patience : int
        Looks without improvement of the validation loss after which training stops; the best
        state is kept in any case.
    train : sequence of {"encoder", "readout", "parameters"}
        What is trained: before the device, after it, inside it. Empty for what the rule trains
        by itself.
    washout : int or None
        Rows are steps in the order of time, which a device with memory may follow; so many at the
        beginning are driven and not learned from. None for rows that have no order.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 0.03
    inner_steps: int = 1
    schedule: Literal["layerwise", "joint"] = "layerwise"
    check_every: int = 4
    patience: int = 5
    train: tuple[str, ...] = ()
    washout: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "inner_steps", "check_every", "patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name}={value!r} must be a whole number of at least 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate={self.learning_rate!r} must be above 0")
        if self.schedule not in ("layerwise", "joint"):
            raise ValueError(f"schedule={self.schedule!r} is not one of layerwise, joint")
        if self.washout is not None and (isinstance(self.washout, bool) or self.washout < 0):
            raise ValueError(f"washout={self.washout!r} must be a whole number of at least 0")
        object.__setattr__(self, "train", tuple(self.train))
        for part in self.train:
            if part not in PARTS:
                raise ValueError(f"train={part!r} is not one of {', '.join(PARTS)}")

    @property
    def checks(self) -> int:
        """Looks at the validation rows, at the most."""
        return math.ceil(self.epochs / self.check_every)

    def learning_rate_at(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


@dataclass(frozen=True)
class Rows:
    """Training and validation rows.

    Attributes
    ----------
    inputs, validation_inputs : ndarray of shape (rows, features)
        The validation rows may be none.
    targets, validation_targets : torch.Tensor of shape (rows,)
        Whole numbers below `n_classes`, or real numbers where `n_classes` is 0 (regression).
    n_classes : int
        0 for regression.
    """

    inputs: NDArray[np.float64]
    targets: torch.Tensor
    validation_inputs: NDArray[np.float64]
    validation_targets: torch.Tensor
    n_classes: int


class Watch:
    """Somebody who looks on while a network trains; the base class does nothing.

    Attributes
    ----------
    changes : int
        How often the device has become another one for the network, so that losses from before
        are not comparable with those from now on; see `pnn.adaptation.Mender.retrain`.
    """

    changes: int = 0

    def progress(self, what: str, done: int, total: int) -> None:
        """Take note that `done` of `total` parts of a stage are over."""

    def epoch(self, **metrics: Any) -> None:
        """Take note of the metrics of one look at the validation rows."""

    def checkpoint(self) -> None:
        """Take note that the network is in its best state so far."""

    def measured(self, index: int, inputs: NDArray[np.float64], features: torch.Tensor) -> None:
        """Take note of what layer `index` is trained by, step after step: its measured rows.

        They may be written over, with what `inputs` are measured as later on.
        """

    def drift(self, **look: Any) -> None:
        """Take note of a look at the probe drives; see `pnn.drift_guard.Guarding.looks`."""


@dataclass
class Tally:
    """Digital work of a training, counted as it is done.

    Attributes
    ----------
    multiply_adds : int
        Of updates, closed forms and the fitting of twins; those of predictions while training
        go on are left out.
    """

    multiply_adds: int = 0

    def add(self, multiply_adds: float) -> None:
        """Count more work."""
        self.multiply_adds += round(multiply_adds)


@dataclass(frozen=True)
class Session:
    """One training: the network, its rows, the settings, the random numbers, and who looks on."""

    network: PhysicalNetwork
    rows: Rows
    settings: Training
    generator: torch.Generator
    watch: Watch
    tally: Tally = field(default_factory=Tally)


@contextlib.contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Use that many threads in torch and BLAS inside the block; None leaves them alone.

    Two busy processes on two cores slow two-threaded code 7 to 24 times, and the bits of a
    result may depend on the number of threads: hence an explicit setting.
    """
    if threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)
