"""Light in free space, from one plane to a parallel one: the band-limited angular spectrum."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from devices.checks import flag, number, one_of, whole

__all__ = ["AngularSpectrum", "transfer_function"]

Array = NDArray[Any]

_BLOCK = 2**16  # numbers transformed at a time: 1 MB in double precision, which the L2 cache holds


class AngularSpectrum:
    """Free space between two square grids of the same pitch.

    A field is a sum of plane waves, each of which gains its own phase over the distance z
    (Goodman, Introduction to Fourier Optics, ch. 3)::

        U(x, y, z) = F^-1[F[U(x, y, 0)] H]
        H(fx, fy) = exp(2 pi i z sqrt(1 / wavelength^2 - fx^2 - fy^2))

    Sampled at steps ``df = 1 / (padded width)`` the phase of H turns by more than pi a step
    beyond ``|f| = 1 / (wavelength sqrt((2 df z)^2 + 1))``; those waves, which would leave the
    padded window anyway and come back on its other side, are cut (Matsushima and Shimobaba,
    Opt. Express 17, 19662, 2009). There is no paraxial approximation; the field is scalar.

    Rows and columns of zeros are not transformed, and the rest is in blocks that stay in the
    cache. The transforms are torch's, so that gradients pass and threads are torch's.

    Parameters
    ----------
    n : int
        Samples along a side of the grid.
    pitch_m, wavelength_m : float
        Distance between samples, and the wavelength in the medium, in m.
    distance_m : float
        z in m; negative goes back (evanescent waves are damped either way, never amplified).
    padding : float
        Zeros are added up to this multiple of the width, rounded up to a length that transforms
        fast; at least 1. Light that leaves the padded window comes back on the other side; with
        2 or more, none of it reaches the n x n samples.
    precision : {"single", "double"}
        Fields are complex64 or complex128. The phase of H is computed in double anyway.
    band_limited : bool
        False leaves the limit out, for comparison.

    Attributes
    ----------
    n, pitch_m
        As given.
    n_padded : int
        Width of the padded grid.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> space = AngularSpectrum(n=64, pitch_m=8e-6, wavelength_m=532e-9, distance_m=0.01)
    >>> space(np.ones((3, 64, 64))).shape
    (3, 64, 64)
    """

    def __init__(
        self,
        *,
        n: int,
        pitch_m: float,
        wavelength_m: float,
        distance_m: float,
        padding: float = 2.0,
        precision: Literal["single", "double"] = "double",
        band_limited: bool = True,
    ) -> None:
        import torch

        me = type(self).__name__
        self.n, self.pitch_m = whole(me, "n", n, 1), pitch_m
        number(me, "pitch_m", pitch_m, 0.0, above=True)
        number(me, "wavelength_m", wavelength_m, 0.0, above=True)
        number(me, "distance_m", distance_m, -math.inf)
        number(me, "padding", padding, 1.0)
        one_of(me, "precision", precision, ("single", "double"))
        flag(me, "band_limited", band_limited)
        self.n_padded = int(scipy.fft.next_fast_len(math.ceil(padding * n)))
        table = transfer_function(self.n_padded, pitch_m, wavelength_m, distance_m, band_limited)
        self._dtype = torch.complex64 if precision == "single" else torch.complex128
        self._transfer = torch.tensor(table, dtype=self._dtype)

    def __call__(self, fields: Any) -> Any:
        """Return the fields at the other plane.

        Parameters
        ----------
        fields : ndarray or torch.Tensor of shape (..., n, n)
            Real or complex.

        Returns
        -------
        ndarray or torch.Tensor of shape (..., n, n), complex
            Of the kind that went in. Tensors carry their gradient.

        Raises
        ------
        ValueError
            If the fields have another shape.
        """
        import torch

        if fields.shape[-2:] != (self.n, self.n):
            raise ValueError(
                f"{type(self).__name__}: fields has shape {tuple(fields.shape)}, expected "
                f"(..., {self.n}, {self.n})"
            )
        if isinstance(fields, np.ndarray):
            with torch.no_grad():
                there: Array = self(torch.tensor(fields, dtype=self._dtype)).numpy()
                return there
        flat = fields.to(self._dtype).reshape(-1, self.n, self.n)
        if torch.is_grad_enabled() and flat.requires_grad:
            if not len(flat):
                return fields.to(self._dtype)
            return torch.stack([self._one(field) for field in flat]).reshape(fields.shape)
        out = torch.empty_like(flat)
        for k, field in enumerate(flat):
            out[k] = self._one(field)
        return out.reshape(fields.shape)

    def _one(self, field: Any) -> Any:
        """Propagate one field, (n, n)."""
        from torch.fft import fft, ifft

        n, wide = self.n, self.n_padded
        transfer = self._transfer.to(field.device)
        # Turned over between the directions: both then transform along contiguous lines. The
        # transfer function is its own transpose. Each block of lines goes there and back while
        # it is in the cache; the padded plane is never there as a whole.
        lines = fft(field, wide).mT.contiguous()
        size = max(1, _BLOCK // wide)
        if lines.requires_grad:
            lines = ifft(fft(lines, wide) * transfer)[:, :n]
        else:
            for k in range(0, wide, size):
                block = fft(lines[k : k + size], wide)
                block *= transfer[k : k + size]
                lines[k : k + size] = ifft(block)[:, :n]
        return ifft(lines.mT.contiguous())[:, :n]


@functools.lru_cache(maxsize=8)
def transfer_function(
    n: int, pitch_m: float, wavelength_m: float, distance_m: float, band_limited: bool
) -> Array:
    """Return H on the frequencies of an n x n transform, (n, n), complex; kept and read-only.

    Zero frequency first. See `AngularSpectrum` for the equation and the parameters.
    """
    f = scipy.fft.fftfreq(n, pitch_m)
    kz_squared = 1 / wavelength_m**2 - f[:, None] ** 2 - f**2
    kz = np.sqrt(np.maximum(kz_squared, 0.0))
    decay = np.sqrt(np.maximum(-kz_squared, 0.0))
    table = np.exp(2 * np.pi * (1j * distance_m * kz - abs(distance_m) * decay))
    if band_limited:
        step = 1 / (n * pitch_m)
        inside = np.abs(f) <= 1 / (wavelength_m * math.hypot(2 * step * distance_m, 1.0))
        table *= inside[:, None] & inside
    table.setflags(write=False)
    return table
