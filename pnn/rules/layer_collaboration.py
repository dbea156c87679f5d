"""Layer collaboration: Forward-Forward in which a layer knows the goodness of the others."""

from __future__ import annotations

from typing import ClassVar

import torch

from pnn.rules.forward_forward import ForwardForward
from pnn.rules.stack import StackRule
from pnn.schedules import Descent
from pnn.training import Session

__all__ = ["LayerCollaboration"]


class LayerCollaboration(StackRule, ForwardForward):
    """The loss of all layers' goodness together (Lorberbom et al., arXiv:2305.12393).

    As `ForwardForward`, with the mean over the layers, (g_l + sum_{k != l} g_k) / L, in the place
    of a layer's goodness g_l; that of the others is a number, no gradient flows through it.

    The goodness of all layers is needed before any of them learns, so every batch goes through
    the whole stack, whatever `schedule` says: one query per sample, label and layer of every
    update; the first layer is measured once.

    Parameters
    ----------
    theta, negatives, goodness, peer
        See `ForwardForward`.
    """

    name: ClassVar[str] = "layer-collaboration"
    reported: ClassVar[str] = "no figure at hand (digital networks, images)"
    works_on: ClassVar[str] = (
        "simulators and fast devices: all labels through all layers in every update"
    )
    n_layers = 1

    def loss(
        self, positive: torch.Tensor, negative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss of each pair by the mean goodness of the layers, and derivatives."""
        n = self.n_layers
        pairs, d_positive, d_negative = super().loss(positive / n, negative / n)
        return pairs, d_positive / n, d_negative / n

    def learn(self, session: Session) -> None:
        """Train all layers with each batch."""
        self.n_layers = len(session.network.layers)
        super().learn(session)
        self.others = None

    def sweep(
        self,
        session: Session,
        features: torch.Tensor,
        descents: list[Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        """Train each layer beside the others' goodness."""
        seen = self.rise(session, features)
        good = [self.scores(one.weights, f) for one, f in zip(descents, seen, strict=True)]
        losses = []
        for f, own, descent in zip(seen, good, descents, strict=True):
            self.others = sum(good, -own)
            losses.append(descent.step(epoch, f, session.rows.targets[batch]))
        return losses
