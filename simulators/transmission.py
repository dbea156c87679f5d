"""Modulated light through a transmission matrix onto a camera: what such devices share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, DeviceSpec
from simulators._arrays import complex_of, namespace, stacked
from simulators._checks import one_of
from simulators.camera import Camera
from simulators.detection import OffAxisHolography, SaturableAbsorber
from simulators.matrix_file import write_matrix
from simulators.modulators import Modulator
from simulators.picture import Picture

__all__ = ["TransmissionDevice"]

Array = NDArray[Any]

_BUFFER = 2**18  # numbers of a block's field: 1 MB of float32, which stays in the L2 cache
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
        self._kernels = [stacked(t, modulator.complex_light).astype(self._real) for t in matrices]
        self._between = [
            stacked(s, modulator.complex_light or k > 0).astype(self._real)
            for k, s in enumerate(between)
        ]
        if between and not modulator.complex_light:  # behind a medium, light is complex
            self._kernels = [stacked(t, True).astype(self._real) for t in matrices]
        self._random = np.random.default_rng(noise)
        n_outputs, n_inputs = matrices[0].shape
        flops = 2 * sum(kernel.size for kernel in self._kernels + self._between)
        pixels = n_outputs * (4 if self.holography else 1) * (not ideal)
        saturation = None if ideal else camera.full_scale
        if self.holography and not ideal:
            saturation = self.holography.reference
        dtype = np.result_type(self._real, np.complex64) if self.holography else self._real
        self.spec = DeviceSpec(
            name=name,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            high=modulator.high,
            domain=modulator.domain,
            input_unit=modulator.unit,
            output_dtype=dtype.name,
            seconds_per_query=flops / _FLOPS_PER_SECOND + pixels * _SECONDS_PER_PIXEL,
            saturation=saturation,
        )

    # -- looks inside, which no camera offers --------------------------------------------------

    @property
    def transmission_matrix(self) -> Array:
        """T, complex, of shape (n_outputs, n_inputs), or (2, n_outputs, n_inputs) unpolarised."""
        n, m = self.spec.n_inputs, self.spec.n_outputs
        matrices = [complex_of(kernel[:n, :m].T, kernel[:n, m:].T) for kernel in self._kernels]
        return matrices[0] if len(matrices) == 1 else np.stack(matrices)

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
        m = self.spec.n_outputs
        light = self._light(self.spec.check_drives(drives).astype(self._real))
        parts = [light @ kernel for kernel in self._kernels]
        fields = [complex_of(part[:, :m], part[:, m:]) for part in parts]
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

        m = self.spec.n_outputs
        kernels = [torch.as_tensor(k, device=drives.device) for k in self._kernels]
        light = self._light(drives.to(kernels[0].dtype))
        parts = [light @ kernel for kernel in kernels]
        intensity = sum(part[:, :m] ** 2 + part[:, m:] ** 2 for part in parts)
        if self.holography:
            field = torch.complex(parts[0][:, :m], parts[0][:, m:])
            return field * self.absorber.transmittance(intensity) ** 0.5 if self.absorber else field
        return intensity * self.absorber.transmittance(intensity) if self.absorber else intensity

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
        m = self.spec.n_outputs
        answers = np.empty((len(drives), m), self.spec.output_dtype)
        size = max(1, _BUFFER // (2 * m))
        field = np.empty((min(size, len(drives)), 2 * m), self._real)
        for start in range(0, len(drives), size):
            rows = slice(start, start + size)
            light = self._light(drives[rows].astype(self._real))
            answer, parts = answers[rows], field[: len(light)]
            for k, kernel in enumerate(self._kernels):
                np.matmul(light, kernel, out=parts)
                if self.holography:
                    answer.real, answer.imag = parts[:, :m], parts[:, m:]
                    continue
                np.multiply(parts, parts, out=parts)
                if k == 0:
                    np.add(parts[:, :m], parts[:, m:], out=answer)
                else:
                    answer += parts[:, :m]
                    answer += parts[:, m:]
            self._detect(answer)
        return answers

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

    def _light(self, drives: Any) -> Any:
        """Return the field before the medium, real parts first, then (if any) imaginary."""
        real, imag = self.modulator.light(drives)
        xp = namespace(drives)
        light = real if imag is None else xp.concatenate([real, imag], -1)
        n = self.spec.n_inputs
        for kernel in self._between:
            if xp is not np:
                kernel = xp.as_tensor(kernel, device=drives.device)  # noqa: PLW2901
            back = light @ kernel
            a, b = back[:, :n], back[:, n:]
            if imag is None:
                light = xp.concatenate([real * a, real * b], -1)
            else:
                light = xp.concatenate([real * a - imag * b, real * b + imag * a], -1)
        return light
