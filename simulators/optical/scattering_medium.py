"""Light through a scattering medium: speckle intensities, ``I = |T E(u)|^2``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.checks import flag, number, one_of, whole
from simulators.optical.camera import Camera
from simulators.optical.detection import SaturableAbsorber
from simulators.optical.matrix_file import read_matrix
from simulators.optical.modulators import modulator_for
from simulators.optical.optical_settings import filled
from simulators.optical.transmission import TransmissionDevice

__all__ = ["ScatteringMedium"]

Array = NDArray[Any]

#: Values of the arguments that are left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {"passes": 1, "full_well": 10_000.0, "read_noise": 10.0, "bits": 10},
    "rich": {"passes": 2, "full_well": 10_000.0, "read_noise": 10.0, "bits": 12},
}
_FULL_SCALE = {"intensity": 12.0, "holography": 48.0}


class ScatteringMedium(TransmissionDevice):
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
    n_inputs, n_outputs : int or None
        Pixels of the modulator and of the camera. None: those of `matrix`, else 64 and 1024.
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
        a million (a row of 1024 with a probability of 0.6 %); such a row is flagged. For
        holography it is 48, so that the reference is as bright as that.
    precision : {"single", "double"}
        Answers are float32 or float64, and so is what they are computed from.
    seed : int
        Of the medium and, separately, of the camera's noise.
    ideal : bool
        True bypasses the camera: the answers are the intensities (for holography, the fields).
    setting : {"measured-like", "rich"}
        Values for `passes` and the camera's arguments where these are None: one pass and 10
        bits, or two passes and 12 bits; 10,000 electrons and a read noise of 10 in both.
    levels, crosstalk, fill_factor
        Of the `Modulator`; light that these cost is not made up for.
    passes : int or None
        How often the light meets the modulator. Between two passes it is scattered by another
        medium back onto the pixels: answers are then polynomials of degree 2 passes in the
        pixels' fields (Yildirim et al. 2024, Xia et al. 2024).
    detection : {"intensity", "holography"}
        Camera pixels, or complex fields from `OffAxisHolography` (polarised light only).
    optical_depth, saturation_intensity : float
        Of a `SaturableAbsorber` between medium and camera; a depth of 0 is none. The intensity
        is in units of the mean.
    matrix : str, Path, array_like or None
        T itself, of shape (n_outputs, n_inputs) or (2, n_outputs, n_inputs), or a file with it
        (.npy, .npz, .h5; see `save`). It is used as it is: `full_scale` is in the unit of its
        intensities. `grain` and `polarised` then have no say.

    Attributes
    ----------
    modulator, camera, holography, absorber
        See `TransmissionDevice`.

    Raises
    ------
    ValueError
        If an argument is out of its range, or a matrix is missing or of another shape.

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
        n_inputs: int | None = None,
        n_outputs: int | None = None,
        encoding: Literal["phase", "amplitude", "binary"] = "phase",
        phase_range: float = math.pi,
        zero_order: float = 0.0,
        grain: float = 0.0,
        polarised: bool = True,
        full_well: float | None = None,
        read_noise: float | None = None,
        bits: int | None = None,
        full_scale: float | None = None,
        precision: Literal["single", "double"] = "single",
        seed: int = 0,
        ideal: bool = False,
        setting: Literal["measured-like", "rich"] = "measured-like",
        levels: int | None = None,
        crosstalk: float = 0.0,
        fill_factor: float = 1.0,
        passes: int | None = None,
        detection: Literal["intensity", "holography"] = "intensity",
        optical_depth: float = 0.0,
        saturation_intensity: float = 1.0,
        matrix: str | Path | ArrayLike | None = None,
    ) -> None:
        me = type(self).__name__
        given = None if matrix is None else read_matrix(me, matrix)
        n_outputs, n_inputs = self._widths(n_outputs, n_inputs, given)
        number(me, "grain", grain, 0.0)
        whole(me, "seed", seed, 0)
        one_of(me, "detection", detection, tuple(_FULL_SCALE))
        camera = filled(
            me, setting, SETTINGS, passes=passes, full_well=full_well, read_noise=read_noise,
            bits=bits,
        )  # fmt: skip
        passes = whole(me, "passes", camera.pop("passes"), 1)
        modulator = modulator_for(
            me,
            encoding,
            phase_range,
            n_pixels=n_inputs,
            levels=levels,
            crosstalk=crosstalk,
            fill_factor=fill_factor,
            zero_order=zero_order,
        )
        n_media = 1 if flag(me, "polarised", polarised) else 2
        # The order is part of what a seed means: two media, the noise, then further passes.
        *media, noise = (children := np.random.SeedSequence(seed).spawn(passes + 2))[:3]
        scale = 1.0 / math.sqrt(n_inputs * modulator.mean_power)
        if given is None:
            matrices = [
                _gaussian(n_outputs, n_inputs, grain, np.random.default_rng(medium))
                * (scale / math.sqrt(n_media))
                for medium in media[:n_media]
            ]
        else:
            matrices = list(given.reshape(-1, n_outputs, n_inputs))
        self._set_up(
            "scattering-medium",
            matrices,
            modulator=modulator,
            camera=Camera(
                full_scale=_FULL_SCALE[detection] if full_scale is None else full_scale, **camera
            ),
            detection=detection,
            absorber=SaturableAbsorber(
                optical_depth=optical_depth, saturation_intensity=saturation_intensity
            ),
            precision=precision,
            noise=noise,
            ideal=flag(me, "ideal", ideal),
            between=[
                scale * _gaussian(n_inputs, n_inputs, 0.0, np.random.default_rng(child))
                for child in children[3:]
            ],
        )

    def _widths(
        self, n_outputs: int | None, n_inputs: int | None, matrix: Array | None
    ) -> tuple[int, int]:
        """Return the widths as given, by the matrix, or by default."""
        me = type(self).__name__
        found = (1024, 64) if matrix is None else matrix.shape[-2:]
        widths = {"n_outputs": n_outputs, "n_inputs": n_inputs}
        for (name, width), other in zip(widths.items(), found, strict=True):
            if width is not None and matrix is not None and width != other:
                raise ValueError(
                    f"{me}: {name}={width} does not fit the matrix, which has {other}; set "
                    f"{name}={other} or leave it out"
                )
            widths[name] = whole(me, name, other if width is None else width, 1)
        return int(widths["n_outputs"] or 0), int(widths["n_inputs"] or 0)


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
