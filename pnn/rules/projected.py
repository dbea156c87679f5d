"""Rules whose layers say something of the classes through a projection of their own."""

from __future__ import annotations

from typing import ClassVar

import torch

from pnn.layer import PhysicalLayer, Weights
from pnn.rules.backward import BackwardRule

__all__ = ["ProjectedRule"]


class ProjectedRule(BackwardRule):
    """Base of the rules in which every layer, the last one too, says relu(h) M."""

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    trained: ClassVar[tuple[str, ...]] = ("W", "b", "M")

    def start(
        self, layer: PhysicalLayer, n_outputs: int, last: bool, generator: torch.Generator
    ) -> Weights:
        """Return W, b, and the layer's projection M."""
        weights = super().start(layer, n_outputs, False, generator)
        M = torch.randn(layer.width, n_outputs, generator=generator) / layer.width**0.5
        return weights | {"M": M}

    def read(self, weights: Weights, handed_on: torch.Tensor) -> torch.Tensor:
        """Return relu(h) M."""
        return handed_on.relu() @ weights["M"]

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return the multiply-adds of W and M."""
        return width * (n_features + n_classes)
