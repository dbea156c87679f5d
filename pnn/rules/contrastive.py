"""Rules that contrast the right label with wrong ones through a goodness."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import torch

from devices.checks import one_of
from pnn.layer import Weights
from pnn.rules.local import LocalRule

__all__ = ["ContrastiveRule"]


class ContrastiveRule(LocalRule):
    """Base of PhyLL and Forward-Forward: h = W f + b, a goodness g(h), and a loss on g.

    Every sample is measured under every label hypothesis; the hypothesis with the true label is
    the positive, the others are negatives. The label whose hypothesis has the highest sum of
    goodness over the layers is predicted.

    Parameters
    ----------
    negatives : {"one", "all"}
        A fresh random wrong label per step, or all of them at once. Both use rows that are
        measured anyway; ``all`` costs more arithmetic.
    """

    hypotheses: ClassVar[bool] = True
    #: Goodness that other layers add to that of a batch, (rows, n_classes); no gradient flows.
    others: torch.Tensor | None = None

    def __init__(self, negatives: Literal["one", "all"] = "one") -> None:
        self.negatives = one_of(self.name, "negatives", negatives, ("one", "all"))

    @abstractmethod
    def goodness(self, weights: Weights, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return g, (rows,), and dg/dh, (rows, width), for h of shape (rows, width)."""

    @abstractmethod
    def loss(
        self, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss of each pair and its derivatives by both goodnesses."""

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W of normal numbers (features have a length of about 1) and b = 0."""
        return {
            "W": torch.randn(n_features, width, generator=generator),
            "b": torch.zeros(width),
        }

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return the mean loss over pairs, and its gradients by W and b."""
        n, n_classes = features.shape[:2]
        rows = torch.arange(n)
        if self.negatives == "one":
            shift = torch.randint(1, n_classes, (n, 1), generator=generator)
        else:
            shift = torch.arange(1, n_classes).expand(n, -1)
        labels = torch.cat([targets[:, None], (targets[:, None] + shift) % n_classes], dim=1)
        k = labels.shape[1]
        f = features[rows[:, None], labels].reshape(n * k, -1)
        h = torch.addmm(weights["b"], f, weights["W"])
        g, dg_dh = self.goodness(weights, h)
        g = g.reshape(n, k)
        if self.others is not None:
            g = g + self.others[rows[:, None], labels]
        pairs, d_positive, d_negative = self.loss(g[:, :1], g[:, 1:])
        d_g = torch.cat([d_positive.sum(dim=1, keepdim=True), d_negative], dim=1) / pairs.numel()
        d_h = d_g.reshape(-1, 1) * dg_dh
        return float(pairs.mean()), {"W": f.T @ d_h, "b": d_h.sum(dim=0)}

    def step_multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return those of the positive and its negatives."""
        views = 2 if self.negatives == "one" else n_classes
        return 2 * views * n_features * width

    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return the goodness of each hypothesis, (rows, n_classes)."""
        h = features.flatten(0, 1) @ weights["W"] + weights["b"]
        return self.goodness(weights, h)[0].reshape(features.shape[:2])
