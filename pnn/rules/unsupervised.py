"""Contrast without labels: samples against mixtures of two, then a readout of all layers."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from pnn.layer import PhysicalNetwork, Weights
from pnn.rules.contrastive import ContrastiveRule
from pnn.rules.forward_forward import ForwardForward
from pnn.rules.phyll import PhyLL
from pnn.rules.readout import ridge_multiply_adds, ridge_of
from pnn.training import Session, Training

__all__ = ["Unsupervised", "UnsupervisedForwardForward", "UnsupervisedPhyLL"]

Array = NDArray[np.float64]


class Unsupervised(ContrastiveRule):
    """What makes a contrastive rule one without labels; stands before it among the bases.

    The positive is a sample, the negative a hybrid of it and another one. Both are measured once;
    two queries per sample and layer in training, one in prediction. What all layers hand on of
    the samples is read by one ridge regression (see `Readout`) at the end; R is each layer's
    share of it. Layers after the first see what is handed on of positive and negative.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    hypotheses: ClassVar[bool] = False
    uses_validation: ClassVar[bool] = False
    layerwise_only: ClassVar[bool] = True
    trained: ClassVar[tuple[str, ...]] = ("W", "b", "R", "r")

    def mix(self, one: Array, other: Array, rng: np.random.Generator) -> Array:
        """Return hybrids, each feature of one of both samples, in runs that look alike.

        As Hinton (arXiv:2212.13345) has it for images: a smoothed random mask, here along the
        order of the features.
        """
        noise = rng.standard_normal(one.shape)
        mask = uniform_filter1d(noise, max(1, one.shape[1] // 8), axis=1, mode="wrap") > 0
        return np.where(mask, one, other)

    def learn(self, session: Session) -> None:
        """Train layer by layer; the seed of the hybrids is that of the session."""
        self.seed = session.generator.initial_seed()
        super().learn(session)

    def expand(self, inputs: Array, n_classes: int, training: bool) -> tuple[Array, None]:
        """Return in training each sample with its hybrid beside it, else the samples."""
        if not training:
            return inputs, None
        rng = np.random.default_rng(self.seed)
        # Every sample is the other of one: a random order, and in it the next.
        order = rng.permutation(len(inputs))
        other = np.empty_like(order)
        other[order] = np.roll(order, -1)
        pairs = np.stack([inputs, self.mix(inputs, inputs[other], rng)], axis=1)
        return pairs.reshape(-1, inputs.shape[1]), None

    def views(self, n_classes: int, training: bool) -> int:
        """Return two in training, one in prediction."""
        return 2 if training else 1

    def rows_per_update(self, n_classes: int) -> int:
        """Return the queries for a sample and its hybrid."""
        return 2

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return the weights of the supervised rule, and the readout R = 0 and r = 0."""
        weights = super().start(n_features, width, n_classes, generator)
        return weights | {"R": torch.zeros(width, n_classes or 1), "r": torch.zeros(n_classes or 1)}

    def gradients(
        self,
        weights: Weights,
        features: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[float, Weights]:
        """Return the mean loss over pairs and its gradients: the first view is the right one."""
        right = torch.zeros(len(features), dtype=torch.int64)
        return super().gradients(weights, features, right, generator)

    def finish(self, session: Session, features: list[torch.Tensor]) -> None:
        """Fit the readout of what all layers hand on of the samples."""
        layers = session.network.layers
        seen = [
            self.hand_on(layer.weights, f[:, 0]) for layer, f in zip(layers, features, strict=True)
        ]
        W, b, strength = ridge_of(torch.cat(seen, dim=1), session)
        shares = torch.split(W, [s.shape[1] for s in seen])
        for layer, share in zip(layers, shares, strict=True):
            layer.weights |= {"R": share.clone(), "r": b / len(layers)}
        session.watch.epoch(layer=len(layers) - 1, epoch=session.settings.epochs, strength=strength)
        session.watch.checkpoint()

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return, too, those of the readout."""
        sizes = {"n_train": n_train, "n_classes": n_classes}
        steps = super().estimate_multiply_adds(network, settings, **sizes)
        return steps + ridge_multiply_adds(n_train, sum(one.width for one in network.layers))

    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return the layer's share of the readout, (rows, n_classes) or (rows, 1)."""
        return self.hand_on(weights, features[:, 0]) @ weights["R"] + weights["r"]

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return the multiply-adds of W and R."""
        return width * (n_features + (n_classes or 1))


class UnsupervisedPhyLL(Unsupervised, PhyLL):
    """PhyLL without labels (after Momeni et al., Science 382, 1297 (2023)).

    Loss and goodness are those of `PhyLL`; that negatives are hybrids of two samples, and that a
    ridge regression reads all layers at the end, is our reading: the paper leaves it open. Two
    queries per sample and layer in training, one in prediction. See `Unsupervised`.

    Parameters
    ----------
    theta : float
        Slope of the loss.
    """

    name: ClassVar[str] = "phyll-unsupervised"
    reported: ClassVar[str] = "no figure at hand (the paper leaves open how)"
    works_on: ClassVar[str] = "any device; the readout at the end does most of the work"

    def __init__(self, theta: float = 4.0) -> None:
        super().__init__(theta)


class UnsupervisedForwardForward(Unsupervised, ForwardForward):
    """Forward-Forward without labels (Hinton, arXiv:2212.13345, section 3.2).

    Loss and goodness are those of `ForwardForward`; negatives are masked hybrids of two samples,
    and a linear readout, here by ridge regression, sees all layers. Two queries per sample and
    layer in training, one in prediction. See `Unsupervised`.

    Parameters
    ----------
    theta, goodness, peer
        See `ForwardForward`.
    """

    name: ClassVar[str] = "forward-forward-unsupervised"
    reported: ClassVar[str] = "MNIST 98.63 % (arXiv:2212.13345, readout of 3 layers)"
    works_on: ClassVar[str] = (
        "any device, without labels; features of neighbours should belong together, as in images"
    )

    def __init__(
        self, theta: float | None = None, goodness: str = "mean", peer: float = 0.0
    ) -> None:
        super().__init__(theta, goodness=goodness, peer=peer)
