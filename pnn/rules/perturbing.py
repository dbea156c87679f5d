"""Rules that estimate derivatives from answers to slightly changed drives."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from devices.checks import number
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules.backward import BackwardRule
from pnn.rules.base import RuleClass
from pnn.training import Session, Training

__all__ = ["InjectedRule", "PerturbingRule"]

Array = NDArray[Any]


class PerturbingRule(BackwardRule):
    """Base of the rules that change drives a little; for drives that vary continuously.

    Parameters
    ----------
    step : float
        Size of the changes, as a share of the range of each drive: large beside the noise, small
        beside the curvature of the device.
    encoder_rate : float
        See `BackwardRule`.
    """

    rule_class: ClassVar[RuleClass] = RuleClass.PERTURB

    def __init__(self, step: float = 0.05, encoder_rate: float = 0.1) -> None:
        super().__init__(encoder_rate)
        self.step = number(self.name, "step", step, 1e-6, 0.5)

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError`, too, for drives that have no small changes."""
        super().check(network, settings, n_classes)
        for device in network.devices:
            if device.spec.domain in ("bits", "codes"):
                raise ValueError(
                    f"rule {self.name!r} changes drives a little, which {device.spec.name} cannot: "
                    f"its domain is {device.spec.domain!r}; take a rule that learns from answers "
                    "as they are"
                )

    def prepare(self, session: Session) -> None:
        """Seed the directions; keep what is needed of the devices."""
        self.rng = np.random.default_rng(session.generator.initial_seed())
        self.layers = session.network.layers

    def aside(self, layer: PhysicalLayer, drives: Array, directions: Array) -> tuple[Array, Array]:
        """Return drives a step along the directions and against them, inside the limits.

        Near the end of a range the mean of both moves inwards.
        """
        low, high = layer.device.spec.limits
        reach = self.step * (high - low) * self.inside(directions)
        middle = np.clip(drives, low + np.abs(reach), high - np.abs(reach))
        up, down = (middle + sign * reach for sign in (1, -1))
        return np.clip(up, low, high), np.clip(down, low, high)  # of rounding

    def inside(self, directions: Array) -> Array:
        """Return directions cut to what a step from the middle of a range has room for."""
        return np.clip(directions, -0.5 / self.step, 0.5 / self.step)


class InjectedRule(PerturbingRule):
    """Disturb the drives of all layers at once, and weigh the disturbances by their losses.

    With losses l+ and l- of the whole network, of the same sample under opposite disturbances
    +-s e of the drives of all layers, in units of their range, and e independent from drive to
    drive,

        dL/du = (l+ - l-) / 2 s  e

    is right on the average (of a smoothed loss). Nothing of what follows a drive need be known,
    but the estimate grows noisier with the number of drives of the whole network.
    """

    #: Disturbances of the copies of a sample, in units of the step.
    pattern: ClassVar[tuple[int, ...]]

    @abstractmethod
    def draw(self, index: int, shape: tuple[int, ...]) -> Array:
        """Return directions e for the drives of layer `index`, with the mean square 1."""

    def disturb(self, index: int, drives: torch.Tensor) -> torch.Tensor:
        """Return the drives of all copies, disturbed; keep by how much."""
        if index == 0 or not hasattr(self, "injected"):
            self.injected: dict[int, Array] = {}
        layer, rows = self.layers[index], drives.detach().numpy()
        parts = np.split(rows, self.copies)
        directions = self.draw(index, parts[0].shape)
        moves = [
            self.aside(layer, part, sign * directions)[0] - part if sign else np.zeros_like(part)
            for part, sign in zip(parts, self.pattern, strict=True)
        ]
        # Moves inwards are left out: they do not depend on the signs, and average out.
        self.injected[index] = self.inside(directions)
        return drives + torch.from_numpy(np.concatenate(moves))

    def loss(self, said: list[torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """Return the loss, and keep that of each sample under both disturbances."""
        h = said[-1]
        if targets.is_floating_point():
            each = (h[:, 0] - targets).square()
        else:
            each = cross_entropy(h, targets, reduction="none")
        parts = each.detach().double().chunk(self.copies)
        up, down = (parts[self.pattern.index(sign)] for sign in (1, -1))
        self.slope = (up - down) / (2 * self.step)
        return each.mean()

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: Array,
        answers: Array,
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the disturbances of the layer's drives, weighed by the losses."""
        low, high = layer.device.spec.limits
        directions = torch.from_numpy(self.injected[index] / (high - low))
        slope = self.slope.repeat_interleave(layer.encoder.masks)[:, None]
        # The loss is the mean over samples and copies.
        by_drives = slope * directions / (len(self.slope) * self.copies)
        return by_drives.repeat(self.copies, 1), None
