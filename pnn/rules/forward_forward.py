"""Forward-Forward: high goodness for real data, low goodness for the rest."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from devices.checks import number, one_of
from pnn.layer import Weights
from pnn.rules.contrastive import ContrastiveRule
from pnn.rules.goodness import GOODNESS, THRESHOLDS, threshold, unit_vector

__all__ = ["ForwardForward"]


class ForwardForward(ContrastiveRule):
    """A threshold on the goodness (Hinton, arXiv:2212.13345).

    With a = relu(W f + b) and g = mean a^2 or another goodness,

        loss = softplus(theta - g_positive) + softplus(g_negative - theta),

    and a is brought to unit mean square before the next layer, so that the goodness of one layer
    cannot be read off by the next. One query per sample, label and layer, in training (where the
    answers are reused by all steps) and in prediction alike.

    Peer normalisation adds peer/2 mean_j (m_j - mean m)^2, m_j the mean activity of unit j over
    the batch's positives (the paper keeps a running mean), lest few units do all the work:
    da_j = peer (m_j - mean m) / (rows width).

    Parameters
    ----------
    theta : float or None
        Threshold of the goodness; None takes one that suits it (`pnn.rules.goodness`).
    negatives : {"one", "all"}
        See `ContrastiveRule`.
    goodness : {"mean", "sum", "top-k", "cosine"}
        Of the squares of a, or the cosine of a and a fixed random vector. The contrast in the
        place of the threshold is `SymBa`; it takes the same ones.
    peer : float
        Strength of peer normalisation.
    """

    name: ClassVar[str] = "forward-forward"
    reported: ClassVar[str] = "MNIST 98.64 % (arXiv:2212.13345, 4 x 2000 ReLU)"
    works_on: ClassVar[str] = (
        "any device; a query per class, and drives that the device must tell apart by their label"
    )
    #: What the option is called that sets theta.
    theta_name: ClassVar[str] = "theta"

    def __init__(
        self,
        theta: float | None = None,
        negatives: Literal["one", "all"] = "one",
        goodness: str = "mean",
        peer: float = 0.0,
    ) -> None:
        super().__init__(negatives)
        self.kind = one_of(self.name, "goodness", goodness, tuple(GOODNESS))
        threshold = THRESHOLDS[self.kind] if theta is None else theta
        self.theta = number(self.name, self.theta_name, threshold, 0.0, above=True)
        self.peer = number(self.name, "peer", peer, 0.0)

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W and b, and for the cosine the vector p."""
        weights = super().start(n_features, width, n_classes, generator)
        return weights | ({"p": unit_vector(width, generator)} if self.kind == "cosine" else {})

    def goodness(self, weights: Weights, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the goodness of relu(h) and its gradient."""
        a = h.relu()
        g, slope = GOODNESS[self.kind](weights, a)
        return g, slope * (a > 0)

    def loss(
        self, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss of each pair and its derivatives."""
        return threshold(self.theta, positive, negative)

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return the mean loss, with peer normalisation, and its gradients by W and b."""
        loss, found = super().gradients(weights, features, targets, generator)
        if self.peer:
            f = features[torch.arange(len(features)), targets]
            a = torch.addmm(weights["b"], f, weights["W"]).relu()
            off = a.mean(dim=0) - a.mean()
            d_h = self.peer * off / a.numel() * (a > 0)
            loss += 0.5 * self.peer * float(off.square().mean())
            found = {"W": found["W"] + f.T @ d_h, "b": found["b"] + d_h.sum(dim=0)}
        return loss, found

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return relu(h) at unit mean square."""
        a = (features @ weights["W"] + weights["b"]).relu()
        return a / a.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-12)
