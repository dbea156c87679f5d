"""Equilibrium propagation: two states of rest, under opposite nudges."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from devices import Nudgeable
from devices.checks import flag
from pnn.rules.nudging import NudgingRule

__all__ = ["EquilibriumPropagation"]


class EquilibriumPropagation(NudgingRule):
    """The contrast of two states of rest is the gradient (Scellier & Bengio, arXiv:1602.05179).

    A device that minimises an energy E(s, u, theta) is at rest at s(beta) while a force
    -beta dL/dy acts on its outputs. Then

        dL/dtheta = lim (dE/dtheta at s(beta) - dE/dtheta at s(-beta)) / 2 beta,

    and the same by u; the error is of the order beta^2 with both signs (Laborieux et al.,
    arXiv:2006.03824, who also read the loss from a softmax behind the device), of the order beta
    against the free state. The force is held at its value in the free state. Trains what is inside
    the device, the readout, and on request the encoder. Three queries per sample, layer and update:
    one for the answer, two nudged.

    Parameters
    ----------
    nudge, encoder_rate
        See `NudgingRule`.
    centred : bool
        Nudge both ways; else compare one nudge with the free state.
    """

    name: ClassVar[str] = "equilibrium-propagation"
    reported: ClassVar[str] = "CIFAR-10 about 88 % (arXiv:2006.03824, convolutional, centred)"
    works_on: ClassVar[str] = (
        "devices that come to rest at an energy's minimum and can be pushed meanwhile, such as "
        "`sim:energy-network`; refused elsewhere"
    )
    vjp_rows: ClassVar[int] = 2
    dyadic: ClassVar[bool] = False
    needed: ClassVar[str] = (
        "a device that comes to rest at the minimum of an energy while its outputs are pushed, "
        "with couplings that act both ways (devices.Nudgeable)"
    )
    suited: ClassVar[str] = "sim:energy-network"

    def __init__(self, nudge: float = 0.2, encoder_rate: float = 0.1, centred: bool = True) -> None:
        super().__init__(nudge, encoder_rate)
        self.centred = flag(self.name, "centred", centred)
        self.sides = 1 + self.centred

    def states(
        self, device: Nudgeable, drives: NDArray[Any], forces: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Relax under the forces, and under their opposite or none."""
        other = -forces if self.centred else np.zeros_like(forces)
        rows = np.concatenate([drives, drives])
        states = device.relax(rows, np.concatenate([forces, other]), purpose="train")
        return states[: len(drives)], states[len(drives) :]
