"""The tensors of a network that a descent changes, and the steps that it takes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from devices import Programmable
from pnn.layer import PhysicalLayer
from pnn.training import Training

__all__ = ["Leaves"]


class Leaves:
    """The trained tensors, layer by layer; they share memory with the layers' own.

    Parameters
    ----------
    layers : list of PhysicalLayer
        Started; encoders that are trained have been made trainable.
    parts : sequence of {"encoder", "readout", "parameters"}
        What is trained.
    readout : sequence of str
        Names of the trained weights.
    rate : float
        Learning rate of encoders and parameters over that of the readouts. Parameters are trained
        in units of their range.

    Attributes
    ----------
    of : list of dict of str to torch.Tensor
        For each layer its leaves by name: ``A``, ``c`` and weights.
    """

    def __init__(
        self,
        layers: list[PhysicalLayer],
        parts: tuple[str, ...],
        readout: tuple[str, ...],
        rate: float,
    ) -> None:
        self.layers = layers
        self.of: list[dict[str, torch.Tensor]] = []
        # A device that serves several layers has one set of parameters, hence one leaf.
        self.inside: dict[Programmable, _Inside] = {}
        before: list[torch.Tensor] = []
        after: list[torch.Tensor] = []
        for layer in layers:
            leaves = {}
            if "encoder" in parts:
                leaves = {k: torch.from_numpy(v) for k, v in layer.encoder.trained.items()}
                before += leaves.values()
            if "readout" in parts:
                weights = {k: layer.weights[k].detach() for k in readout}
                leaves |= weights
                after += weights.values()
            if "parameters" in parts and layer.programmable not in self.inside:
                self.inside[layer.programmable] = _Inside(layer.programmable)
            self.of.append({k: leaf.requires_grad_() for k, leaf in leaves.items()})
        before += [inside.unit for inside in self.inside.values()]
        groups = [
            {"params": params, "scale": scale}
            for params, scale in ((after, 1.0), (before, rate))
            if params
        ]
        self.optimiser = torch.optim.Adam(groups)

    def parameters(self, layer: PhysicalLayer) -> torch.Tensor | None:
        """Return the parameters inside a layer's device, if they are trained."""
        return self.inside[layer.programmable].values if self.inside else None

    def step(self, loss: torch.Tensor, settings: Training, epoch: int) -> None:
        """Take one step; new parameters go into the devices, inside their limits."""
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate_at(epoch) * group["scale"]
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        for inside in self.inside.values():
            inside.program()


class _Inside:
    """The parameters of one device: the unit interval onto their limits."""

    def __init__(self, device: Programmable) -> None:
        self.device = device
        self.low = torch.from_numpy(np.array(device.parameter_low))
        self.span = torch.from_numpy(device.parameter_high - device.parameter_low)
        self.unit = (torch.from_numpy(device.parameters) - self.low) / self.span
        self.unit.requires_grad_()

    @property
    def values(self) -> torch.Tensor:
        """The parameters in their own units, (n_parameters,)."""
        return self.low + self.unit * self.span

    def program(self) -> None:
        """Put them into the device, and what is outside of the limits back inside."""
        with torch.no_grad():
            self.unit.clamp_(0.0, 1.0)
            values: NDArray[np.float64] = self.values.numpy()
        self.device.program(np.clip(values, self.device.parameter_low, self.device.parameter_high))
