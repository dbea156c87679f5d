"""A linear readout of the last answers, by logistic regression."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from devices.checks import number
from pnn.layer import PhysicalNetwork, Weights
from pnn.rules.local import LocalRule
from pnn.rules.readout import Readout
from pnn.schedules import Look, descend
from pnn.training import Session, Training

__all__ = ["Logistic"]


class Logistic(Readout):
    """Multinomial logistic regression with weight decay (Cox, J. R. Stat. Soc. B 20, 215 (1958)).

    W and b descend the cross-entropy of softmax(W f + b), with decay/2 of the sum of W^2:

        dh = (softmax(h) - onehot) / rows,   dW = f^T dh + decay W.

    Earlier layers hand their features on as they are. One query per sample, layer and mask; it
    stops early on validation rows.

    Parameters
    ----------
    decay : float
        Strength of the penalty on W.
    """

    name: ClassVar[str] = "logistic"
    reported: ClassVar[str] = "no figure at hand (statistics, no network)"
    works_on: ClassVar[str] = "any device, a query per sample"
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    uses_validation: ClassVar[bool] = True

    def __init__(self, decay: float = 1e-5) -> None:
        super().__init__()
        self.decay = number(self.name, "decay", decay, 0.0)

    def fit_layer(self, session: Session, index: int, features: torch.Tensor, look: Look) -> None:
        """Descend with the last layer."""
        descend(self, session, index, features, look)

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of all steps."""
        sizes = {"n_train": n_train, "n_classes": n_classes}
        return LocalRule.estimate_multiply_adds(self, network, settings, **sizes)

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return the penalised mean cross-entropy and its gradients by W and b."""
        h = self.scores(weights, features)
        d_h = h.softmax(dim=1)
        d_h[torch.arange(len(targets)), targets] -= 1
        d_h /= len(targets)
        penalty = 0.5 * self.decay * float(weights["W"].square().sum())
        return float(cross_entropy(h, targets)) + penalty, {
            "W": features.T @ d_h + self.decay * weights["W"],
            "b": d_h.sum(dim=0),
        }
