"""Planes of a diffractive stack: pixels, layers, bins, and the free space between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulators._arrays import grid_side
from simulators.optical.detection import SaturableAbsorber
from simulators.optical.propagation import AngularSpectrum
from simulators.picture import Picture

__all__ = ["DiffractivePlanes", "power_of"]


class DiffractivePlanes:
    """Geometry of `DiffractiveStack`, in torch: all planes on the grid of one `AngularSpectrum`.

    Parameters
    ----------
    space : AngularSpectrum
        From each plane to the next.
    n_inputs, n_outputs : int
        Squares of the first plane, in its middle half, and of the last, row by row.
    layers : (int, int, int or None)
        How many, pixels along a side, and the phases that a pixel can show (None: any).
    absorber : SaturableAbsorber or None
        On each layer.

    Attributes
    ----------
    per_input, per_output : int
        Samples along a side of such a square.
    """

    def __init__(
        self,
        space: AngularSpectrum,
        *,
        n_inputs: int,
        n_outputs: int,
        layers: tuple[int, int, int | None],
        absorber: SaturableAbsorber | None,
    ) -> None:
        self.space, self.absorber, self._layers = space, absorber, layers
        self._n_inputs, self._n_outputs = n_inputs, n_outputs
        self.per_input = (space.n // 2) // grid_side(n_inputs)
        self.per_output = space.n // grid_side(n_outputs)

    def fields(self, light: Any, phases: Any) -> Any:
        """Return the field on the last plane.

        Parameters
        ----------
        light : torch.Tensor of shape (batch, n_inputs)
            The pixels' fields.
        phases : torch.Tensor of shape (n_layers * layer_pixels**2,)
            In rad.

        Returns
        -------
        torch.Tensor of shape (batch, n, n), complex
        """
        field = self.space(self._plane(light))
        for layer in self._factors(phases):
            field = field * layer.to(field.dtype)
            if self.absorber:
                field = field * self.absorber.transmittance(power_of(field)) ** 0.5
            field = self.space(field)
        return field

    def binned(self, power: Any) -> Any:
        """Return the energy in each bin, (batch, n_outputs), of intensities (batch, n, n).

        Relative to an even spread over the bins of a mean intensity of 1 on the inputs. Takes
        arrays and tensors.
        """
        k, side = self.per_output, grid_side(self._n_outputs)
        first = (self.space.n - side * k) // 2
        seen = power[:, first : first + side * k, first : first + side * k]
        bins = seen.reshape(-1, side, k, side, k).sum((2, 4)).reshape(-1, side**2)
        gain = self._n_outputs / (self._n_inputs * self.per_input**2)
        return bins[:, : self._n_outputs] * gain

    def picture(self, power: Any) -> Picture:
        """Return the map of an intensity on the last plane, an array of shape (n, n)."""
        along = (np.arange(self.space.n) - (self.space.n - 1) / 2) * self.space.pitch_m * 1e3
        return Picture(
            title="Light on the camera behind the diffractive stack",
            values=power,
            x=along,
            y=along,
            label="intensity (mean on the modulator)",
            x_label="x (mm)",
            y_label="y (mm)",
        )

    def _plane(self, light: Any) -> Any:
        """Return the first plane, (batch, n, n), of pixels (batch, n_inputs)."""
        from torch.nn.functional import pad

        k, side = self.per_input, grid_side(self._n_inputs)
        pixels = pad(light, (0, side**2 - self._n_inputs)).reshape(-1, side, side)
        before = (self.space.n - side * k) // 2
        after = self.space.n - side * k - before
        return pad(_enlarged(pixels, k), (before, after, before, after))

    def _factors(self, phases: Any) -> Any:
        """Return what the layers multiply by, (n_layers, n, n)."""
        import torch

        count, side, levels = self._layers
        if levels:  # gradients pass the rounding as if it were not there
            step = 2 * math.pi / levels
            phases = phases + ((phases / step).round() * step - phases).detach()
        phases = _enlarged(phases.reshape(count, side, side), self.space.n // side)
        return torch.polar(torch.ones_like(phases), phases)


def power_of(field: Any) -> Any:
    """Return |field|^2 of a complex tensor of any shape, in a way that torch can derive at 0."""
    return field.real**2 + field.imag**2


def _enlarged(images: Any, k: int) -> Any:
    return images.repeat_interleave(k, 1).repeat_interleave(k, 2)
