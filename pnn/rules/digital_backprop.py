"""Digital backpropagation: the same network without a device."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from devices import DeviceSpec, Programmable
from pnn.controls import random_features
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules.cost import Cost
from pnn.rules.ideal_backprop import IdealBackprop
from pnn.training import Training

__all__ = ["DigitalBackprop"]


class DigitalBackprop(IdealBackprop):
    """Backpropagation with a trained digital layer, relu(v M + m), in each device's place.

    What one would do without a device (Rumelhart, Hinton & Williams, Nature 323, 533 (1986)): the
    reference of what the network could learn if everything in it were trained. v is the drive on
    [-1, 1]; M and m have the device's widths (twice as many outputs for complex answers) and
    begin at random. No queries.

    Parameters
    ----------
    encoder_rate : float
        See `BackwardRule`; also of M and m, in units of their range.
    """

    name: ClassVar[str] = "digital-backprop"
    reported: ClassVar[str] = "MNIST 98.19 %, CIFAR-10 50.03 % (MLP)"
    works_on: ClassVar[str] = "no device at all: the digital reference"
    trains: ClassVar[tuple[str, ...]] = ("encoder", "readout", "parameters")

    def place(self, network: PhysicalNetwork) -> PhysicalNetwork:
        """Return the network with digital layers in the devices' places."""
        return PhysicalNetwork(
            [
                PhysicalLayer(
                    _DigitalLayer(layer.device.spec, layer.encoder.seed),
                    layer.encoder,
                    width=layer.width,
                    skip=layer.skip,
                )
                for layer in network.layers
            ]
        )

    def cost(self, n_classes: int) -> Cost:
        """Return no queries."""
        return Cost(update=0, predict=0)

    def estimate(
        self,
        network: PhysicalNetwork,
        settings: Training,
        *,
        n_train: int,
        n_validation: int,
        n_test: int,
        n_classes: int,
    ) -> dict[str, int]:
        """Return no queries."""
        return {"train": 0, "validation": 0, "test": 0}


class _DigitalLayer(Programmable):
    """relu(v M + m), with the entries of M and m as parameters."""

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        self.spec = random_features(spec, seed).spec
        rng, n = np.random.default_rng(seed), self.spec.n_inputs
        start = rng.standard_normal((n + 1, self.spec.n_outputs))
        start *= np.where(np.arange(n + 1) < n, n**-0.5, 0.5)[:, None]
        self._start_parameters(-2.0, 2.0, start.clip(-2.0, 2.0))
        self.multiply_adds = n * self.spec.n_outputs

    @property
    def reproducible(self) -> bool:
        """Nothing is measured."""
        return True

    def _program(self, values: NDArray[np.float64]) -> None:
        """Nothing to do: `parameters` holds them."""

    def _measure(self, drives: NDArray[Any]) -> NDArray[Any]:
        answers: NDArray[Any] = self.forward(torch.from_numpy(drives)).numpy()
        return answers

    def forward(self, drives: Any, parameters: Any = None) -> Any:
        """Return the same of a torch tensor, differentiable by torch."""
        values = torch.from_numpy(self._parameters) if parameters is None else parameters
        table = values.reshape(self.spec.n_inputs + 1, self.spec.n_outputs)
        low, high = (torch.from_numpy(np.array(end)) for end in self.spec.limits)
        v = 2 * (drives - low) / (high - low) - 1
        return (v @ table[:-1] + table[-1]).clamp_min(0.0)
