"""Forward-Forward: high goodness for real data, low goodness for the rest."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch.nn.functional import softplus

from pnn.layer import Weights
from pnn.rules.contrastive import ContrastiveRule

__all__ = ["ForwardForward"]


class ForwardForward(ContrastiveRule):
    """Threshold on the mean square (Hinton, arXiv:2212.13345).

    With a = relu(W f + b),

        g = mean a^2,    loss = softplus(theta - g_positive) + softplus(g_negative - theta),

    and a is brought to unit mean square before the next layer, so that the goodness of one layer
    cannot be read off by the next.

    Parameters
    ----------
    theta : float
        Threshold of the goodness.
    negatives : {"one", "all"}
        See `ContrastiveRule`.
    """

    name: ClassVar[str] = "forward-forward"

    def __init__(self, theta: float = 2.0, negatives: Literal["one", "all"] = "one") -> None:
        super().__init__(negatives)
        if not theta > 0:
            raise ValueError(f"theta={theta!r} must be above 0")
        self.theta = theta

    def goodness(self, weights: Weights, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean of relu(h)^2 and its gradient."""
        a = h.relu()
        return a.square().mean(dim=1), 2 * a / h.shape[1]

    def loss(
        self, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss of each pair and its derivatives."""
        low, high = self.theta - positive, negative - self.theta
        return (
            softplus(low) + softplus(high),
            -torch.sigmoid(low).expand_as(negative),
            torch.sigmoid(high),
        )

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return relu(h) at unit mean square."""
        a = (features @ weights["W"] + weights["b"]).relu()
        return a / a.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-12)
