"""Node perturbation: the derivative along a random direction, from two more answers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from pnn.layer import PhysicalLayer, PhysicalNetwork, Weights
from pnn.rules.backward import BackwardRule
from pnn.rules.base import RuleClass
from pnn.training import Session, Training

__all__ = ["NodePerturbation"]


class NodePerturbation(BackwardRule):
    """Local losses, and forward gradients through the device (Ren et al., arXiv:2210.03310).

    Every layer has a loss of its own, the cross-entropy of softmax(relu(h) M); no error crosses
    layers. For a random direction e of signs and a small step s,

        dL/du = ((D(u + s e) - D(u - s e)) / 2 s . dL/dy) e,

    which is right on the average, and goes on into the encoder exactly. Three queries per sample,
    layer and update. For drives that can be varied continuously.

    Parameters
    ----------
    step : float
        s, as a share of the range of each drive; large beside the noise, small beside the
        curvature of the device.
    encoder_rate : float
        See `BackwardRule`.
    """

    name: ClassVar[str] = "node-perturbation"
    rule_class: ClassVar[RuleClass] = RuleClass.PERTURB
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    trained: ClassVar[tuple[str, ...]] = ("W", "b", "M")
    vjp_rows: ClassVar[int] = 2
    local: ClassVar[bool] = True

    def __init__(self, step: float = 0.05, encoder_rate: float = 0.1) -> None:
        super().__init__(encoder_rate)
        if not 0 < step < 0.5:
            raise ValueError(f"step={step!r} must be above 0 and below 0.5")
        self.step = step

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError`, too, for drives that have no small changes."""
        super().check(network, settings, n_classes)
        for device in network.devices:
            if device.spec.domain in ("bits", "codes"):
                raise ValueError(
                    f"rule {self.name!r} changes drives a little, which {device.spec.name} cannot: "
                    f"its domain is {device.spec.domain!r}"
                )

    def start(
        self, layer: PhysicalLayer, n_outputs: int, last: bool, generator: torch.Generator
    ) -> Weights:
        """Return W, b, and the layer's projection M."""
        weights = super().start(layer, n_outputs, False, generator)
        M = torch.randn(layer.width, n_outputs, generator=generator) / layer.width**0.5
        return weights | {"M": M}

    def prepare(self, session: Session) -> None:
        """Seed the directions."""
        self._rng = np.random.default_rng(session.generator.initial_seed())

    def read(self, weights: Weights, handed_on: torch.Tensor) -> torch.Tensor:
        """Return relu(h) M."""
        return handed_on.relu() @ weights["M"]

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: NDArray[Any],
        answers: NDArray[Any],
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the derivative along a random direction, times the direction."""
        low, high = layer.device.spec.limits
        signs = self._rng.choice([-1.0, 1.0], drives.shape)
        reach = self.step * (high - low)
        # At the end of a range the step is one-sided: the mean of both drives moves inwards.
        middle = np.clip(drives, low + reach, high - reach)
        both = np.concatenate([middle + reach * signs, middle - reach * signs])
        up, down = np.split(layer.device.measure(np.clip(both, low, high), purpose="train"), 2)
        slope = torch.from_numpy((up - down) / (2 * self.step))
        along = (slope.conj() * grad).real if slope.is_complex() else slope * grad
        by_unit = along.sum(dim=1, keepdim=True) * torch.from_numpy(signs)
        return by_unit / torch.from_numpy(np.asarray(high - low)), None
