"""Counter-current learning: a digital network runs from the labels down to meet the layers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn.functional import normalize, one_hot

from pnn.layer import Weights
from pnn.rules.mono_forward import MonoForward
from pnn.rules.stack import StackRule
from pnn.schedules import Descent
from pnn.training import Session

__all__ = ["CounterCurrent"]


class CounterCurrent(StackRule, MonoForward):
    """Two networks in opposite directions teach each other (Kao & Hariharan, arXiv:2409.19841).

    Upwards run the activities a_l = relu(W_l f_l + b_l) of a sample, downwards, in a digital
    network, those of each label c: k_L = relu(onehot V_L), k_l = relu(k_{l+1} V_l). No gradient
    crosses layers. With unit vectors a^ and k^, W_l and V_l descend

        loss = mean_{i,c} (a^_i . k^_c - [c = target_i])^2,
        da = (I - a^ a^T) (dS k^) / |a|,    dk = (I - k^ k^T) (dS^T a^) / |k|,

    dS the derivative by the products. A linear readout a M of each layer descends its own
    cross-entropy (as in `MonoForward`), the last one is the network's. All layers learn with each
    batch: one query per sample, layer and update; the first layer is measured once.
    """

    name: ClassVar[str] = "counter-current"
    reported: ClassVar[str] = "MNIST 98.13 %, CIFAR-10 52.73 % (MLP, arXiv:2409.19841)"
    works_on: ClassVar[str] = (
        "any device; two layers or more, for which every update asks the later ones anew"
    )
    trained: ClassVar[tuple[str, ...]] = ("W", "b", "M", "V")
    #: Activities of each label above the layer that learns, (n_classes, width above).
    above = torch.empty(0)

    def learn(self, session: Session) -> None:
        """Train both networks with each batch."""
        widths = [layer.width for layer in session.network.layers[1:]]
        self.widths_above = [*widths, session.rows.n_classes]
        super().learn(session)

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W, b and M, and V of the network from the labels down."""
        weights = super().start(n_features, width, n_classes, generator)
        above = self.widths_above.pop(0)
        V = torch.randn(above, width, generator=generator)
        return weights | {"V": V if above == n_classes else V * (2 / above) ** 0.5}

    def sweep(
        self,
        session: Session,
        features: torch.Tensor,
        descents: list[Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        """Send samples up and labels down, then let the networks meet in every layer."""
        seen = self.rise(session, features)
        falling = [torch.eye(session.rows.n_classes)]
        for descent in reversed(descents[1:]):
            falling.append((falling[-1] @ descent.weights["V"]).relu())
        losses = []
        for self.above, f, descent in zip(reversed(falling), seen, descents, strict=True):
            losses.append(descent.step(epoch, f, session.rows.targets[batch]))
        return losses

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return both losses' sum, and the gradients by W, b, M and V."""
        loss, found = super().gradients(weights, features, targets, generator)
        met, _, d_V = self._meet(weights, self.hand_on(weights, features), targets)
        return loss + met, found | {"V": d_V}

    def teach(
        self, weights: Weights, a: torch.Tensor, d_scores: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Return what the labels' activities make of a, through the slope of the ReLU."""
        return self._meet(weights, a, targets)[1] * (a > 0)

    def _meet(
        self, weights: Weights, a: torch.Tensor, targets: torch.Tensor
    ) -> tuple[float, torch.Tensor, torch.Tensor]:
        """Return the loss between activities and those of the labels, da and dV."""
        k = (self.above @ weights["V"]).relu()
        a1, k1 = normalize(a, dim=1), normalize(k, dim=1)
        off = a1 @ k1.T - one_hot(targets, len(k))
        d_S = 2 * off / off.numel()
        d_a = _tangent(d_S @ k1, a1) / a.norm(dim=1, keepdim=True).clamp_min(1e-12)
        d_k = _tangent(d_S.T @ a1, k1) / k.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return float(off.square().mean()), d_a, self.above.T @ (d_k * (k > 0))

    def combine(self, scores: list[torch.Tensor]) -> torch.Tensor:
        """Return the last layer's scores."""
        return scores[-1]


def _tangent(vectors: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    """Return vectors without their parts along the unit vectors."""
    return vectors - (vectors * units).sum(dim=1, keepdim=True) * units
