"""Sound in a flat box with non-linear scatterers, as a sum of the modes of the box."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.checks import number
from simulators.acoustic.box import AcousticBox
from simulators.acoustic.modes import ModalSolver, box_modes, box_shapes
from simulators.acoustic.quality import mode_qualities
from simulators.acoustic.rig import AcousticRig

__all__ = ["AcousticCavity"]

Array = NDArray[Any]

# Fewer samples per period of the highest mode than this, and the step is no longer small.
_LEAST_SAMPLES_PER_PERIOD = 6.0
# Peak of an ordinary row, in reference pressures: what the step must bear.
_ORDINARY_PEAK = 3.0
_BLOCK = 2**13  # numbers of one block's state: 64 KB, several of which fit in the L2 cache
_PICTURE_POINTS = 120  # along the longer side


class AcousticCavity(AcousticBox):
    """A rigid-walled rectangular cavity between loudspeakers and microphones.

    The pressure is a sum of the modes of the box (Kuttruff, Room Acoustics, ch. 3),
    ``p(r, t) = sum_m q_m(t) phi_m(r)``, with ``phi = cos(m pi x / Lx) cos(n pi y / Ly)``, scaled
    to a mean square of 1, and ``f_mn = (c / 2) sqrt((m / Lx)^2 + (n / Ly)^2)``, each driven by
    the loudspeakers at r_l and by what the scatterers at r_s give back::

        q_m'' + (w_m / Q_m) q_m' + w_m^2 q_m = g sum_l phi_m(r_l) d_l(t)
                                               - k sum_s phi_m(r_s) R(p(r_s, t))
        R(p) = quadratic p^2 / p0 + cubic p^3 / p0^2
        k = (2 pi f_c)^2 / (Q n_scatterers),  f_c the centre of the band, Q the quality there

    **Inputs**, shared by the loudspeakers in turn (input i plays on ``i mod n_speakers``), are
    amplitudes of tones, samples of a waveform, or amplitudes held for time bins; see
    `SoundDrive`. They make one period of `n_window` samples. A row starts from rest, plays the
    period over and over for ``n_settle + n_window`` samples, and is analysed in the last
    `n_window`. Tones lie on whole bins of that window and have Newman's phases, for a low crest
    factor. **Outputs** are amplitudes of tones, samples, or energies (mean squares) of time
    bins, all of the first microphone, then of the second and so on; see `SoundAnswer`. In a
    linear cavity each tone answers for itself; the scatterers mix them. Loudspeakers and
    microphones have a frequency response, and no two the same; see `Transducers`.

    The pressure is in units of the typical answer: g makes the rms amplitude of an answer 1 in
    a settled linear cavity, over places and over tones uniform in [0, 1]. Then
    ``p0 = sqrt(n_inputs / 2)`` is the rms pressure; for other inputs g makes it 1. A response
    ``cubic = 1`` moves the modes by about a linewidth where the pressure is p0, whatever Q.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of a drive and of an answer.
    setting : {"measured-like", "rich"}
        Defaults of what is left at None: a weakly non-linear cavity like those measured, or one
        that no affine map comes near; see `SETTINGS`.
    input : {"tones", "waveform", "bins"}
        What an input is. Samples are legal in [-1, 1], amplitudes in [0, 1].
    output : {"tones", "waveform", "bins"}
        What an output is.
    quadratic, cubic : float or None
        Strength of the scatterers' response; both 0 is a linear cavity. A negative `cubic`
        softens, and diverges at large drives.
    quality : float, array_like of shape (n_modes,), callable or None
        Quality factor Q, above 0.5, of all modes, of each, or as a function of their frequencies
        in Hz: an amplitude falls to 1/e in Q / (pi f).
    rt60 : float or None
        Instead of `quality`: the reverberation time of all modes in s, ``Q = f RT60 / 2.2``.
    length_x, length_y : float
        Size of the box in m.
    speed_of_sound : float
        At 293.15 K, in m/s.
    temperature : float
        In K. All modes move by 0.17 % per kelvin; g, k and the tones stay as set at 293.15 K.
    top_frequency : float
        Modes up to this frequency at 293.15 K are kept, in Hz; those above answer without
        resonance and are left out, as is the uniform mode at 0 Hz.
    band : (float, float)
        Lowest and highest frequency of the drive, in Hz; at most `top_frequency`.
    grid : {"uniform", "odd", "sparse"}
        Spacing of the tones: even; away from products of the second order; or of the third, too.
        See `tone_bins`.
    listen : {"driven", "products", "all"} or None
        Which bins are read: the driven tones (None, for tones), those in the band between them,
        where only intermodulation arrives, or both.
    sample_rate : float
        In Hz; its inverse is the time step.
    n_window : int or None
        Samples of a period. None takes, for tones, the smallest power of two, from 1024 on, that
        has room for them; samples are held for as long as the band allows, time bins for a
        period of its lowest frequency.
    n_settle : int or None
        Samples played before the analysis. What has not settled by then is part of the answer.
        None: 1024 for tones; for other inputs 0, a single shot.
    speakers, scatterers : int, array_like of shape (count, 2) or None
        How many, drawn from the seed; or their positions in m.
    microphones : int, array_like of shape (count, 2) or None
        They share the outputs evenly. None draws as few as can read all tones each, the last
        with the outputs that are left; for other outputs two.
    scatterer_size : float
        Standard deviation in m of the Gaussian patch that a scatterer is; 0 is a point.
    speaker_band, microphone_band : (float, float), "flat" or None
        Corner frequencies in Hz of the second-order high-pass and low-pass.
    spread : float or None
        Spread between channels, of the logarithms of gains and corner frequencies.
    noise : float or None
        Standard deviation of white noise on the samples of a microphone, in the pressure's unit.
        The quadratures of a tone get ``noise sqrt(2 / n_window)``.
    seed : int
        Of positions, spread and noise, each apart.
    ideal : bool
        Whether there is no noise, and loudspeakers and microphones are flat.

    Attributes
    ----------
    mode_frequencies, mode_qualities : ndarray of shape (n_modes,)
        In Hz, ascending; and Q.
    mode_numbers : ndarray of shape (n_modes, 2)
        The pairs (m, n).
    tone_frequencies, output_frequencies : ndarray of shape (n_inputs,), (n_outputs,)
        In Hz; empty unless they are tones. `output_microphones` is the microphone of each output.
    speakers, microphones, scatterers : ndarray of shape (count, 2)
        Positions in m; sample_rate, n_window and n_settle are as given, or chosen.
    gain, reference_pressure, coupling : float
        g, p0 and k of the equations above.

    Raises
    ------
    ValueError
        If an argument is out of its range, the inputs do not fit into band and window, or the
        step is too long: for the highest mode, or for the stiffness that the scatterers add.

    Notes
    -----
    One sample is one step of the `ModalSolver`, which is of second order: at the default rate
    pressures are within 0.1 % of the equations' solution (1 % for ``cubic=1``).
    ``spec.seconds_per_query`` is the physical duration of a row, which a real bench would take.

    Examples
    --------
    >>> import numpy as np
    >>> with AcousticCavity(n_inputs=4, n_outputs=8, n_settle=256) as cavity:
    ...     cavity.measure(np.full((2, 4), 0.5)).shape
    (2, 8)
    """

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 128,
        setting: Literal["measured-like", "rich"] = "measured-like",
        input: Literal["tones", "waveform", "bins"] = "tones",
        output: Literal["tones", "waveform", "bins"] = "tones",
        quadratic: float | None = None,
        cubic: float | None = None,
        quality: float | ArrayLike | Callable[[Array], ArrayLike] | None = None,
        rt60: float | None = None,
        length_x: float = 0.9,
        length_y: float = 0.7,
        speed_of_sound: float = 343.0,
        temperature: float = 293.15,
        top_frequency: float = 1300.0,
        band: tuple[float, float] = (200.0, 1200.0),
        grid: Literal["uniform", "odd", "sparse"] = "uniform",
        listen: Literal["driven", "products", "all"] | None = None,
        sample_rate: float = 16_000.0,
        n_window: int | None = None,
        n_settle: int | None = None,
        speakers: int | ArrayLike = 1,
        microphones: int | ArrayLike | None = None,
        scatterers: int | ArrayLike | None = None,
        scatterer_size: float = 0.0,
        speaker_band: tuple[float, float] | Literal["flat"] | None = None,
        microphone_band: tuple[float, float] | Literal["flat"] | None = None,
        spread: float | None = None,
        noise: float | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = type(self).__name__
        number(me, "top_frequency", top_frequency, 0.0, above=True)
        rig = AcousticRig(
            me,
            setting=setting,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            input=input,
            output=output,
            quadratic=quadratic,
            cubic=cubic,
            length_x=length_x,
            length_y=length_y,
            speed_of_sound=speed_of_sound,
            temperature=temperature,
            band=band,
            grid=grid,
            listen=listen,
            sample_rate=sample_rate,
            n_window=n_window,
            n_settle=n_settle,
            speakers=speakers,
            microphones=microphones,
            scatterers=scatterers,
            scatterer_size=scatterer_size,
            speaker_band=speaker_band,
            microphone_band=microphone_band,
            spread=spread,
            noise=noise,
            seed=seed,
            ideal=ideal,
            shortest=1024,
        )
        self._stand("acoustic-cavity", rig)
        self.mode_numbers, nominal = box_modes(rig.box, speed_of_sound, top_frequency)
        if not len(nominal):
            raise ValueError(
                f"{me}: top_frequency={top_frequency:g} Hz is below the lowest mode, "
                f"{speed_of_sound / (2 * rig.box.max()):g} Hz"
            )
        if rig.band[1] > top_frequency:
            raise ValueError(
                f"{me}: band={band!r} Hz ends above top_frequency={top_frequency:g} Hz, where no "
                "mode is kept; lower the band or raise top_frequency"
            )
        self.mode_frequencies = nominal * rig.warmth
        samples = sample_rate / (top_frequency * max(1.0, rig.warmth))
        if samples < _LEAST_SAMPLES_PER_PERIOD:
            raise ValueError(
                f"{me}: sample_rate={sample_rate:g} Hz gives {samples:.3g} samples per period of "
                f"the highest mode, at top_frequency={top_frequency:g} Hz; at least "
                f"{_LEAST_SAMPLES_PER_PERIOD:g} are needed, raise sample_rate or lower "
                "top_frequency"
            )
        self.mode_qualities, central = mode_qualities(
            me, quality, rt60, nominal, sum(rig.band) / 2, setting
        )
        self.gain = rig.gain(nominal, 2 * np.pi * nominal / self.mode_qualities)
        self.coupling = rig.coupling(central)
        self._solver = self._listening_at(self.mode_shapes(self.microphones))
        self.highest_pressure = rig.highest_pressure(self._solver.highest_stiffness)
        ordinary = _ORDINARY_PEAK * rig.reference_pressure
        if self.highest_pressure < ordinary:
            raise ValueError(
                f"{me}: with quadratic={self.quadratic:g}, cubic={self.cubic:g} and "
                f"sample_rate={sample_rate:g} Hz the step is stable up to a pressure of "
                f"{self.highest_pressure:.4g} at the scatterers; ordinary rows reach "
                f"{ordinary:.4g}. Raise sample_rate, or weaken the scatterers"
            )

    def mode_shapes(self, positions: ArrayLike) -> Array:
        """Return phi_m at `positions`, (count, 2) in m, as an array of shape (count, n_modes)."""
        return box_shapes(self.mode_numbers, self._rig.box, positions)

    def _listening_at(self, hear: Array) -> ModalSolver:
        rig = self._rig
        # A Gaussian patch passes less of the short waves; its images keep this exact at a wall.
        k = np.pi * np.hypot(*(self.mode_numbers / rig.box).T)
        patch = np.exp(-((k * rig.scatterer_size) ** 2) / 2)
        return ModalSolver(
            self.mode_frequencies,
            self.mode_qualities,
            1.0 / rig.sample_rate,
            drive=self.gain * self.mode_shapes(rig.speakers).T,
            react=self.mode_shapes(rig.scatterers) * patch,
            hear=hear,
            strength=self.coupling,
            quadratic=rig.quadratic / rig.reference_pressure,
            cubic=rig.cubic / rig.reference_pressure**2,
        )

    def _solve(self, played: Array, steps: int, first: int) -> tuple[Array, Array]:
        return self._solver.run(played, steps, first)

    def _map(
        self, played: Array, steps: int, first: int
    ) -> tuple[Array, Array, Array, Array, Array]:
        modes, reached = self._listening_at(np.eye(len(self.mode_frequencies))).run(
            played, steps, first
        )
        amplitudes, box = modes[..., 0], self._rig.box
        nx, ny = (max(2, math.ceil(_PICTURE_POINTS * side / box.max())) for side in box)
        x, y = ((np.arange(n) + 0.5) / n * side for n, side in zip((nx, ny), box, strict=True))
        shapes = self.mode_shapes(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
        together = amplitudes.T @ amplitudes / len(amplitudes)
        squares = np.maximum(np.sum((shapes @ together) * shapes, axis=1), 0.0)
        last = shapes @ amplitudes[-1]
        return x, y, squares.reshape(ny, nx), last.reshape(ny, nx), reached

    def _block(self) -> int:
        return max(16, _BLOCK // len(self.mode_frequencies))
