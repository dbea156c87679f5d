"""Forward gradients along directions that local losses guess."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from pnn.layer import PhysicalLayer, Weights
from pnn.passage import drives_of
from pnn.rules.forward_gradient import ForwardGradient
from pnn.rules.projected import ProjectedRule
from pnn.training import Session

__all__ = ["GuidedForwardGradient"]


class GuidedForwardGradient(ProjectedRule, ForwardGradient):
    """The loss's derivative along guesses of local losses (Fournier et al., arXiv:2306.06968).

    Every layer but the last has a local loss l, the cross-entropy of softmax(relu(h) M), of which
    M learns. Its derivative dl/dh, taken through the next encoder, is the guess e for the next
    drives, of mean square 1 over n drives, with a random sign for each sample so that layers do
    not mix. With a small step s, the network's own loss L decides on the length:

        dL/du = (L(u + s e) - L(u - s e)) / 2 s  e / n,

    the gradient's part along the guess: nearly all of it with less noise where the guess is good,
    little where it is poor. Nothing comes before the first drives, whose directions are random
    signs. Three queries per sample, layer and update.

    Parameters
    ----------
    step, encoder_rate
        See `PerturbingRule`.
    """

    name: ClassVar[str] = "guided-forward-gradient"
    reported: ClassVar[str] = "far better than random directions (arXiv:2306.06968)"
    works_on: ClassVar[str] = (
        "as forward-gradient, which it is with one layer; deeper, where local losses guess well"
    )

    def prepare(self, session: Session) -> None:
        """Begin without local losses."""
        super().prepare(session)
        self.local_losses: list[torch.Tensor] = []

    def read(self, weights: Weights, handed_on: torch.Tensor) -> torch.Tensor:
        """Return relu(h) M; keep both for the guess of the next layer."""
        self.passed = weights["M"], handed_on.detach()
        return super().read(weights, handed_on)

    def draw(self, index: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the guesses with random signs; for the first layer, signs alone."""
        if index == 0:
            return super().draw(index, shape)
        M, h = self.passed
        h = h[: len(h) // self.copies].requires_grad_()
        local = cross_entropy(h.relu() @ M, self.targets[: len(h)])
        self.local_losses.append(local)
        guess = torch.autograd.grad(local, h, retain_graph=True)[0]
        encoder = self.layers[index].encoder
        with torch.no_grad():
            size = guess.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-30)
            move = 1e-3 * h.std() * guess / size
            ahead, behind = (drives_of(encoder, h + sign * move).numpy() for sign in (1, -1))
        low, high = self.layers[index].device.spec.limits
        along = (ahead - behind) / (high - low)
        rms = np.sqrt((along**2).mean(axis=1, keepdims=True))
        # Where every drive stands at an end of its range there is no guess.
        signs = super().draw(index, shape)
        return np.where(rms > 0, signs[:, :1] * along / np.where(rms > 0, rms, 1.0), signs)

    def loss(self, said: list[torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """Return the network's loss, and the local ones for their projections."""
        local, self.local_losses = self.local_losses, []
        return torch.stack([super().loss(said, targets), *local]).sum()

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: NDArray[Any],
        answers: NDArray[Any],
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gradient's part along the guess."""
        by_drives, _ = super().vjp(index, layer, drives, answers, grad)
        return by_drives / (drives.shape[1] if index else 1), None
