"""Modulated light through a transmission matrix onto a camera: what such devices share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, DeviceSpec
from devices.checks import one_of
from simulators._arrays import complex_of, kernel_of, product
from simulators.optical.camera import Camera
from simulators.optical.detection import OffAxisHolography, SaturableAbsorber
from simulators.optical.matrix_file import write_matrix
from simulators.optical.modulators import Modulator
from simulators.picture import Picture

__all__ = ["TransmissionDevice"]

Array = NDArray[Any]

_BLOCK = 2**19  # answers of a block: few enough for the cache, enough for a fast matrix product
# What the estimate of the time per row assumes of one core; measured within a factor of two.
_FLOPS_PER_SECOND = 5e10
_SECONDS_PER_PIXEL = 1e-8  # the camera's noise


class TransmissionDevice(Device):
    """Base of devices whose field at the camera is ``T E(u)`` and that detect its intensity.

    A subclass calls ``_set_up`` in its constructor. With several passes the light is modulated
    again and again: ``E_1 = m(u)``, ``E_k = m(u) * (S_k E_(k-1))``, the camera sees ``T E_k``.

    Attributes
    ----------
    modulator : Modulator
        What turns drives into light.
    camera : Camera
        What detects, unless `ideal`.
    holography : OffAxisHolography or None
        What recovers complex fields from the camera's pixels, for ``detection="holography"``.
    absorber : SaturableAbsorber or None
        What stands before the camera.
    """

    reproducible = True
    modulator: Modulator
    camera: Camera
    holography: OffAxisHolography | None
    absorber: SaturableAbsorber | None
    ideal: bool

    def _set_up(
        self,
        name: str,
        matrices: Sequence[Array],
        *,
        modulator: Modulator,
        camera: Camera,
        detection: Literal["intensity", "holography"],
        absorber: SaturableAbsorber,
        precision: Literal["single", "double"],
        noise: np.random.SeedSequence,
        ideal: bool,
        between: Sequence[Array] = (),
    ) -> None:
        """Take over the parts; for the constructor of a subclass.

        Parameters
        ----------
        matrices : sequence of 1 or 2 ndarrays of shape (n_outputs, n_inputs), complex
            T of each polarisation. Holography detects one only.
        between : sequence of ndarrays of shape (n_inputs, n_inputs), complex
            S_k of the further passes.
        noise : numpy.random.SeedSequence
            Of the camera's noise.
        """
        me = type(self).__name__
        one_of(me, "detection", detection, ("intensity", "holography"))
        one_of(me, "precision", precision, ("single", "double"))
        self.ideal, self.modulator, self.camera = ideal, modulator, camera
        self.absorber = absorber if absorber.optical_depth else None
        self.holography = OffAxisHolography(camera=camera) if detection == "holography" else None
        if self.holography and len(matrices) != 1:
            raise ValueError(
                f"{me}: detection='holography' sees the polarisation of its reference only, but "
                "there are two: use polarised=True, or a matrix of two dimensions"
            )
        self._real = np.dtype(np.float32 if precision == "single" else np.float64)
        dtype = np.result_type(self._real, np.complex64)
        self._matrices = [np.asarray(t, dtype) for t in matrices]
        self._between = [np.asarray(t, dtype) for t in between]
        self._complex_light = modulator.complex_light or bool(between)
        self._kernels = [kernel_of(t, self._complex_light, self._real) for t in matrices]
        self._random = np.random.default_rng(noise)
        n_outputs, n_inputs = matrices[0].shape
        block = max(1, _BLOCK // n_outputs)
        self._scratch = np.empty((3, block, n_outputs), self._real)
        flops = 8 * sum(t.size for t in self._matrices + self._between)
        pixels = n_outputs * (4 if self.holography else 1) * (not ideal)
        saturation = None if ideal else camera.full_scale
        if self.holography and not ideal:
            saturation = self.holography.reference
        self.spec = DeviceSpec(
            name=name,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            high=modulator.high,
            domain=modulator.domain,
            input_unit=modulator.unit,
            output_dtype=dtype.name if self.holography else self._real.name,
            max_batch=block,
            seconds_per_query=flops / _FLOPS_PER_SECOND + pixels * _SECONDS_PER_PIXEL,
            saturation=saturation,
        )

    # -- looks inside, which no camera offers --------------------------------------------------

    @property
    def transmission_matrix(self) -> Array:
        """T, complex, of shape (n_outputs, n_inputs), or (2, n_outputs, n_inputs) unpolarised."""
        return self._matrices[0] if len(self._matrices) == 1 else np.stack(self._matrices)

    @transmission_matrix.setter
    def transmission_matrix(self, matrix: ArrayLike) -> None:
        """Put another medium in its place, of the same shape, as if it had moved."""
        given, now = np.asarray(matrix), self.transmission_matrix
        if given.shape != now.shape or not np.isfinite(given).all():
            raise ValueError(
                f"{type(self).__name__}: transmission_matrix has shape {given.shape}; it must be "
                f"finite numbers of shape {now.shape}"
            )
        new = given.astype(now.dtype).reshape(-1, *now.shape[-2:])
        self._matrices = list(new)
        self._kernels = [kernel_of(t, self._complex_light, self._real) for t in new]

    def save(self, path: str | Path) -> None:
        """Write the transmission matrix; ``ScatteringMedium(matrix=path)`` reads it.

        Parameters
        ----------
        path : str or Path
            Ends in .npy, .npz or .h5.

        Raises
        ------
        ValueError
            If it ends in something else.
        """
        write_matrix(type(self).__name__, path, self.transmission_matrix)

    def fields(self, drives: ArrayLike) -> Array:
        """Return the complex field at the camera, before any absorber. Not counted as queries.

        Parameters
        ----------
        drives : array_like of shape (batch, n_inputs)
            Legal drives.

        Returns
        -------
        ndarray of shape (batch, n_outputs), complex
            Or (2, batch, n_outputs) unpolarised.

        Raises
        ------
        LimitError
            If a drive is illegal.
        """
        real, imag = self._light(self.spec.check_drives(drives).astype(self._real))
        light = real if imag is None else complex_of(real, imag)
        fields = [light @ matrix.T for matrix in self._matrices]
        return fields[0] if len(fields) == 1 else np.stack(fields)

    def forward(self, drives: Any) -> Any:
        """Return the noiseless answers, differentiable by torch: those of ``ideal=True``.

        Parameters
        ----------
        drives : torch.Tensor of shape (batch, n_inputs)
            Not checked against the limits.

        Returns
        -------
        torch.Tensor of shape (batch, n_outputs)
            In the device's precision; complex for holography.
        """
        import torch

        matrices = [torch.as_tensor(t, device=drives.device) for t in self._matrices]
        real, imag = self._light(drives.to(matrices[0].real.dtype))
        light = torch.complex(real, torch.zeros_like(real) if imag is None else imag)
        fields = [light @ matrix.T for matrix in matrices]
        intensity = sum(field.real**2 + field.imag**2 for field in fields)
        answers = fields[0] if self.holography else intensity
        if self.absorber:
            through = self.absorber.transmittance(intensity)
            answers = answers * (through**0.5 if self.holography else through)
        return answers

    def picture(self, drive: ArrayLike) -> Picture:
        """Return the speckle that a drive makes, without noise and absorber.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,)
            A legal drive.

        Returns
        -------
        Picture
            A map where n_outputs is a square number, pixels row by row; else a curve.

        Raises
        ------
        LimitError
            If the drive is illegal.
        """
        fields = self.fields(np.asarray(drive, float)[None])
        intensity = (np.abs(fields) ** 2).reshape(-1, self.spec.n_outputs).sum(axis=0)
        rows, columns = self._image
        label, title = "intensity (mean intensity)", f"Speckle behind the {self.spec.name}"
        x = self._pixels(columns)
        if rows == 1:
            return Picture(title=title, values=intensity, x=x, label=label, x_label="pixel")
        return Picture(
            title=title,
            values=intensity.reshape(rows, columns),
            x=x,
            y=self._pixels(rows),
            label=label,
            x_label=self._axis,
            y_label=self._axis,
        )

    _axis = "pixel"

    def _pixels(self, count: int) -> Array:
        """Return the places of a row's pixels, in the unit of `_axis`."""
        return np.arange(count)

    @property
    def _image(self) -> tuple[int, int]:
        """Rows and columns of the camera: a square, or else one line."""
        side = math.isqrt(self.spec.n_outputs)
        return (side, side) if side**2 == self.spec.n_outputs else (1, self.spec.n_outputs)

    # -- hook ----------------------------------------------------------------------------------

    def _measure(self, drives: Array) -> Array:
        answer = np.empty((len(drives), self.spec.n_outputs), self.spec.output_dtype)
        real, imag = self._light(drives.astype(self._real))
        out = self._scratch[:, : len(drives)]
        a, b = out[:2]
        for k, kernel in enumerate(self._kernels):
            product(real, imag, kernel, out)
            if self.holography:
                answer.real, answer.imag = a, b
                continue
            a *= a
            b *= b
            if k == 0:
                np.add(a, b, out=answer)
            else:
                answer += a
                answer += b
        self._detect(answer)
        return answer

    def _detect(self, answer: Array) -> None:
        """Turn intensities (for holography, fields) before the absorber into answers, in place."""
        if self.holography:
            if self.absorber:
                answer *= np.sqrt(self.absorber.transmittance(np.abs(answer) ** 2))
            if not self.ideal:
                fields = answer.reshape(-1, *self._image)
                answer[:] = self.holography.detect(fields, self._random).reshape(answer.shape)
            return
        if self.absorber:
            answer *= self.absorber.transmittance(answer)
        if not self.ideal:
            answer[:] = self.camera.detect(answer, self._random)

    def _light(self, drives: Any) -> tuple[Any, Any]:
        """Return the real and (None where it is zero) the imaginary part before the medium."""
        real, imag = self.modulator.light(drives)
        if not self._between:
            return real, imag
        is_numpy = isinstance(drives, np.ndarray)
        if is_numpy:
            pixels = real if imag is None else complex_of(real, imag)
        else:
            import torch

            pixels = torch.complex(real, torch.zeros_like(real) if imag is None else imag)
        light = pixels
        for matrix in self._between:
            back = matrix if is_numpy else torch.as_tensor(matrix, device=drives.device)
            light = pixels * (light @ back.T)
        return (light.real.copy(), light.imag.copy()) if is_numpy else (light.real, light.imag)
