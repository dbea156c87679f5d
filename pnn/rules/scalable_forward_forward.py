"""Scalable Forward-Forward: every class has its own units, and these compete."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from pnn.layer import PhysicalNetwork, Weights
from pnn.rules.local import LocalRule
from pnn.training import Training

__all__ = ["ScalableForwardForward"]


class ScalableForwardForward(LocalRule):
    """A goodness for each class, without negative samples (Krutsylo, arXiv:2501.03176).

    The units of a = relu(W f + b) are divided evenly among the classes, and

        g_c = mean of a_j^2 over the units of class c,    loss = log sum_c exp(g_c) - g_target,
        da_j = (softmax(g)_c - [c = target]) 2 a_j / (units of a class),

    so that all labels are asked at once. a is brought to unit mean square for the next layer; the
    goodness of the layers is summed. Units that are left over by the division are not used.

    The paper's blocks are convolutional networks with backpropagation inside, and a class has a
    channel on each, whose squares are averaged over the image. Here a block is a device, which
    needs no backpropagation inside, and a class has some units of the linear map after it; with
    ``adapter="convolve"`` random convolutions stand before each device. One query per sample and
    layer.
    """

    name: ClassVar[str] = "scalable-forward-forward"
    reported: ClassVar[str] = (
        "comparable to backpropagation, 1.5 to 3 x slower (convolutional, arXiv:2501.03176)"
    )
    works_on: ClassVar[str] = "any device; wide layers where there are many classes"

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError`, too, for layers that are too narrow for the classes."""
        super().check(network, settings, n_classes)
        for layer in network.layers:
            if layer.width < n_classes:
                raise ValueError(
                    f"rule {self.name!r} needs a unit for each of the {n_classes} classes; "
                    f"width={layer.width} is less"
                )

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W of normal numbers (features have a length of about 1) and b = 0."""
        width -= width % n_classes
        return {
            "W": torch.randn(n_features, width, generator=generator),
            "b": torch.zeros(width),
            "classes": torch.zeros(n_classes),  # their number, for what is restored from a file
        }

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return the mean loss and its gradients by W and b."""
        a = torch.addmm(weights["b"], features, weights["W"]).relu()
        units = a.shape[1] // len(weights["classes"])
        g = a.square().reshape(len(a), -1, units).mean(dim=2)
        d_g = g.softmax(dim=1)
        d_g[torch.arange(len(targets)), targets] -= 1
        d_h = 2 * a / units * d_g.repeat_interleave(units, dim=1) / len(targets)
        return float(cross_entropy(g, targets)), {"W": features.T @ d_h, "b": d_h.sum(dim=0)}

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return a at unit mean square."""
        a = torch.addmm(weights["b"], features, weights["W"]).relu()
        return a / a.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-12)

    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return the goodness of each class, (rows, n_classes)."""
        a = torch.addmm(weights["b"], features, weights["W"]).relu()
        return a.square().reshape(len(a), len(weights["classes"]), -1).mean(dim=2)
