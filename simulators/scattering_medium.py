"""Light through a scattering medium: speckle intensities, ``I = |T E(u)|^2``."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, DeviceSpec
from simulators._checks import flag, number, one_of, whole
from simulators.camera import Camera

__all__ = ["ScatteringMedium"]

Array = NDArray[Any]

_BUFFER = 2**18  # numbers of a block's field: 1 MB of float32, which stays in the L2 cache
# What the estimate of the time per row assumes of one core; measured within a factor of two.
_FLOPS_PER_SECOND = 5e10
_SECONDS_PER_PIXEL = 1e-8  # the camera's noise


class ScatteringMedium(Device):
    """A modulator, a scattering medium (or a multimode fibre) and a camera.

    The field behind the medium is ``T E(u)``, T with independent circular complex Gaussian
    entries, and the camera sees ``I = |T E(u)|^2`` (Popoff et al. 2010). The modulated field of
    input j is ``m = exp(i u)`` (phase) or ``m = u`` (amplitude, binary), and with a zero order
    ``E_j = sqrt(1 - zero_order) m(u_j) + sqrt(zero_order)``: light that misses the modulator
    goes through the medium as well.

    Intensities are relative: the variance of T's entries is ``1 / (n_inputs <|E_j|^2>)``, the
    mean being over drives that are uniform between the limits (both bits alike), so that the
    mean intensity over such drives and many media is 1. The light is not normalised to the
    drive: all pixels on is brighter than half of them.

    A medium of the same seed and n_inputs is the same for any n_outputs: a larger camera only
    sees more of it.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Pixels of the modulator and of the camera.
    encoding : {"phase", "amplitude", "binary"}
        Drives are phases in rad (domain "phase"), amplitudes from 0 to 1 (domain "amplitude"),
        or 0 and 1 (domain "bits").
    phase_range : float
        Highest legal phase in rad, at most 2 pi; for "phase" only. Encoders map features onto
        the whole legal range, and with 2 pi the smallest and the largest feature would be the
        same light; with pi they have opposite signs.
    zero_order : float
        Share of the power on a pixel that is not modulated; from 0 to below 1.
    grain : float
        Size of a speckle grain in pixels: the distance along the outputs at which the
        correlation of the intensities has fallen to 1/e, ``exp(-(d / grain)**2)``. 0: none.
    polarised : bool
        True has a polariser before the camera, for a speckle contrast of 1. False adds the
        intensities of two independent polarisations, for 1 / sqrt(2).
    full_well, read_noise, bits, full_scale
        Of the `Camera`. The default full scale, 12 times the mean intensity, clips 6 pixels in
        a million (a row of 1024 with a probability of 0.6 %); such a row is flagged.
    precision : {"single", "double"}
        Answers are float32 or float64, and so is what they are computed from.
    seed : int
        Of the medium and, separately, of the camera's noise.
    ideal : bool
        True bypasses the camera: the answers are the intensities.

    Attributes
    ----------
    camera : Camera
        What detects, unless `ideal`.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    ``spec.seconds_per_query`` is an estimate of the time that one core computes for a row, from
    the number of operations; it is not the frame time of any set-up.

    Examples
    --------
    >>> import numpy as np
    >>> with ScatteringMedium(n_inputs=4, n_outputs=16, ideal=True) as medium:
    ...     medium.measure(np.zeros((2, 4))).shape
    (2, 16)
    """

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 1024,
        encoding: Literal["phase", "amplitude", "binary"] = "phase",
        phase_range: float = math.pi,
        zero_order: float = 0.0,
        grain: float = 0.0,
        polarised: bool = True,
        full_well: float = 10_000.0,
        read_noise: float = 10.0,
        bits: int = 10,
        full_scale: float = 12.0,
        precision: Literal["single", "double"] = "single",
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = type(self).__name__
        whole(me, "n_inputs", n_inputs, 1)
        whole(me, "n_outputs", n_outputs, 1)
        one_of(me, "encoding", encoding, ("phase", "amplitude", "binary"))
        number(me, "phase_range", phase_range, 0.0, 2 * math.pi, above=True)
        number(me, "zero_order", zero_order, 0.0, 1.0, below=True)
        number(me, "grain", grain, 0.0)
        one_of(me, "precision", precision, ("single", "double"))
        whole(me, "seed", seed, 0)
        self.ideal = flag(me, "ideal", ideal)
        n_media = 1 if flag(me, "polarised", polarised) else 2
        self.camera = Camera(
            full_well=full_well, read_noise=read_noise, bits=bits, full_scale=full_scale
        )
        self._encoding, self._zero_order = encoding, zero_order
        self._real = np.dtype(np.float32 if precision == "single" else np.float64)
        flops = 2 * n_media * (2 * n_inputs) * n_outputs * (2 if encoding == "phase" else 1)
        self.spec = DeviceSpec(
            name="scattering-medium",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            high=phase_range if encoding == "phase" else 1.0,
            domain={"phase": "phase", "amplitude": "amplitude", "binary": "bits"}[encoding],  # type: ignore[arg-type]
            input_unit="rad" if encoding == "phase" else "1",
            output_dtype=self._real.name,
            seconds_per_query=flops / _FLOPS_PER_SECOND
            + n_outputs * (not ideal) * _SECONDS_PER_PIXEL,
            saturation=None if ideal else full_scale,
        )
        *media, noise = np.random.SeedSequence(seed).spawn(3)
        self._random = np.random.default_rng(noise)
        scale = 1.0 / math.sqrt(n_media * n_inputs * self._mean_power(phase_range))
        self._kernels = [
            _stacked(
                scale * _gaussian(n_outputs, n_inputs, grain, np.random.default_rng(medium)),
                encoding == "phase",
            ).astype(self._real)
            for medium in media[:n_media]
        ]

    @property
    def transmission_matrix(self) -> Array:
        """T, complex, of shape (n_outputs, n_inputs), or (2, n_outputs, n_inputs) unpolarised."""
        n, m = self.spec.n_inputs, self.spec.n_outputs
        matrices = [_complex(kernel[:n, :m].T, kernel[:n, m:].T) for kernel in self._kernels]
        return matrices[0] if len(matrices) == 1 else np.stack(matrices)

    def fields(self, drives: ArrayLike) -> Array:
        """Return the complex field at the camera: a look inside, which no camera offers.

        Parameters
        ----------
        drives : array_like of shape (batch, n_inputs)
            Legal drives.

        Returns
        -------
        ndarray of shape (batch, n_outputs), complex
            Or (2, batch, n_outputs) unpolarised. Not counted as queries.

        Raises
        ------
        LimitError
            If a drive is illegal.
        """
        m = self.spec.n_outputs
        light = self._light(self.spec.check_drives(drives))
        parts = [light @ kernel for kernel in self._kernels]
        fields = [_complex(part[:, :m], part[:, m:]) for part in parts]
        return fields[0] if len(fields) == 1 else np.stack(fields)

    def _measure(self, drives: Array) -> Array:
        m = self.spec.n_outputs
        answers = np.empty((len(drives), m), self._real)
        size = max(1, _BUFFER // (2 * m))
        field = np.empty((min(size, len(drives)), 2 * m), self._real)
        for start in range(0, len(drives), size):
            rows = slice(start, start + size)
            light = self._light(drives[rows])
            intensity, parts = answers[rows], field[: len(light)]
            for k, kernel in enumerate(self._kernels):
                np.matmul(light, kernel, out=parts)
                np.multiply(parts, parts, out=parts)
                if k == 0:
                    np.add(parts[:, :m], parts[:, m:], out=intensity)
                else:
                    intensity += parts[:, :m]
                    intensity += parts[:, m:]
            if not self.ideal:
                intensity[:] = self.camera.detect(intensity, self._random)
        return answers

    def _light(self, drives: Array) -> Array:
        """Return the field before the medium, real parts first, then (for phases) imaginary."""
        drives = drives.astype(self._real)
        if self._encoding == "phase":
            light = np.concatenate([np.cos(drives), np.sin(drives)], axis=1)
        else:
            light = drives
        if self._zero_order:
            light *= math.sqrt(1.0 - self._zero_order)
            light[:, : self.spec.n_inputs] += math.sqrt(self._zero_order)
        return light

    def _mean_power(self, phase_range: float) -> float:
        """Mean of |E_j|^2 over drives that are uniform between the limits."""
        # The mean of |m|^2 and of Re m.
        power, mean = {
            "phase": (1.0, math.sin(phase_range) / phase_range),
            "amplitude": (1 / 3, 1 / 2),
            "binary": (1 / 2, 1 / 2),
        }[self._encoding]
        z = self._zero_order
        return (1 - z) * power + z + 2 * math.sqrt(z * (1 - z)) * mean


def _gaussian(n_outputs: int, n_inputs: int, grain: float, random: np.random.Generator) -> Array:
    """Circular complex Gaussian matrix of unit variance whose rows are correlated over `grain`.

    Smoothing white rows with ``exp(-(d / grain)**2)`` gives fields the correlation
    ``exp(-(d / grain)**2 / 2)``, the square of which is that of the intensities (Goodman,
    Speckle Phenomena in Optics).
    """
    reach = math.ceil(3 * grain)
    # Drawn row by row, so that more outputs only add rows.
    shape = (n_outputs + 2 * reach, n_inputs, 2)
    white = random.standard_normal(shape).view(np.complex128)[..., 0] / math.sqrt(2)
    if reach == 0:
        return white
    weights = np.exp(-((np.arange(-reach, reach + 1) / grain) ** 2))
    weights /= np.sqrt(np.sum(weights**2))
    rows = np.zeros((n_outputs, n_inputs), complex)
    for shift, weight in enumerate(weights):
        rows += weight * white[shift : shift + n_outputs]
    return rows


def _stacked(matrix: Array, complex_light: bool) -> Array:
    """Return T for a product of real numbers, [Re E, Im E] @ stacked = [Re T E, Im T E].

    That is the same number of operations as the complex product, leaves both parts contiguous,
    so that |.|^2 is cheap, and needs only the upper half where the light is real.
    """
    real, imag = matrix.real.T, matrix.imag.T
    upper = np.concatenate([real, imag], axis=1)
    if not complex_light:
        return upper
    return np.concatenate([upper, np.concatenate([-imag, real], axis=1)])


def _complex(real: Array, imag: Array) -> Array:
    both = np.empty(real.shape, np.result_type(real, np.complex64))
    both.real, both.imag = real, imag
    return both
