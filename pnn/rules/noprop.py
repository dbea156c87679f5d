"""NoProp: every layer removes some noise from the label, given the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from devices import Purpose
from devices.checks import whole
from pnn.layer import CHUNK, PhysicalLayer, PhysicalNetwork
from pnn.rules.readout import Readout, onehot, ridge, ridge_multiply_adds
from pnn.training import Session

__all__ = ["NoProp"]

Array = NDArray[np.float64]

#: Standard deviations of the noised label that the drive has room for.
REACH = 3.0


class NoProp(Readout):
    """Blocks that denoise a label embedding (Li, Teh & Pascanu, arXiv:2503.24322).

    Layer t of T is driven with the sample x and a noised embedding of its label,

        z_{t-1} = sqrt(A_{t-1}) u + sqrt(1 - A_{t-1}) e,    A_t = sin^2(pi t / 2 T),

    u the onehot label about its mean, of variance 1, e normal noise. It learns to tell u,
    f_t = W device([x, z_{t-1}]) + b, here as the ridge regression that minimises the paper's
    weighted square (whose weight is a constant of the layer), with its strength by generalised
    cross-validation. No layer waits for another one. In prediction z_0 = 0 and

        z_t = a_t f_t + b_t z_{t-1},    a_t = sqrt(A_t) (1 - A_{t-1}/A_t) / (1 - A_{t-1}),
                                        b_t = sqrt(A_{t-1}/A_t) (1 - A_t) / (1 - A_{t-1}),

    the mean of the paper's path, without its noise. f_T are the scores. One query per sample,
    layer and draw of the noise in training, one per layer in prediction.

    Parameters
    ----------
    draws : int
        Noised labels per sample and layer.
    """

    name: ClassVar[str] = "noprop"
    reported: ClassVar[str] = (
        "MNIST 99.5 %, CIFAR-10 80.54 % (convolutional blocks, arXiv:2503.24322)"
    )
    works_on: ClassVar[str] = (
        "devices with room for a label beside the sample; layers may be trained in any order"
    )
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    last_only: ClassVar[bool] = False

    def __init__(self, draws: int = 4) -> None:
        super().__init__()
        self.draws = whole(self.name, "draws", draws, 1)

    def views(self, n_classes: int, training: bool) -> int:
        """Return the draws in training, one where the network is asked."""
        return self.draws if training else 1

    def rows_per_update(self, n_classes: int) -> int:
        """Return the queries for all draws."""
        return self.draws

    def channels(
        self, index: int, n_layers: int, *, n_features: int, width: int, n_classes: int
    ) -> int:
        """Return the numbers that a layer is given: features and noised label."""
        return n_features + n_classes

    def learn(self, session: Session) -> None:
        """Fit every layer on labels of its own level of noise."""
        rows, layers = session.rows, session.network.layers
        rng = np.random.default_rng(session.generator.initial_seed())
        x, targets = (np.repeat(a, self.draws, axis=0) for a in (rows.inputs, onehot(rows)))
        embedding = embed(targets)
        skip = session.settings.washout or 0
        span = torch.tensor([x.min(), x.max()], dtype=torch.float64)
        for t, layer in enumerate(layers):
            A = _clean(t, len(layers))
            noise = rng.standard_normal(embedding.shape)
            z = np.sqrt(A) * embedding + np.sqrt(1 - A) * noise
            driven = beside(x, z, span)
            features = self.measure(layer, driven, 0, "train", first=False, fit=True)
            features = features.reshape(len(driven), -1)[skip:]
            W, b, strength, _ = ridge(features.numpy(), embedding[skip:], self.strengths)
            layer.weights = {"W": torch.from_numpy(W), "b": torch.from_numpy(b), "span": span}
            session.tally.add(ridge_multiply_adds(*features.shape))
            session.watch.progress("measure (train)", t + 1, len(layers))
            session.watch.epoch(layer=t, epoch=1, strength=strength)
        session.watch.checkpoint()

    def walk(
        self, network: PhysicalNetwork, inputs: Array, n_classes: int, purpose: Purpose
    ) -> Iterator[tuple[PhysicalLayer, torch.Tensor, torch.Tensor]]:
        """Measure the path from no label to the one that all layers end up with."""
        z, T = np.zeros((len(inputs), n_classes)), len(network.layers)
        for t, layer in enumerate(network.layers, 1):
            driven = beside(inputs, z, layer.weights["span"])
            features = self.measure(layer, driven, n_classes, purpose, first=False)
            features = features.reshape(len(driven), -1)
            parts = [self.scores(layer.weights, f.double()) for f in torch.split(features, CHUNK)]
            found = torch.cat(parts)
            yield layer, features, found
            before, after = _clean(t - 1, T), _clean(t, T)
            a = np.sqrt(after) * (1 - before / after) / (1 - before)
            b = np.sqrt(before / after) * (1 - after) / (1 - before)
            z = a * found.numpy() + b * z


def embed(targets: Array) -> Array:
    """Return onehot labels about their mean, of variance 1 where all classes are as frequent."""
    return (targets - targets.mean(axis=0)) * np.sqrt(targets.shape[1])


def beside(x: Array, z: Array, span: torch.Tensor) -> Array:
    """Return x with z, which is brought to the range of x, beside it: one scale may serve both."""
    low, high = span.tolist()
    return np.hstack([x, low + (high - low) * (0.5 + 0.5 * z / REACH)])


def _clean(t: int, T: int) -> float:
    """Return A_t, the share of the label after layer t."""
    return float(np.sin(0.5 * np.pi * t / T) ** 2)
