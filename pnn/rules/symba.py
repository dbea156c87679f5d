"""SymBa: Forward-Forward with a contrast in the place of the threshold."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from devices.checks import number
from pnn.layer import Weights
from pnn.rules.forward_forward import ForwardForward
from pnn.rules.goodness import contrast

__all__ = ["SymBa"]


class SymBa(ForwardForward):
    """Symmetric contrast of goodness (Lee & Song, arXiv:2303.08418).

    As `ForwardForward`, but positives and negatives weigh the same at any level of goodness,

        loss = softplus(-theta (g_positive - g_negative)),

    and every layer is told the hypothesis: a fixed random pattern of its label, the intrinsic
    class pattern, is added to what is handed on. One query per sample, label and layer.

    Parameters
    ----------
    theta : float
        Slope of the loss (alpha in the paper).
    pattern : float
        Height of the class pattern beside activities of unit mean square.
    negatives, goodness, peer
        See `ForwardForward`.
    """

    name: ClassVar[str] = "symba"
    reported: ClassVar[str] = "MNIST 98.58 %, CIFAR-10 59.09 % (arXiv:2303.08418)"
    works_on: ClassVar[str] = "any device; a query per class"

    def __init__(
        self,
        theta: float = 4.0,
        pattern: float = 0.5,
        negatives: Literal["one", "all"] = "one",
        goodness: str = "mean",
        peer: float = 0.0,
    ) -> None:
        super().__init__(theta, negatives, goodness, peer)
        self.pattern = number(self.name, "pattern", pattern, 0.0)

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W and b, and the class patterns, (n_classes, width)."""
        weights = super().start(n_features, width, n_classes, generator)
        return weights | {"patterns": torch.randn(n_classes, width, generator=generator)}

    def loss(
        self, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss of each pair and its derivatives."""
        return contrast(self.theta, positive, negative)

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return relu(h) at unit mean square, with the pattern of each hypothesis."""
        return super().hand_on(weights, features) + self.pattern * weights["patterns"]
