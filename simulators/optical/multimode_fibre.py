"""Light through a multimode fibre: pixels on the input facet, speckle on the output facet."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import flag, number, one_of, whole
from simulators._arrays import grid_side
from simulators.optical.camera import Camera
from simulators.optical.detection import SaturableAbsorber
from simulators.optical.fibre_modes import GradedIndexModes, random_coupling
from simulators.optical.modulators import Modulator, modulator_for
from simulators.optical.optical_settings import filled
from simulators.optical.transmission import TransmissionDevice

__all__ = ["MultimodeFibre"]

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
_FULL_SCALE = {"intensity": 32.0, "holography": 128.0}
_FIELD = 1.2  # width of what is lit, and of what the camera sees, in core radii


class MultimodeFibre(TransmissionDevice):
    """A modulator on the input facet of a graded-index fibre, a camera on the output facet.

    ``I = |T E(u)|^2`` with ``T = c P U B``: B the overlap of the modulator's pixels, imaged as
    even squares onto the facet, with the guided modes; U the unitary matrix of the fibre (phases
    ``beta L`` and random coupling, see `random_coupling`); P the modes' fields at the camera's
    pixels. Intensities are relative: c makes their mean 1, over pixels and over drives that are
    uniform between the limits. Pixels near the edge of the core are darker than those inside.

    Answers live in at most n_modes dimensions of field, whatever the number of pixels. The
    pixels cover a square of 1.2 core radii at both ends.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Pixels of the modulator and of the camera, row by row on square grids.
    encoding : {"phase", "amplitude", "binary"} or None
        As for `ScatteringMedium`.
    phase_range : float
        Highest legal phase in rad, at most 2 pi; for "phase" only.
    length_m, core_radius_m, wavelength_m : float
        In m. The defaults are those of a 50/125 fibre at 1030 nm: 105 to 120 modes.
    numerical_aperture, core_index : float
        Of the fibre.
    coupling : float
        Strength of the random coupling between modes; 0 is none, and from about 2 on the light
        forgets its group.
    levels, crosstalk, fill_factor, zero_order
        Of the `Modulator`.
    detection, optical_depth, saturation_intensity
        As for `ScatteringMedium`.
    full_well, read_noise, bits, full_scale
        Of the `Camera`; the full scale in units of the mean intensity is 32, or 128 for
        holography.
    precision : {"single", "double"}
        Of the answers and of what they are computed from.
    seed : int
        Of the coupling and, separately, of the camera's noise.
    ideal : bool
        True bypasses the camera.
    setting : {"measured-like", "rich"}
        Values for `encoding`, `full_well`, `read_noise` and `bits` where these are None:
        amplitudes read with 8 bits, or phases read with 12.

    Attributes
    ----------
    modes : GradedIndexModes
    coupling_matrix : ndarray of shape (n_modes, n_modes), complex
        U.
    modulator, camera, holography, absorber
        See `TransmissionDevice`.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the fibre guides no mode.

    Examples
    --------
    >>> import numpy as np
    >>> with MultimodeFibre(n_inputs=9, n_outputs=16, ideal=True) as fibre:
    ...     fibre.measure(np.zeros((2, 9))).shape
    (2, 16)
    """

    _axis = "on the output facet (µm)"

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 256,
        encoding: Literal["phase", "amplitude", "binary"] | None = None,
        phase_range: float = math.pi,
        length_m: float = 1.0,
        core_radius_m: float = 25e-6,
        wavelength_m: float = 1.03e-6,
        numerical_aperture: float = 0.2,
        core_index: float = 1.45,
        coupling: float = 1.0,
        levels: int | None = None,
        crosstalk: float = 0.0,
        fill_factor: float = 1.0,
        zero_order: float = 0.0,
        detection: Literal["intensity", "holography"] = "intensity",
        optical_depth: float = 0.0,
        saturation_intensity: float = 1.0,
        full_well: float | None = None,
        read_noise: float | None = None,
        bits: int | None = None,
        full_scale: float | None = None,
        precision: Literal["single", "double"] = "single",
        seed: int = 0,
        ideal: bool = False,
        setting: Literal["measured-like", "rich"] = "measured-like",
    ) -> None:
        me = type(self).__name__
        whole(me, "n_inputs", n_inputs, 1)
        whole(me, "n_outputs", n_outputs, 1)
        number(me, "length_m", length_m, 0.0)
        number(me, "core_radius_m", core_radius_m, 0.0, above=True)
        number(me, "wavelength_m", wavelength_m, 0.0, above=True)
        number(me, "core_index", core_index, 1.0)
        number(me, "numerical_aperture", numerical_aperture, 0.0, 1.0, above=True, below=True)
        number(me, "coupling", coupling, 0.0)
        whole(me, "seed", seed, 0)
        one_of(me, "detection", detection, tuple(_FULL_SCALE))
        camera = filled(
            me, setting, SETTINGS, encoding=encoding, full_well=full_well, read_noise=read_noise,
            bits=bits,
        )  # fmt: skip
        kind = camera.pop("encoding")
        modulator = modulator_for(
            me,
            kind,
            phase_range,
            n_pixels=n_inputs,
            levels=levels,
            crosstalk=crosstalk,
            fill_factor=fill_factor,
            zero_order=zero_order,
        )
        coupled, noise = np.random.SeedSequence(seed).spawn(2)
        self.modes = GradedIndexModes(
            core_radius_m=core_radius_m,
            numerical_aperture=numerical_aperture,
            wavelength_m=wavelength_m,
            core_index=core_index,
        )
        self.coupling_matrix = random_coupling(
            self.modes, length_m, coupling, np.random.default_rng(coupled)
        )
        self._field_m = _FIELD * core_radius_m
        lit, seen = self._grid(n_inputs), self._grid(n_outputs)
        matrix = self.modes.at(seen).T @ (
            self.coupling_matrix @ self.modes.overlap(lit, self._field_m / grid_side(n_inputs))
        )
        self._set_up(
            "multimode-fibre",
            [matrix / math.sqrt(_mean_intensity(matrix, modulator))],
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
        )

    def _grid(self, n: int) -> Array:
        """Return the centres of n pixels on a facet, (n, 2) in m, row by row."""
        side = grid_side(n)
        along = ((np.arange(side) + 0.5) / side - 0.5) * self._field_m
        return np.stack([along[np.arange(n) % side], along[np.arange(n) // side]], axis=1)

    def _pixels(self, count: int) -> Array:
        return ((np.arange(count) + 0.5) / count - 0.5) * self._field_m * 1e6


def _mean_intensity(matrix: Array, modulator: Modulator) -> float:
    """Mean of |T E|^2 over outputs and over independent uniform drives."""
    mean = modulator.mean_light
    spread = np.sum(np.abs(matrix) ** 2, axis=1) * (modulator.mean_power - abs(mean) ** 2)
    return float(np.mean(spread + np.abs(mean * matrix.sum(axis=1)) ** 2))
