"""Mono-Forward: a local classifier on every layer, one query per sample."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from pnn.layer import Weights
from pnn.rules.local import LocalRule

__all__ = ["MonoForward"]


class MonoForward(LocalRule):
    """Local cross-entropy through a projection (Gong, Li & Abdulla, arXiv:2501.09238).

    With a = relu(W f + b) and the layer's own projection M, the scores are G = a M; W, b and M
    descend the cross-entropy of softmax(G):

        dG = (softmax(G) - onehot) / rows,   dM = a^T dG,   dh = (dG M^T) [h > 0],   dW = f^T dh.

    One query per sample and layer, no negatives. The scores of the layers are summed.
    """

    name: ClassVar[str] = "mono-forward"
    reported: ClassVar[str] = (
        "CIFAR-10 62.34 %, backpropagation 61.13 % (MLP, Spyra & Dzwinel, arXiv:2511.01061)"
    )
    works_on: ClassVar[str] = "any device, a query per sample; depth adds little"
    trained: ClassVar[tuple[str, ...]] = ("W", "b", "M")

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W of normal numbers (features have a length of about 1), b = 0, and M."""
        return {
            "W": torch.randn(n_features, width, generator=generator),
            "b": torch.zeros(width),
            "M": torch.randn(width, n_classes, generator=generator) / width**0.5,
        }

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return the mean cross-entropy and its gradients by W, b and M."""
        a = self.hand_on(weights, features)
        scores = a @ weights["M"]
        d_scores = scores.softmax(dim=1)
        d_scores[torch.arange(len(targets)), targets] -= 1
        d_scores /= len(targets)
        d_h = self.teach(weights, a, d_scores, targets)
        return float(cross_entropy(scores, targets)), {
            "W": features.T @ d_h,
            "b": d_h.sum(dim=0),
            "M": a.T @ d_scores,
        }

    def teach(
        self, weights: Weights, a: torch.Tensor, d_scores: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Return what W and b descend: dh, (rows, width), for activities a."""
        return (d_scores @ weights["M"].T) * (a > 0)

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return relu(W f + b)."""
        return torch.addmm(weights["b"], features, weights["W"]).relu()

    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return G, (rows, n_classes)."""
        return self.hand_on(weights, features) @ weights["M"]

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return the multiply-adds of W and M."""
        return width * (n_features + n_classes)
