"""What a run plans and what it gave."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn.config import Config
from pnn.data import Dataset

__all__ = ["Arm", "Plan", "Result", "SeedResult"]


@dataclass(frozen=True)
class Plan:
    """What a run will do and cost, at the most; made without driving anything.

    Attributes
    ----------
    rule, rule_class, device : str
        What learns, what it needs, and from what.
    rows : dict
        Rows of the data set to train, validate and test on, per seed.
    queries : dict
        Device rows per seed, by purpose, with their ``total``.
    device_seconds : float or None
        For all seeds, from the devices' seconds per query; None where a device states none.
    encoders : list of str
        How features become drives, layer by layer.
    notes : list of str
        Warnings.
    joules : float or None
        Of the devices, for all seeds, where they state their power.
    multiply_adds : int or None
        Digital ones of training, for all seeds, controls apart; None where the rule does not say.
    """

    rule: str
    rule_class: str
    device: str
    rows: dict[str, int]
    queries: dict[str, int]
    device_seconds: float | None
    encoders: list[str]
    notes: list[str]
    joules: float | None = None
    multiply_adds: int | None = None


@dataclass(frozen=True)
class Arm:
    """One way through the data: the device, or a control in its place.

    Attributes
    ----------
    merit : ndarray of shape (test rows,)
        1 for a right label and 0 for a wrong one; for regression 1 - error^2 / variance.
    width : int
        What the readouts see, over all layers.
    parameters : int
        Trained numbers.
    multiply_adds : int
        Digital multiply-adds for one prediction, those of a stand-in included.
    training_multiply_adds : int
        Digital multiply-adds of training.
    training_joules, inference_joules : float or None
        Energy of this computer while training and while testing, where it was measured.
    """

    merit: NDArray[Any]
    width: int
    parameters: int
    multiply_adds: int
    training_multiply_adds: int = 0
    training_joules: float | None = None
    inference_joules: float | None = None

    @property
    def score(self) -> float:
        """Test accuracy, or R2 for regression: the mean merit."""
        return float(self.merit.mean())


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave: the arm ``device`` and the controls, by name."""

    seed: int
    arms: dict[str, Arm]
    ledger: dict[str, Any]
    seconds: float
    #: Looks at the probe drives, as `pnn.seed_record.SeedRecord.looks` has them.
    drift: list[dict[str, Any]] = field(default_factory=list)
    #: What was warned of while the device was trained with.
    notes: list[str] = field(default_factory=list)
    #: Cosine of the feedback and the true gradient, at the end, where the rule tells of it.
    alignment: float | None = None


@dataclass(frozen=True)
class Result:
    """A finished run."""

    config: Config
    dataset: Dataset
    plan: Plan
    seeds: list[SeedResult]
    seconds: float
    path: Path

    @property
    def notes(self) -> list[str]:
        """The plan's notes, and what no plan could know; once where numbers alone differ."""
        found: dict[str, str] = {}
        for text in [*self.plan.notes, *(text for seed in self.seeds for text in seed.notes)]:
            found.setdefault(re.sub(r"\d+", "#", text), text)
        return list(found.values())

    @property
    def chance(self) -> float:
        """Score of somebody who has seen the labels alone; 0 (in R2) for regression."""
        if self.dataset.task == "regression":
            return 0.0
        return float(np.bincount(self.dataset.y).max() / len(self.dataset.y))
