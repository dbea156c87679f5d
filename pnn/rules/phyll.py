"""PhyLL, model-free forward-forward learning for physical networks."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from devices.checks import number
from pnn.layer import Weights
from pnn.rules.contrastive import ContrastiveRule
from pnn.rules.goodness import contrast, cosine, unit_vector

__all__ = ["PhyLL"]


class PhyLL(ContrastiveRule):
    """Contrast of cosine goodness (Momeni et al., Science 382, 1297 (2023)).

    With h = W f + b and a fixed random unit vector p for each layer,

        g = cos(|h|, p),    loss = mean softplus(-theta (g_positive - g_negative)),

    and the gradient stays in W and b:

        dg/dh = sign(h) (p - g |h| / ||h||) / ||h||.

    One layer costs one query per sample and label, in training (where the answers are reused by
    all steps) and in prediction alike. The signed p and the unsigned |h| keep g below about 0.7.

    Parameters
    ----------
    theta : float
        Slope of the loss.
    negatives : {"one", "all"}
        See `ContrastiveRule`.
    """

    name: ClassVar[str] = "phyll"
    reported: ClassVar[str] = "no figure at hand (three wave-based networks; vowels and images)"
    works_on: ClassVar[str] = (
        "any device; a query per class, and drives that the device must tell apart by their label"
    )

    def __init__(self, theta: float = 4.0, negatives: Literal["one", "all"] = "one") -> None:
        super().__init__(negatives)
        self.theta = number(self.name, "theta", theta, 0.0, above=True)

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W, b and the layer's unit vector p."""
        weights = super().start(n_features, width, n_classes, generator)
        return weights | {"p": unit_vector(width, generator)}

    def goodness(self, weights: Weights, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cos(|h|, p) and its gradient."""
        g, slope = cosine(weights, h.abs())
        return g, h.sign() * slope

    def loss(
        self, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return softplus(-theta (g+ - g-)) and its derivatives."""
        return contrast(self.theta, positive, negative)

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return h, brought to the length sqrt(width)."""
        h = features @ weights["W"] + weights["b"]
        length = h.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        return h / length * h.shape[-1] ** 0.5
