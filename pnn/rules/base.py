"""The interface of learning rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from devices import Purpose
from pnn import schedules
from pnn.layer import CHUNK, PhysicalLayer, PhysicalNetwork, Weights
from pnn.training import Session, Training, Watch

__all__ = ["Rule", "RuleClass"]

Array = NDArray[np.float64]


class RuleClass(Enum):
    """What a rule needs from the device."""

    OUTPUTS = "measured answers only"
    PERTURB = "answers to slightly changed drives or parameters"
    LAW = "a known element-wise law of the device"
    TWIN = "a differentiable model fitted to measurements"
    GRADIENT = "derivatives of the device (simulators only)"
    SPECIAL = "particular physics"


class Rule(ABC):
    """A rule that trains the digital part after each device from its measured answers.

    A rule is written by four short methods on tensors: `start`, `gradients`, `hand_on` and
    `scores`; the loops that encode, measure, descend and validate are in `pnn.schedules`. A rule
    with a closed form writes `fit_layer` instead of `gradients`.

    Features have the shape (rows, n_features), or for a rule with `hypotheses`
    (rows, n_classes, n_features): every sample is measured under every label that it might have.
    """

    #: Name in configurations.
    name: ClassVar[str]
    #: What the rule needs from the device.
    rule_class: ClassVar[RuleClass] = RuleClass.OUTPUTS
    #: What it can learn: "classification", "regression".
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    #: Whether a sample is driven once per label hypothesis.
    hypotheses: ClassVar[bool] = False
    #: Whether it stops early on validation rows.
    uses_validation: ClassVar[bool] = True
    #: The weights that `gradients` gives gradients for.
    trained: ClassVar[tuple[str, ...]] = ("W", "b")

    # -- what a rule writes --------------------------------------------------------------------

    @abstractmethod
    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return the weights before training."""

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return the local loss of a batch and its gradients in closed form."""
        raise TypeError(f"{self.name} has no gradients: it is fitted in closed form")

    @abstractmethod
    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return what the next layer is given, (..., width); no gradient flows back."""

    @abstractmethod
    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return one score per class, (rows, n_classes), or the value, (rows, 1)."""

    def combine(self, scores: list[torch.Tensor]) -> torch.Tensor:
        """Join the scores of all layers into the network's; the sum unless overridden."""
        return torch.stack(scores).sum(dim=0)

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Digital multiply-adds of one layer for one prediction (of one sample)."""
        rows = n_classes if self.hypotheses else 1
        return rows * n_features * width

    # -- cost ----------------------------------------------------------------------------------

    def rows_per_sample(self, n_classes: int) -> int:
        """Return the queries per sample, layer and mask."""
        return max(1, n_classes) if self.hypotheses else 1

    def estimate(
        self,
        network: PhysicalNetwork,
        settings: Training,
        *,
        n_train: int,
        n_validation: int,
        n_test: int,
        n_classes: int,
    ) -> dict[str, int]:
        """Return the queries that training and testing will spend, at the most, by purpose."""
        rows = [layer.encoder.masks * self.rows_per_sample(n_classes) for layer in network.layers]
        first, rest, whole = rows[0], sum(rows[1:]), sum(rows)
        train, validation = n_train * whole, 0
        if settings.schedule == "joint":
            train += n_train * rest * settings.epochs
        if self.uses_validation:
            validation = n_validation * whole * settings.checks
            if settings.schedule == "layerwise":
                # What is handed on to the next layer is measured once more.
                validation += n_validation * (whole - (rows[-1] if rest else first))
        return {"train": train, "validation": validation, "test": n_test * whole}

    # -- what the loops call -------------------------------------------------------------------

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError` if the rule cannot learn this task on these devices."""
        task = "classification" if n_classes else "regression"
        if task not in self.tasks:
            raise ValueError(f"rule {self.name!r} learns {', '.join(self.tasks)}, not {task}")
        for device in network.devices:
            if device.spec.memory:
                raise ValueError(
                    f"rule {self.name!r} drives rows in any order, but {device.spec.name} keeps "
                    "memory between rows"
                )

    def train(self, session: Session) -> None:
        """Train every layer of the session's network; checks before the first query."""
        self.check(session.network, session.settings, session.rows.n_classes)
        schedules.SCHEDULES[session.settings.schedule](self, session)

    def fit_layer(
        self, session: Session, index: int, features: torch.Tensor, look: schedules.Look
    ) -> None:
        """Train layer `index` on features that were measured once.

        `look()` measures the validation rows afresh and returns the metrics on them.
        """
        schedules.descend(self, session, index, features, look)

    def measure(
        self,
        layer: PhysicalLayer,
        inputs: Array,
        n_classes: int,
        purpose: Purpose,
        *,
        first: bool,
        fit: bool = False,
        watch: Watch = Watch(),  # noqa: B008  (it has no state)
    ) -> torch.Tensor:
        """Return the features of `inputs`; the first layer of a hypothesis rule asks each label.

        `fit` learns the encoder and the scaling of the features from these rows.
        """
        ask = self.hypotheses and first
        if fit:
            layer.fit_encoder(inputs, n_classes if ask else 0)
        labels = None
        if ask:
            labels = np.tile(np.arange(n_classes), len(inputs))
            inputs = np.repeat(inputs, n_classes, axis=0)
        progress = partial(watch.progress, f"measure ({purpose})")
        raw = layer.raw(inputs, labels, purpose=purpose, progress=progress)
        if fit:
            layer.fit_scaling(raw)
        features = layer.scaled(raw)
        return features.reshape(-1, n_classes, layer.n_features) if self.hypotheses else features

    def pass_on(self, layer: PhysicalLayer, features: torch.Tensor) -> Array:
        """Return the inputs of the next layer, one row per row (and hypothesis)."""
        handed_on = self.hand_on(layer.weights, features)
        return handed_on.reshape(-1, handed_on.shape[-1]).numpy().astype(np.float64)

    def predict(
        self, network: PhysicalNetwork, inputs: Array, n_classes: int, purpose: Purpose
    ) -> torch.Tensor:
        """Measure `inputs` through all layers and return the network's scores."""
        scores, z = [], inputs
        for i, layer in enumerate(network.layers):
            features = self.measure(layer, z, n_classes, purpose, first=i == 0)
            # In double precision: a row's scores do not depend on the rows measured beside it.
            exact = {key: value.double() for key, value in layer.weights.items()}
            parts = [self.scores(exact, part.double()) for part in torch.split(features, CHUNK)]
            scores.append(torch.cat(parts))
            if i + 1 < len(network.layers):
                z = self.pass_on(layer, features)
        return self.combine(scores)
