"""Self-contrastive Forward-Forward: a sample with itself against a sample with another one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import softplus

from devices.checks import number
from pnn.rules.forward_forward import ForwardForward
from pnn.rules.unsupervised import Unsupervised

__all__ = ["SelfContrastive"]


class SelfContrastive(Unsupervised, ForwardForward):
    """Pairs of samples through one input (Chen et al., arXiv:2409.11593).

    The paper drives a layer with both samples of a pair, through the same weights: W x + W x' is
    2 W times their mean. Here the device is driven with the mean: a sample itself is the
    positive, its mean with another one the negative. With a = relu(W f + b) and g = mean a^2,

        loss = softplus(theta_positive - g_positive) + softplus(g_negative - theta_negative).

    No labels, but for the readout of all layers at the end (see `Unsupervised`). Two queries per
    sample and layer in training, one in prediction.

    Parameters
    ----------
    theta_positive, theta_negative : float
        What the goodness of positives shall exceed, and that of negatives fall below.
    goodness, peer
        See `ForwardForward`.
    """

    name: ClassVar[str] = "self-contrastive"
    reported: ClassVar[str] = "MNIST 98.7 %, CIFAR-10 80.75 % (arXiv:2409.11593)"
    works_on: ClassVar[str] = (
        "any device, without labels; not where the answer to a mean is the mean of the answers"
    )
    theta_name: ClassVar[str] = "theta_positive"

    def __init__(
        self,
        theta_positive: float = 2.0,
        theta_negative: float = 1.0,
        goodness: str = "mean",
        peer: float = 0.0,
    ) -> None:
        super().__init__(theta_positive, goodness=goodness, peer=peer)
        self.theta_negative = number(self.name, "theta_negative", theta_negative, 0.0, above=True)

    def mix(
        self, one: NDArray[np.float64], other: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return the means of both samples."""
        return (one + other) / 2

    def loss(
        self, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss of each pair and its derivatives."""
        low, high = self.theta - positive, negative - self.theta_negative
        return softplus(low) + softplus(high), -torch.sigmoid(low), torch.sigmoid(high)
