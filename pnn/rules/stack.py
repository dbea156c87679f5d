"""Rules that need the answers of all layers before any of them can learn."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch

from pnn import schedules
from pnn.layer import PhysicalNetwork
from pnn.rules.cost import Cost
from pnn.rules.local import LocalRule
from pnn.training import Session, Training

__all__ = ["StackRule"]


class StackRule(LocalRule):
    """A local rule whose layers learn together; stands first among the bases.

    Every batch goes through the whole stack, whatever the setting `schedule` says; the first
    layer's training rows are measured once.
    """

    measures_once: ClassVar[bool] = False

    def cost(self, n_classes: int) -> Cost:
        """Return, too, what the first layer is spared."""
        return replace(super().cost(n_classes), first_once=self.rows_per_sample(n_classes))

    @abstractmethod
    def sweep(
        self,
        session: Session,
        features: torch.Tensor,
        descents: list[schedules.Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        """Train all layers on a batch, given the first one's features; return their losses."""

    def learn(self, session: Session) -> None:
        """Train all layers with each batch."""
        schedules.joint(self, session, self.sweep)

    def rise(self, session: Session, features: torch.Tensor) -> list[torch.Tensor]:
        """Measure a batch through the rest of the stack; return the features of all layers."""
        seen = [features]
        for before, layer in itertools.pairwise(session.network.layers):
            z = self.pass_on(before, seen[-1])
            seen.append(self.measure(layer, z, session.rows.n_classes, "train", first=False))
        return seen

    def estimate(
        self, network: PhysicalNetwork, settings: Training, **sizes: int
    ) -> dict[str, int]:
        """Return the queries of the joint schedule."""
        return super().estimate(network, replace(settings, schedule="joint"), **sizes)
