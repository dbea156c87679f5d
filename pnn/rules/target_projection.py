"""Target projection: every layer is taught by a random projection of the label."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from pnn.layer import Weights
from pnn.rules.mono_forward import MonoForward

__all__ = ["DRTP", "TargetProjectionSGD"]


class DRTP(MonoForward):
    """Direct random target projection (Frenkel et al., Front. Neurosci. 15, 629892 (2021)).

    With a = tanh(W f + b) and a fixed random matrix B (classes x width), a projection of the
    label stands where backpropagation has the error:

        dh = B_target (1 - a^2) / rows,   dW = f^T dh.

    A linear readout a M of each layer descends its own cross-entropy (as in `MonoForward`), the
    last one is the network's. One query per sample and layer.
    """

    name: ClassVar[str] = "drtp"
    reported: ClassVar[str] = "MNIST 92.16 %, CIFAR-10 33.85 % (MLP)"
    works_on: ClassVar[str] = "any device, a query per sample; worse with every layer"

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W, b, M, and the projection B, uniform between -1 and 1."""
        weights = super().start(n_features, width, n_classes, generator)
        return weights | {"B": 2 * torch.rand(n_classes, width, generator=generator) - 1}

    def teach(
        self, weights: Weights, a: torch.Tensor, d_scores: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Return the projected labels, through the slope of tanh."""
        return weights["B"][targets] * (1 - a.square()) / len(a)

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return tanh(W f + b)."""
        return torch.addmm(weights["b"], features, weights["W"]).tanh()

    def combine(self, scores: list[torch.Tensor]) -> torch.Tensor:
        """Return the last layer's scores."""
        return scores[-1]


class TargetProjectionSGD(DRTP):
    """Target projection SGD, tpSGD (Lomnitz et al., arXiv:2208.08503).

    As `DRTP`, but the projection of the label is what a shall become, hence learning comes to
    rest:

        J = mean |a - B_target|^2:    dh = 2 (a - B_target) (1 - a^2) / (rows width),
        J = mean |a - B_target|_1:    dh = sign(a - B_target) (1 - a^2) / (rows width).

    One query per sample and layer.

    Parameters
    ----------
    norm : {"l2", "l1"}
        Which distance.
    """

    name: ClassVar[str] = "tpsgd"
    reported: ClassVar[str] = (
        "within 5 points of backpropagation in shallow networks (arXiv:2208.08503)"
    )
    works_on: ClassVar[str] = "any device, a query per sample; worse with every layer"

    def __init__(self, norm: Literal["l2", "l1"] = "l2") -> None:
        if norm not in ("l2", "l1"):
            raise ValueError(f"norm={norm!r} is not one of l2, l1")
        self.norm = norm

    def teach(
        self, weights: Weights, a: torch.Tensor, d_scores: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Return the slope of the distance between activities and projected labels."""
        off = a - weights["B"][targets]
        return (2 * off if self.norm == "l2" else off.sign()) * (1 - a.square()) / a.numel()
