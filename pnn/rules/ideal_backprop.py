"""Ideal backpropagation: the derivative of the simulator itself, the upper bound."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from numpy.typing import NDArray

from devices import differentiable_of
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.passage import vjp_of
from pnn.rules.backward import BackwardRule
from pnn.rules.base import RuleClass
from pnn.training import Training

__all__ = ["IdealBackprop"]


class IdealBackprop(BackwardRule):
    """Backpropagation through a simulator, dL/du = (dD/du)^T dL/dy (Rumelhart et al., 1986).

    Forward, the device is measured with its noise; backward, the simulator's own derivatives
    stand in: what no bench offers, hence an upper bound. Trains before, after and inside the
    device. One query per sample, layer and update.
    """

    name: ClassVar[str] = "ideal-backprop"
    reported: ClassVar[str] = "no figure at hand (the upper bound, in simulators alone)"
    works_on: ClassVar[str] = "simulators that offer derivatives; the upper bound"
    rule_class: ClassVar[RuleClass] = RuleClass.GRADIENT
    can_train: ClassVar[tuple[str, ...]] = ("encoder", "readout", "parameters")

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError`, too, where a device offers no derivatives."""
        super().check(network, settings, n_classes)
        for device in network.devices:
            if differentiable_of(device) is None:
                raise ValueError(
                    f"rule {self.name!r} needs derivatives, and {device.spec.name} offers none; "
                    "take a simulator that does, or a rule that learns from answers"
                )

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: NDArray[Any],
        answers: NDArray[Any],
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return (dD/du)^T dL/dy, and the same by the parameters where they are trained."""
        model = differentiable_of(layer.device)
        assert model is not None
        inside = layer.programmable.parameters if layer.trains_parameters else None
        return vjp_of(model, drives, grad, inside)
