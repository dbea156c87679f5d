"""Rules that train what stands after each device, layer by layer, from its answers."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch

from pnn import schedules
from pnn.layer import PhysicalNetwork, Weights
from pnn.rules.base import Rule
from pnn.training import Session, Training

__all__ = ["LocalRule"]


class LocalRule(Rule):
    """A rule that trains the digital part after each device from its measured answers.

    A rule is written by four short methods on tensors: `start`, `gradients`, `hand_on` and
    `scores`; the loops that encode, measure, descend and validate are in `pnn.schedules`. A rule
    with a closed form writes `fit_layer` instead of `gradients`; one that learns something from
    all layers at the end, such as a readout of all of them, writes `finish`.

    Features have the shape (rows, n_features), or for a rule with `hypotheses`
    (rows, n_classes, n_features): every sample is measured under every label that it might have.
    """

    #: Whether there is no joint schedule, as for a closed form or a readout of trained layers.
    layerwise_only: ClassVar[bool] = False
    #: Whether only the last layer is trained.
    last_only: ClassVar[bool] = False

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

    def fit_layer(
        self, session: Session, index: int, features: torch.Tensor, look: schedules.Look
    ) -> None:
        """Train layer `index` on features that were measured once.

        `look()` measures the validation rows afresh and returns the metrics on them.
        """
        schedules.descend(self, session, index, features, look)

    def finish(self, session: Session, features: list[torch.Tensor]) -> None:
        """Learn from the training features of all layers, once these are trained.

        `features` is empty in the joint schedule, which does not keep them.
        """

    def step_multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return the digital multiply-adds of one sample's part in one step of one layer.

        Twice those of a prediction: forward, and by the weights.
        """
        return 2 * self.multiply_adds(n_features, width, n_classes)

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError` for a schedule that has no meaning here, too."""
        super().check(network, settings, n_classes)
        if self.layerwise_only and settings.schedule != "layerwise":
            raise ValueError(
                f"rule {self.name!r} is trained layer by layer, not with "
                f"schedule={settings.schedule!r}; use schedule='layerwise'"
            )

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of all steps of all layers that descend."""
        layers = network.layers[-1:] if self.last_only else network.layers
        steps = settings.epochs * settings.inner_steps * (n_train - (settings.washout or 0))
        return steps * sum(
            self.step_multiply_adds(layer.n_features, layer.width, n_classes) for layer in layers
        )

    def learn(self, session: Session) -> None:
        """Train by the schedule of the settings."""
        schedules.SCHEDULES[session.settings.schedule](self, session)

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
        masks = [layer.encoder.masks for layer in network.layers]
        views = self.views(n_classes, True)
        train, validation = n_train * views * sum(masks), 0
        if settings.schedule == "joint":
            train += n_train * views * sum(masks[1:]) * settings.epochs
        if self.uses_validation:
            seen = sum(masks[-1:] if self.last_only else masks) * settings.checks
            if settings.schedule == "layerwise":
                # What is handed on to the next layer is measured once more.
                seen += sum(masks[:-1])
            validation = n_validation * views * seen
        test = n_test * sum(masks) * self.rows_per_sample(n_classes)
        return {"train": train, "validation": validation, "test": test}
