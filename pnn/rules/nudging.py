"""Rules that learn from how a state of rest shifts when the outputs are pushed."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from devices import Nudgeable, nudgeable_of
from devices.checks import number
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules.backward import BackwardRule
from pnn.rules.base import Rule, RuleClass
from pnn.rules.ideal_backprop import IdealBackprop
from pnn.training import Training

__all__ = ["NudgingRule"]

Array = NDArray[Any]


class NudgingRule(BackwardRule):
    """Base of the rules for devices that come to rest and can be nudged (`devices.Nudgeable`).

    The readout stands behind the device and is digital; the loss pushes the outputs with the force
    -beta dL/dy, constant while the device relaxes, and scaled for each row to the size `nudge` (the
    estimate is scaled back). What the difference of two states gives is dL/dparameters and dL/du,
    so that parameters inside, an encoder before, and several such layers can be trained alike.

    Parameters
    ----------
    nudge : float
        Root mean square of the forces on the outputs of a row: large beside the noise, small
        beside what bends the response.
    encoder_rate : float
        See `BackwardRule`.
    """

    rule_class: ClassVar[RuleClass] = RuleClass.SPECIAL
    can_train: ClassVar[tuple[str, ...]] = ("encoder", "readout", "parameters")
    trains: ClassVar[tuple[str, ...]] = ("readout", "parameters")
    #: Whether nodes must be pairs.
    dyadic: ClassVar[bool]
    #: The physics that a device must have, and a device that has it.
    needed: ClassVar[str]
    suited: ClassVar[str]

    def __init__(self, nudge: float = 0.2, encoder_rate: float = 0.1) -> None:
        super().__init__(encoder_rate)
        self.nudge = number(self.name, "nudge", nudge, 0.0, 1.0, above=True)
        self.sides = 2  # times `nudge` that the two states are apart in force

    @abstractmethod
    def states(self, device: Nudgeable, drives: Array, forces: Array) -> tuple[Array, Array]:
        """Return the states under the forces, and what they are compared with."""

    def on_stand_ins(self) -> Rule:
        """Return ideal backpropagation, whose gradient this one tends to: nothing is at rest."""
        return IdealBackprop(self.encoder_rate)

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError`, too, where a device lacks what the rule lives on."""
        Rule.check(self, network, settings, n_classes)  # what can be nudged has parameters
        for device in network.devices:
            found = nudgeable_of(device)
            if found is None or found.dyadic != self.dyadic:
                raise ValueError(
                    f"rule {self.name!r} needs {self.needed}, which {device.spec.name} is not; "
                    f"take {self.suited}, or a rule that learns from answers"
                )
            if self.nudge * found.spec.n_outputs**0.5 > found.force_limit:
                raise ValueError(
                    f"rule {self.name!r}: nudge={self.nudge:g} may take a force on an output of "
                    f"{device.spec.name} above its limit, {found.force_limit:g}; take at most "
                    f"{found.force_limit / found.spec.n_outputs**0.5:.3g}"
                )

    def vjp(
        self, index: int, layer: PhysicalLayer, drives: Array, answers: Array, grad: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gradients by drives and parameters from two states of rest."""
        device = nudgeable_of(layer.device)
        assert device is not None
        slopes = grad.double().numpy()
        sizes = np.sqrt(np.mean(slopes**2, axis=1))
        forces = -self.nudge * slopes / np.where(sizes > 0, sizes, 1.0)[:, None]
        first, second = self.states(device, drives, forces)
        weights = sizes / (self.sides * self.nudge)
        by_parameters, by_drives = device.contrast(first, second, drives, weights)
        inside = torch.from_numpy(by_parameters) if layer.trains_parameters else None
        return torch.from_numpy(by_drives), inside
