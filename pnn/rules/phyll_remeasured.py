"""PhyLL in which no answer is used for more than one batch."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from pnn import schedules
from pnn.layer import PhysicalNetwork
from pnn.rules.phyll import PhyLL
from pnn.training import Session, Training

__all__ = ["RemeasuredPhyLL"]


class RemeasuredPhyLL(PhyLL):
    """PhyLL with every batch measured anew, as Momeni et al. train (Science 382, 1297 (2023)).

    Loss and update are those of `PhyLL`. In every epoch each sample goes through all layers under
    its own label and under one wrong label, drawn anew; a layer takes its `inner_steps` on these
    answers and hands on what it then makes of them. So does the code that the authors published.
    Two queries per sample, layer and update, against one per label once and for all of `PhyLL`:
    the price of following a device that changes while it is trained with. The setting `schedule`
    has no part in it.

    Parameters
    ----------
    theta : float
        Slope of the loss.
    """

    name: ClassVar[str] = "phyll-remeasured"
    reported: ClassVar[str] = "no figure at hand (three wave-based networks; vowels and images)"
    works_on: ClassVar[str] = "fast devices, and devices that change meanwhile"
    measures_once: ClassVar[bool] = False

    def __init__(self, theta: float = 4.0) -> None:
        super().__init__(theta)

    def rows_per_update(self, n_classes: int) -> int:
        """Return the queries for the right label and a wrong one."""
        return 2

    def learn(self, session: Session) -> None:
        """Train all layers with each batch."""
        schedules.joint(self, session, self._sweep)

    def estimate(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, **sizes: int
    ) -> dict[str, int]:
        """Return the queries of a pass that fixes the scalings, and of two rows in each epoch."""
        joint = replace(settings, schedule="joint")
        found = super().estimate(network, joint, n_train=0, **sizes)
        masks = sum(layer.encoder.masks for layer in network.layers)
        views = self.views(sizes["n_classes"], True) + 2 * settings.epochs
        return found | {"train": n_train * masks * views}

    def _sweep(
        self,
        session: Session,
        features: torch.Tensor,
        descents: list[schedules.Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        """Measure the batch anew and train one layer after the other on it."""
        rows, n = session.rows, session.rows.n_classes
        right = rows.targets[batch]
        shift = torch.randint(1, n, right.shape, generator=session.generator)
        labels = torch.stack([right, (right + shift) % n], dim=1).flatten().numpy()
        z, losses = np.repeat(rows.inputs[batch], 2, axis=0), []
        for i, descent in enumerate(descents):
            layer = descent.layer
            raw = layer.raw(z, labels if i == 0 else None, purpose="train")
            pairs = layer.scaled(raw).reshape(-1, 2, layer.n_features)
            # Of a pair, the first view is the right one.
            losses.append(descent.step(epoch, pairs, torch.zeros(len(pairs), dtype=torch.int64)))
            z = self.pass_on(layer, pairs)
        return losses
