"""Light through a stack of programmable diffractive layers onto a camera."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import DeviceSpec, Programmable
from devices.checks import flag, number, one_of, whole
from simulators._arrays import kernel_of, product
from simulators.optical.camera import Camera
from simulators.optical.detection import SaturableAbsorber
from simulators.optical.diffractive_planes import DiffractivePlanes, power_of
from simulators.optical.modulators import modulator_for
from simulators.optical.optical_settings import filled
from simulators.optical.propagation import AngularSpectrum
from simulators.picture import Picture

__all__ = ["DiffractiveStack"]

Array = NDArray[Any]

#: Values of the arguments that are left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {
        "encoding": "amplitude",
        "full_well": 10_000.0,
        "read_noise": 10.0,
        "bits": 8,
    },
    "rich": {"encoding": "phase", "full_well": 10_000.0, "read_noise": 10.0, "bits": 12},
}
_BLOCK = 2**21  # samples of a block: 8 MB of float32 for each part of the field
_FLOPS_PER_SECOND = 5e10  # of one core, for the estimate of the time per row
_LARGEST = 2**25  # numbers of the largest matrix that is kept


class DiffractiveStack(Programmable):
    """A modulator, free space, thin phase layers with free space between them, a camera.

    The modulator's field passes `n_layers` layers, each after `distance_m` of free space, which
    multiply it by ``exp(i phase)``, and reaches the camera after another `distance_m` (Lin et
    al., Science 361, 1004, 2018)::

        U_0 = modulator,  U_k = exp(i phase_k) * P[U_(k-1)],  I = |P[U_n]|^2

    P is the band-limited `AngularSpectrum`. All planes are sampled on one grid of n_grid x n_grid
    points; each is an aperture, light beyond it is lost. The inputs fill the middle half of the
    first plane, as squares of equal size; the camera bins the last plane into squares, one for
    each output (both row by row on the smallest square grid with enough places).

    An answer is the energy in its bin, relative to an even spread over the bins of all light that
    leaves the modulator, on average over drives that are uniform between the limits: the mean of
    the answers is the share of the light that arrives.

    The phases of the layers are the parameters of this device (see `Programmable`), layer by
    layer, row by row, from 0 to 2 pi rad; they start at random. While they rest, and without
    absorbers, a stack is linear in the field: batches of n_inputs rows or more are measured
    through its transmission matrix, which is computed once for each state of the parameters.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Pixels of the modulator, bins of the camera.
    n_layers : int
        At least 1.
    layer_pixels : int
        Pixels along a side of a layer; divides n_grid. There are n_layers layer_pixels^2
        parameters.
    n_grid : int
        Samples along a side of the planes.
    pitch_m, wavelength_m, distance_m : float
        Distance between samples, wavelength, and distance between planes, in m.
    encoding : {"phase", "amplitude", "binary"} or None
        As for `ScatteringMedium`.
    phase_range : float
        Highest legal phase of an input in rad, at most 2 pi; for "phase" only.
    levels, crosstalk, fill_factor, zero_order
        Of the `Modulator`.
    layer_levels : int or None
        Phases that a pixel of a layer can show, evenly from 0 to below 2 pi; None for any.
    optical_depth, saturation_intensity : float
        Of a `SaturableAbsorber` on each layer; a depth of 0 is none. The intensity is in units
        of the mean over the modulator.
    full_well, read_noise, bits, full_scale
        Of the `Camera`, which adds its noise to a bin as to one pixel.
    precision : {"single", "double"}
        Of the answers and of what they are computed from.
    seed : int
        Of the start phases and, separately, of the camera's noise.
    ideal : bool
        True bypasses the camera.
    setting : {"measured-like", "rich"}
        Values for `encoding`, `full_well`, `read_noise` and `bits` where these are None:
        amplitudes read with 8 bits, or phases read with 12.

    Attributes
    ----------
    modulator : Modulator
    planes : DiffractivePlanes
    absorber : SaturableAbsorber or None
    camera : Camera
        What detects, unless `ideal`.

    Raises
    ------
    ValueError
        If an argument is out of its range, or a plane has too few samples for it.

    Examples
    --------
    >>> import numpy as np
    >>> with DiffractiveStack(n_inputs=9, n_outputs=4, n_grid=32, layer_pixels=16) as stack:
    ...     stack.program(np.zeros(stack.parameters.shape))
    ...     stack.measure(np.ones((2, 9))).shape
    (2, 4)
    """

    reproducible = True

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 256,
        n_layers: int = 2,
        layer_pixels: int = 32,
        n_grid: int = 64,
        pitch_m: float = 8e-6,
        wavelength_m: float = 532e-9,
        distance_m: float = 5e-3,
        encoding: Literal["phase", "amplitude", "binary"] | None = None,
        phase_range: float = math.pi,
        levels: int | None = None,
        crosstalk: float = 0.0,
        fill_factor: float = 1.0,
        zero_order: float = 0.0,
        layer_levels: int | None = None,
        optical_depth: float = 0.0,
        saturation_intensity: float = 1.0,
        full_well: float | None = None,
        read_noise: float | None = None,
        bits: int | None = None,
        full_scale: float = 8.0,
        precision: Literal["single", "double"] = "single",
        seed: int = 0,
        ideal: bool = False,
        setting: Literal["measured-like", "rich"] = "measured-like",
    ) -> None:
        me = type(self).__name__
        whole(me, "n_grid", n_grid, 2)
        whole(me, "n_inputs", n_inputs, 1, (n_grid // 2) ** 2)
        whole(me, "n_outputs", n_outputs, 1, n_grid**2)
        whole(me, "n_layers", n_layers, 1)
        whole(me, "layer_pixels", layer_pixels, 1, n_grid)
        if n_grid % layer_pixels:
            raise ValueError(
                f"{me}: layer_pixels={layer_pixels} must divide n_grid={n_grid}; use "
                f"{math.gcd(n_grid, layer_pixels)} or another divisor"
            )
        if layer_levels is not None:
            whole(me, "layer_levels", layer_levels, 2)
        one_of(me, "precision", precision, ("single", "double"))
        number(me, "distance_m", distance_m, 0.0)
        whole(me, "seed", seed, 0)
        self.ideal = flag(me, "ideal", ideal)
        camera = filled(
            me, setting, SETTINGS, encoding=encoding, full_well=full_well, read_noise=read_noise,
            bits=bits,
        )  # fmt: skip
        kind = camera.pop("encoding")
        absorber = SaturableAbsorber(
            optical_depth=optical_depth, saturation_intensity=saturation_intensity
        )
        self.absorber = absorber if optical_depth else None
        self.planes = DiffractivePlanes(
            AngularSpectrum(
                n=n_grid,
                pitch_m=pitch_m,
                wavelength_m=wavelength_m,
                distance_m=distance_m,
                precision=precision,
            ),
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            layers=(n_layers, layer_pixels, layer_levels),
            absorber=self.absorber,
        )
        self.modulator = modulator_for(
            me,
            kind,
            phase_range,
            n_pixels=n_inputs,
            levels=levels,
            crosstalk=crosstalk,
            fill_factor=fill_factor,
            zero_order=zero_order,
            pitch_m=pitch_m * self.planes.per_input,
        )
        self.camera = Camera(full_scale=full_scale, **camera)
        self._real = np.dtype(np.float32 if precision == "single" else np.float64)
        self.spec = DeviceSpec(
            name="diffractive-stack",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            high=self.modulator.high,
            domain=self.modulator.domain,
            input_unit=self.modulator.unit,
            output_dtype=self._real.name,
            seconds_per_query=8 * n_inputs * n_grid**2 / _FLOPS_PER_SECOND,
            saturation=None if ideal else full_scale,
        )
        self._unit = 1 / math.sqrt(self.modulator.mean_power)
        start, noise = np.random.SeedSequence(seed).spawn(2)
        self._random = np.random.default_rng(noise)
        phases = np.random.default_rng(start).uniform(0, 2 * math.pi, n_layers * layer_pixels**2)
        self._kernel: tuple[Array, ...] | None = None
        self._start_parameters(0.0, 2 * math.pi, phases)

    # -- public --------------------------------------------------------------------------------

    def forward(self, drives: Any, parameters: Any = None) -> Any:
        """Return the noiseless answers, differentiable by torch: those of ``ideal=True``.

        Parameters
        ----------
        drives : torch.Tensor of shape (batch, n_inputs)
            Not checked against the limits.
        parameters : torch.Tensor of shape (n_parameters,), optional
            In place of the device's own, for gradients with respect to the layers' phases.

        Returns
        -------
        torch.Tensor of shape (batch, n_outputs)
            In the device's precision.
        """
        return self.planes.binned(power_of(self._fields(drives, parameters)))

    def picture(self, drive: ArrayLike) -> Picture:
        """Return the light on the camera before it is binned, without noise.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,)
            A legal drive.

        Returns
        -------
        Picture
            A map over the last plane, in units of the mean intensity on the modulator.

        Raises
        ------
        LimitError
            If the drive is illegal.
        """
        import torch

        row = self.spec.check_drives(np.asarray(drive, float)[None])
        power = power_of(self._fields(torch.tensor(row)))[0].numpy()
        return self.planes.picture(power)

    # -- hooks ---------------------------------------------------------------------------------

    def _program(self, values: Array) -> None:
        self._kernel = None

    def _measure(self, drives: Array) -> Array:
        import torch

        side, n = self.planes.space.n, self.spec.n_inputs
        linear = self.absorber is None and 3 * n * side**2 <= _LARGEST
        if self._kernel is None and linear and len(drives) >= n:
            pixels = self._unit * torch.eye(self.spec.n_inputs, dtype=torch.float64)
            fields = self._fields(pixels, light=pixels).reshape(len(pixels), -1).numpy().T
            self._kernel = kernel_of(fields, self.modulator.complex_light, self._real)
        answers = np.empty((len(drives), self.spec.n_outputs), self._real)
        size = max(1, _BLOCK // side**2)
        for start in range(0, len(drives), size):
            rows = drives[start : start + size]
            if self._kernel is None:
                power = power_of(self._fields(torch.from_numpy(rows))).numpy()
            else:
                real, imag = self.modulator.light(rows.astype(self._real))
                out = np.empty((3, len(rows), side**2), self._real)
                product(real, imag, self._kernel, out)
                power = (out[0] ** 2 + out[1] ** 2).reshape(-1, side, side)
            answers[start : start + size] = self.planes.binned(power)
        return answers if self.ideal else self.camera.detect(answers, self._random)

    def _fields(self, drives: Any, parameters: Any = None, light: Any = None) -> Any:
        """Return the field on the camera, relative to the rms of the pixels' fields."""
        import torch

        if light is None:
            real, imag = self.modulator.light(drives)
            light = self._unit * (real if imag is None else torch.complex(real, imag))
        phases = torch.from_numpy(self._parameters) if parameters is None else parameters
        return self.planes.fields(light, phases)
