"""PEPITA: a second pass, with an input that is modulated by the error."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from devices.checks import number
from pnn.layer import PhysicalNetwork
from pnn.rules.mono_forward import MonoForward
from pnn.rules.stack import StackRule
from pnn.schedules import Descent
from pnn.training import Session, Training

__all__ = ["Pepita"]


class Pepita(StackRule, MonoForward):
    """Error-driven input modulation (Dellaferrera & Kreiman, arXiv:2201.11665).

    A first pass of x gives the activities a_l = relu(W_l f_l + b_l) and the error
    e = softmax(sum_l a_l M_l) - onehot. A second pass of x + s F e, F a fixed random projection
    of the error to the input, gives a_l' and f_l', and

        dW_l = f_l'^T (a_l - a_l') / rows,    dM_l = a_l'^T e / rows.

    F is in units of the features' ranges; what leaves them is clipped. That the output reads all
    layers, not the last alone, is ours. Two queries per sample, layer and update (the first pass
    through the first layer is measured once), one in prediction.

    Parameters
    ----------
    strength : float
        s, the size of the modulation where the error is 1; large beside the device's noise.
    """

    name: ClassVar[str] = "pepita"
    reported: ClassVar[str] = "MNIST 98.0 %, CIFAR-10 52.6 % (fully connected, arXiv:2201.11665)"
    works_on: ClassVar[str] = (
        "low noise: it learns from small differences of answers; worse with every layer"
    )

    def __init__(self, strength: float = 0.03) -> None:
        self.strength = number(self.name, "strength", strength, 0.0, above=True)

    def rows_per_update(self, n_classes: int) -> int:
        """Return the queries of both passes."""
        return 2

    def learn(self, session: Session) -> None:
        """Train all layers with each batch."""
        rng = np.random.default_rng(session.generator.initial_seed())
        self.F = rng.standard_normal((session.rows.n_classes, session.rows.inputs.shape[1]))
        super().learn(session)

    def sweep(
        self,
        session: Session,
        features: torch.Tensor,
        descents: list[Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        """Make both passes, and step along the difference."""
        rows = session.rows
        targets = rows.targets[batch]
        first = self.rise(session, features)
        layers = session.network.layers
        scores = [self.scores(layer.weights, f) for layer, f in zip(layers, first, strict=True)]
        output = torch.stack(scores).sum(dim=0)
        error = output.softmax(dim=1) - one_hot(targets, rows.n_classes)
        reach = self.strength * layers[0].encoder.span_
        x = rows.inputs[batch] + reach * (error.double().numpy() @ self.F)
        again = self.measure(layers[0], x, rows.n_classes, "train", first=True)
        second = self.rise(session, again)
        loss, n = float(cross_entropy(output, targets)), len(batch)
        for descent, before, after in zip(descents, first, second, strict=True):
            a, modulated = (self.hand_on(descent.weights, f) for f in (before, after))
            moved = (a - modulated) / n
            descent.apply(
                epoch,
                loss,
                {"W": after.T @ moved, "b": moved.sum(dim=0), "M": modulated.T @ error / n},
                2 * n,
            )
        return [loss] * len(layers)

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of both passes in one step for each batch."""
        sizes = {"n_train": 2 * n_train, "n_classes": n_classes}
        one_step = replace(settings, inner_steps=1)
        return super().estimate_multiply_adds(network, one_step, **sizes)

    def estimate(
        self, network: PhysicalNetwork, settings: Training, **sizes: int
    ) -> dict[str, int]:
        """Return the queries of the joint schedule, and of a second pass in every update."""
        found = super().estimate(network, settings, **sizes)
        second = sum(layer.encoder.masks for layer in network.layers) * settings.epochs
        return found | {"train": found["train"] + sizes["n_train"] * second}
