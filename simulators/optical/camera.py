"""How a camera turns light into numbers: shot noise, read noise, saturation, bit depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole

__all__ = ["Camera"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A linear camera, after the EMVA 1288 model without dark current and black level.

    An intensity I frees ``e = full_well I / full_scale`` electrons on average. The pixel reads
    ``n = e + sqrt(e + read_noise**2) g``, g standard normal, is clipped to 0 ... full_well, and
    is rounded to one of 2**bits levels. The answer is in the unit of the intensity.

    Shot noise is Poissonian; here it is normal with the same mean and variance. The two differ
    below some 20 electrons only, where a read noise of 5 electrons or more covers the
    difference, and a Poisson draw costs several times a normal one. Without a black level, the
    read noise of a dark pixel is cut at zero and leaves a mean of 0.4 read_noise.

    Parameters
    ----------
    full_well : float
        Electrons at which a pixel is full. At least 100.
    read_noise : float
        Standard deviation of the read-out, in electrons.
    bits : int
        Resolution of the converter, 1 to 16.
    full_scale : float
        Intensity at which the pixel is full and the converter at its last level: the exposure.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    full_well: float = 10_000.0
    read_noise: float = 10.0
    bits: int = 10
    full_scale: float = 1.0

    def __post_init__(self) -> None:
        number("Camera", "full_well", self.full_well, 100.0)
        number("Camera", "read_noise", self.read_noise, 0.0)
        whole("Camera", "bits", self.bits, 1, 16)
        number("Camera", "full_scale", self.full_scale, 0.0, above=True)

    def detect(self, intensity: Array, random: np.random.Generator) -> Array:
        """Return one exposure.

        Parameters
        ----------
        intensity : ndarray of any shape, float32 or float64
            At least 0.
        random : numpy.random.Generator
            One number is drawn for each pixel, in C order: batches and single rows see the same
            noise.

        Returns
        -------
        ndarray
            Of the same shape and dtype; a full pixel answers exactly `full_scale`.
        """
        levels = 2**self.bits - 1
        mean = intensity * (self.full_well / self.full_scale)
        pixel = random.standard_normal(mean.shape, mean.dtype)
        spread = mean + self.read_noise**2
        np.sqrt(spread, out=spread)
        pixel *= spread
        pixel += mean
        pixel *= levels / self.full_well
        np.rint(pixel, out=pixel)
        np.clip(pixel, 0.0, levels, out=pixel)
        # Divided first: the last level is then full_scale to the last bit, as the flag expects.
        pixel /= levels
        pixel *= self.full_scale
        return pixel
