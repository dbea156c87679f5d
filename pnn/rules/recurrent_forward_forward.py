"""Recurrent Forward-Forward: every layer sees the one below and the one above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from devices import Purpose
from devices.checks import whole
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules.cost import Cost
from pnn.rules.forward_forward import ForwardForward
from pnn.rules.noprop import REACH, beside
from pnn.rules.stack import StackRule
from pnn.schedules import Descent
from pnn.training import Session, Training, Watch

__all__ = ["RecurrentForwardForward"]

Array = NDArray[np.float64]


class RecurrentForwardForward(StackRule, ForwardForward):
    """Forward-Forward with top-down input (Hinton, arXiv:2212.13345, section 3.4).

    The sample is shown at the bottom and a label at the top, `iterations` times: layer l is
    driven with what the layers below and above hand on, both at unit mean square,

        a_l <- relu(W_l device([a_{l-1}, a_{l+1}]) + b_l),    a_0 = x,    a_{L+1} = onehot,

    from the bottom up (the paper: all layers at once, with damping), with nothing from above in
    the first iteration but the label. In each of them every layer descends the loss of
    `ForwardForward`, the true label against a random wrong one. The label with the highest sum of
    goodness over layers and iterations is predicted.

    Every drive depends on the weights: two queries per sample, layer and iteration in an update,
    one per label, layer and iteration in prediction.

    Parameters
    ----------
    iterations : int
        How often each layer is driven.
    theta, goodness, peer
        See `ForwardForward`.
    """

    name: ClassVar[str] = "recurrent-forward-forward"
    reported: ClassVar[str] = "MNIST 98.69 % (arXiv:2212.13345)"
    works_on: ClassVar[str] = (
        "simulators and fast devices with room for a layer above beside the one below"
    )
    hypotheses: ClassVar[bool] = False  # the label is part of what the top layer is given

    def __init__(
        self,
        iterations: int = 3,
        theta: float | None = None,
        goodness: str = "mean",
        peer: float = 0.0,
    ) -> None:
        super().__init__(theta, goodness=goodness, peer=peer)
        self.iterations = whole(self.name, "iterations", iterations, 1)

    def channels(
        self, index: int, n_layers: int, *, n_features: int, width: int, n_classes: int
    ) -> int:
        """Return the numbers from below and from above."""
        top = index + 1 == n_layers
        return (width if index else n_features) + (n_classes if top else width)

    def rows_per_sample(self, n_classes: int) -> int:
        """Return one query for each label and iteration."""
        return n_classes * self.iterations

    def views(self, n_classes: int, training: bool) -> int:
        """Return one: labels and iterations are driven one by one."""
        return 1

    def cost(self, n_classes: int) -> Cost:
        """Return that of all layers: the first one sees the layer above, too."""
        return replace(super().cost(n_classes), first_once=0)

    def rows_per_update(self, n_classes: int) -> int:
        """Return two queries for each iteration."""
        return 2 * self.iterations

    def estimate(
        self, network: PhysicalNetwork, settings: Training, **sizes: int
    ) -> dict[str, int]:
        """Return the queries that training and testing will spend, at the most, by purpose."""
        masks = sum(layer.encoder.masks for layer in network.layers)
        asked = masks * self.rows_per_sample(sizes["n_classes"])
        update = masks * self.rows_per_update(sizes["n_classes"])
        return {
            "train": sizes["n_train"] * (masks + settings.epochs * update),
            "validation": sizes["n_validation"] * asked * settings.checks,
            "test": sizes["n_test"] * asked,
        }

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of a step in every iteration."""
        sizes = {"n_train": n_train, "n_classes": n_classes}
        return self.iterations * super().estimate_multiply_adds(network, settings, **sizes)

    def learn(self, session: Session) -> None:
        """Train all layers with each batch, after one pass that fixes encoders and scalings."""
        self.rng = np.random.default_rng(session.generator.initial_seed())
        self.layers, self.n_classes = session.network.layers, session.rows.n_classes
        x = session.rows.inputs
        self.span = torch.tensor([x.min(), x.max()], dtype=torch.float64)
        super().learn(session)

    def measure(
        self,
        layer: PhysicalLayer,
        inputs: Array,
        n_classes: int,
        purpose: Purpose,
        *,
        first: bool,
        fit: bool = False,
        watch: Watch = Watch(),  # noqa: B008  (it has no state)
    ) -> torch.Tensor:
        """Return the features of `inputs`; in order to fit, with typical input from above."""
        if fit:
            if layer is self.layers[-1]:
                above = (
                    REACH * np.eye(self.n_classes)[self.rng.integers(n_classes, size=len(inputs))]
                )
            else:
                above = np.maximum(self.rng.standard_normal((len(inputs), layer.width)), 0)
                above *= np.sqrt(2)
            inputs = beside(inputs, above, self.span) if first else np.hstack([inputs, above])
        return super().measure(layer, inputs, n_classes, purpose, first=first, fit=fit, watch=watch)

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Return W and b, and the range of x, on which activities are shown beside it."""
        return super().start(n_features, width, n_classes, generator) | {"span": self.span}

    def settle(
        self, network: PhysicalNetwork, x: Array, labels: NDArray[Any], purpose: Purpose
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Give the features of layer after layer, in each iteration; its weights may change."""
        layers = network.layers
        onehot = REACH * np.eye(self.n_classes)[labels]
        handed_on = [np.zeros((len(x), layer.width)) for layer in layers] + [onehot]
        for _ in range(self.iterations):
            for i, layer in enumerate(layers):
                above = handed_on[i + 1]
                span = layer.weights["span"]
                driven = np.hstack([handed_on[i - 1], above]) if i else beside(x, above, span)
                features = self.measure(layer, driven, self.n_classes, purpose, first=False)
                yield i, features
                handed_on[i] = self.pass_on(layer, features)

    def sweep(
        self,
        session: Session,
        features: torch.Tensor,
        descents: list[Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        """Let every layer learn in every iteration, the true label beside a wrong one."""
        n, targets = self.n_classes, session.rows.targets[batch]
        shift = torch.randint(1, n, (len(batch),), generator=session.generator)
        labels = torch.stack([targets, (targets + shift) % n], dim=1).flatten().numpy()
        x = np.repeat(session.rows.inputs[batch], 2, axis=0)
        losses = [0.0] * len(descents)
        right = torch.zeros(len(batch), dtype=torch.int64)
        for i, f in self.settle(session.network, x, labels, "train"):
            losses[i] = descents[i].step(epoch, f.reshape(-1, 2, f.shape[1]), right)
        return losses

    def walk(
        self, network: PhysicalNetwork, inputs: Array, n_classes: int, purpose: Purpose
    ) -> Iterator[tuple[PhysicalLayer, torch.Tensor, torch.Tensor]]:
        """Ask for every label; give layers, their last features, and the sum of their goodness."""
        self.n_classes = n_classes
        labels = np.tile(np.arange(n_classes), len(inputs))
        total: dict[int, torch.Tensor] = {}
        last: dict[int, torch.Tensor] = {}
        rows = np.repeat(inputs, n_classes, axis=0)
        for i, f in self.settle(network, rows, labels, purpose):
            last[i] = f.reshape(-1, n_classes, f.shape[1])
            exact = {key: value.double() for key, value in network.layers[i].weights.items()}
            scores = self.scores(exact, last[i].double())
            total[i] = total[i] + scores if i in total else scores
        for i, layer in enumerate(network.layers):
            yield layer, last[i], total[i]
