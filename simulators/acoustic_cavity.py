"""Sound in a flat box with non-linear scatterers: tones in, tones out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, DeviceError, DeviceSpec
from simulators._checks import flag, number, whole
from simulators.modes import ModalSolver, box_modes, box_shapes

__all__ = ["AcousticCavity"]

Array = NDArray[Any]

# Fewer samples per period of the highest mode than this, and the step is no longer small.
_LEAST_SAMPLES_PER_PERIOD = 6.0
# A pressure this many times the rms of full-scale linear answers is no physics of this model.
_DIVERGED = 1e3
_LONGEST_WINDOW = 2**18  # samples, that n_window=None may choose
_BLOCK = 2**13  # numbers of one block's state: 64 KB, several of which fit in the L2 cache


class AcousticCavity(Device):
    """A rigid-walled rectangular cavity between loudspeakers and microphones.

    The pressure is a sum of the modes of the box (Kuttruff, Room Acoustics, ch. 3),
    ``p(r, t) = sum_m q_m(t) phi_m(r)``, with ``phi = cos(m pi x / Lx) cos(n pi y / Ly)``, scaled
    to a mean square of 1, and ``f_mn = (c / 2) sqrt((m / Lx)^2 + (n / Ly)^2)``, each driven by
    the loudspeakers at r_l and by what the scatterers at r_s give back::

        q_m'' + (w_m / Q) q_m' + w_m^2 q_m = g sum_l phi_m(r_l) d_l(t)
                                             - k sum_s phi_m(r_s) R(p(r_s, t))
        R(p) = quadratic p^2 / p0 + cubic p^3 / p0^2
        k = (2 pi f_c)^2 / (Q n_scatterers),  f_c the centre of the band of tones

    An input is the amplitude of a tone. The tones lie on whole bins of the analysis window,
    spread evenly over the band, and have Newman's phases ``pi i^2 / n_inputs`` for a low crest
    factor (Boyd 1986); loudspeaker l plays the tones i with ``i mod n_speakers = l``. A row
    starts from rest, plays for `n_settle` samples, and the answers are the amplitudes of the
    tones in the `n_window` samples after that, all tones of the first microphone, then of the
    second and so on. A last microphone with fewer outputs reports evenly spread tones. In a
    linear cavity each answer follows its own tone; the scatterers mix them.

    The pressure is in units of the typical answer: g makes the rms amplitude of an answer 1 in
    a settled linear cavity, over places and over drives uniform in [0, 1]. Then
    ``p0 = sqrt(n_inputs / 2)`` is the rms pressure, and ``cubic = 1`` moves the modes by about a
    linewidth where the pressure is p0, whatever Q.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Tones, and answers; there are ``ceil(n_outputs / n_inputs)`` microphones.
    quadratic, cubic : float
        Strength of the scatterers' response; both 0 is a linear cavity. A negative `cubic`
        softens, and diverges at large drives.
    quality : float
        Quality factor Q of all modes: an amplitude falls to 1/e in Q / (pi f). Above 0.5.
    length_x, length_y : float
        Size of the box in m.
    speed_of_sound : float
        In m/s.
    top_frequency : float
        Modes up to this frequency are kept, in Hz; those above answer without resonance and are
        left out, as is the uniform mode at 0 Hz.
    band : (float, float)
        Lowest and highest frequency for a tone, in Hz; at most `top_frequency`.
    sample_rate : float
        In Hz; its inverse is the time step.
    n_window : int or None
        Samples analysed. None takes the smallest power of two, from 1024 on, whose bins give
        the band room for n_inputs tones.
    n_settle : int
        Samples played before the analysis. What has not settled by then is part of the answer.
    speakers, scatterers : int or array_like of shape (count, 2)
        How many, drawn from the seed; or their positions in m.
    microphones : array_like of shape (n_microphones, 2) or None
        Positions in m; None draws them from the seed.
    noise : float
        Standard deviation of white noise on the samples of a microphone, in the pressure's unit.
        The quadratures of a tone get ``noise sqrt(2 / n_window)``.
    seed : int
        Of the positions and, each apart, of the noise.
    ideal : bool
        True switches the noise off.

    Attributes
    ----------
    mode_frequencies : ndarray of shape (n_modes,)
        In Hz, ascending.
    mode_numbers : ndarray of shape (n_modes, 2)
        The pairs (m, n).
    tone_frequencies : ndarray of shape (n_inputs,)
        In Hz.
    output_frequencies : ndarray of shape (n_outputs,)
        In Hz, and `output_microphones` the microphone of each output.
    speakers, microphones, scatterers : ndarray of shape (count, 2)
        Positions in m.
    sample_rate, n_window, n_settle
        As given, or chosen.
    gain, reference_pressure, coupling : float
        g, p0 and k of the equations above.

    Raises
    ------
    ValueError
        If an argument is out of its range, the step is too long for the highest mode, or the
        tones do not fit into the band.

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
        quadratic: float = 0.1,
        cubic: float = 0.1,
        quality: float = 40.0,
        length_x: float = 0.9,
        length_y: float = 0.7,
        speed_of_sound: float = 343.0,
        top_frequency: float = 1300.0,
        band: tuple[float, float] = (200.0, 1200.0),
        sample_rate: float = 16_000.0,
        n_window: int | None = None,
        n_settle: int = 1024,
        speakers: int | ArrayLike = 1,
        microphones: ArrayLike | None = None,
        scatterers: int | ArrayLike = 4,
        noise: float = 0.1,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = self._me = type(self).__name__
        whole(me, "n_inputs", n_inputs, 1)
        whole(me, "n_outputs", n_outputs, 1)
        number(me, "quadratic", quadratic, -math.inf)
        number(me, "cubic", cubic, -math.inf)
        number(me, "quality", quality, 0.5, above=True)
        self._box = np.array(
            [
                number(me, "length_x", length_x, 0.0, above=True),
                number(me, "length_y", length_y, 0.0, above=True),
            ]
        )
        number(me, "speed_of_sound", speed_of_sound, 0.0, above=True)
        number(me, "top_frequency", top_frequency, 0.0, above=True)
        number(me, "sample_rate", sample_rate, 0.0, above=True)
        whole(me, "n_settle", n_settle, 0)
        whole(me, "seed", seed, 0)
        self._noise = 0.0 if flag(me, "ideal", ideal) else 1.0
        self._noise *= number(me, "noise", noise, 0.0)

        samples = sample_rate / top_frequency
        if samples < _LEAST_SAMPLES_PER_PERIOD:
            raise ValueError(
                f"{me}: sample_rate={sample_rate:g} Hz gives {samples:.3g} samples per period of "
                f"the highest mode, at top_frequency={top_frequency:g} Hz; at least "
                f"{_LEAST_SAMPLES_PER_PERIOD:g} are needed, raise sample_rate or lower "
                "top_frequency"
            )
        self.mode_numbers, self.mode_frequencies = box_modes(
            self._box, speed_of_sound, top_frequency
        )
        if not len(self.mode_frequencies):
            lowest = speed_of_sound / (2 * self._box.max())
            raise ValueError(
                f"{me}: top_frequency={top_frequency:g} Hz is below the lowest mode, {lowest:g} Hz"
            )
        self.sample_rate, self.n_settle = float(sample_rate), n_settle
        self._bins, self.n_window = self._fit(n_inputs, band, top_frequency, n_window)
        self.tone_frequencies = self._bins * (sample_rate / self.n_window)

        where = np.random.SeedSequence(seed).spawn(4)
        n_microphones = math.ceil(n_outputs / n_inputs)
        self.speakers = self._positions("speakers", speakers, 1, where[0])
        self.scatterers = self._positions("scatterers", scatterers, 0, where[1])
        self.microphones = self._positions(
            "microphones", n_microphones if microphones is None else microphones, 1, where[2]
        )
        if len(self.microphones) != n_microphones:
            raise ValueError(
                f"{me}: microphones has {len(self.microphones)} positions; n_outputs={n_outputs} "
                f"of n_inputs={n_inputs} tones need {n_microphones}"
            )
        self._random = np.random.default_rng(where[3])
        rest = n_outputs - (n_microphones - 1) * n_inputs
        last = np.round(np.linspace(0, n_inputs - 1, rest)).astype(int)
        tones = np.concatenate([np.tile(np.arange(n_inputs), n_microphones - 1), last])
        self.output_microphones = np.arange(n_outputs) // n_inputs
        self.output_frequencies = self.tone_frequencies[tones]
        self._output_bins = self._bins[tones]

        w, s = 2 * np.pi * self.mode_frequencies, 2j * np.pi * self.tone_frequencies
        response = 1.0 / (s[:, None] ** 2 + s[:, None] * w / quality + w**2)
        # The mean of an amplitude squared is 1/3, and that of phi squared is 1.
        self.gain = 1.0 / math.sqrt(np.mean(np.sum(np.abs(response) ** 2, axis=1)) / 3)
        self.reference_pressure = math.sqrt(n_inputs / 2)
        self.coupling = (np.pi * sum(band)) ** 2 / (quality * max(1, len(self.scatterers)))
        self.quadratic, self.cubic = quadratic, cubic
        self._solver = ModalSolver(
            self.mode_frequencies,
            quality,
            1.0 / sample_rate,
            drive=self.gain * self.mode_shapes(self.speakers).T,
            react=self.mode_shapes(self.scatterers),
            hear=self.mode_shapes(self.microphones),
            strength=self.coupling,
            quadratic=quadratic / self.reference_pressure,
            cubic=cubic / self.reference_pressure**2,
        )
        self._carriers = self._tones()
        self.spec = DeviceSpec(
            name="acoustic-cavity",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            domain="tones",
            seconds_per_query=(n_settle + self.n_window) / sample_rate,
        )

    # -- public --------------------------------------------------------------------------------

    def mode_shapes(self, positions: ArrayLike) -> Array:
        """Return phi_m at `positions`, (count, 2) in m, as an array of shape (count, n_modes)."""
        return box_shapes(self.mode_numbers, self._box, positions)

    def waveforms(self, drives: ArrayLike) -> Array:
        """Return what the loudspeakers play for `drives`, in units of a tone's full amplitude.

        Parameters
        ----------
        drives : array_like of shape (batch, n_inputs)
            Legal drives.

        Returns
        -------
        ndarray of shape (batch, n_speakers, n_settle + n_window)

        Raises
        ------
        LimitError
            If a drive is illegal.
        """
        period = self._play(self.spec.check_drives(drives))
        steps = np.arange(self.n_settle + self.n_window) % self.n_window
        return np.ascontiguousarray(period[steps].transpose(2, 1, 0))

    def simulate(self, waveforms: ArrayLike) -> Array:
        """Return the pressure at the microphones, from rest, without noise. No query is counted.

        Parameters
        ----------
        waveforms : array_like of shape (batch, n_speakers, n_samples)
            What the loudspeakers play, one sample per time step; finite.

        Returns
        -------
        ndarray of shape (batch, n_microphones, n_samples)
            At the times of the samples; the first is 0.

        Raises
        ------
        ValueError
            If the waveforms have another shape or are not finite.
        DeviceError
            If a row diverges; see `measure`.
        """
        played = np.array(waveforms, float)
        if played.ndim != 3 or played.shape[1] != len(self.speakers):
            raise ValueError(
                f"{self._me}: waveforms has shape {played.shape}, expected "
                f"(batch, {len(self.speakers)}, n_samples)"
            )
        if not np.isfinite(played).all():
            raise ValueError(f"{self._me}: waveforms must be finite")
        pressure = np.empty((len(played), len(self.microphones), played.shape[2]))
        for rows in self._blocks(len(played)):
            force = np.ascontiguousarray(played[rows].transpose(2, 1, 0))
            heard = self._solver.run(force, len(force))
            bad = self._first_diverged(heard)
            pressure[rows] = heard.transpose(2, 1, 0)
            if bad is not None:
                raise self._diverged(rows.start + bad, played[rows.start + bad], pressure)
        return pressure

    # -- hook ----------------------------------------------------------------------------------

    def _measure(self, drives: Array) -> Array:
        answers = np.empty((len(drives), self.spec.n_outputs))
        steps = self.n_settle + self.n_window
        for rows in self._blocks(len(drives)):
            heard = self._solver.run(self._play(drives[rows]), steps, self.n_settle)
            bad = self._first_diverged(heard)
            heard = heard[..., :bad]  # the rows before the first that diverged, or all
            spectra = np.fft.rfft(heard, axis=0) * (2 / self.n_window)
            tones = np.ascontiguousarray(spectra[self._output_bins, self.output_microphones].T)
            if self._noise:
                sigma = self._noise * math.sqrt(2 / self.n_window)
                noise = self._random.standard_normal((*tones.shape, 2))
                tones += sigma * noise.view(np.complex128)[..., 0]
            answers[rows.start : rows.start + len(tones)] = np.abs(tones)
            if bad is not None:
                row = rows.start + bad
                raise self._diverged(row, drives[row], answers)
        return answers

    def _tones(self) -> Array:
        """Return a period of each tone by loudspeaker, (n_window n_speakers, n_inputs)."""
        tone = np.arange(len(self._bins))
        # A share of a cycle in whole numbers first: no rounding grows along the window.
        share = np.arange(self.n_window)[:, None] * self._bins % self.n_window / self.n_window
        carriers = np.cos(2 * np.pi * share + np.pi * tone**2 / len(tone))
        mine = tone % len(self.speakers) == np.arange(len(self.speakers))[:, None]
        table: Array = (carriers[:, None, :] * mine).reshape(-1, len(tone))
        return table

    def _play(self, drives: Array) -> Array:
        """Return one period of the waveforms, (n_window, n_speakers, rows)."""
        played: Array = self._carriers @ drives.T
        return played.reshape(-1, len(self.speakers), len(drives))

    def _first_diverged(self, heard: Array) -> int | None:
        if self._solver.linear:
            return None  # all modes are damped
        with np.errstate(invalid="ignore"):
            peak = np.abs(heard).max(axis=(0, 1), initial=0.0)
        bad = ~(peak <= _DIVERGED * self.reference_pressure)  # NaN counts
        return int(np.argmax(bad)) if bad.any() else None

    def _diverged(self, row: int, drive: Array, answers: Array) -> DeviceError:
        return DeviceError(
            f"acoustic-cavity: the pressure of a row grew beyond {_DIVERGED:g} times the "
            f"reference pressure {self.reference_pressure:.3g}; its drive has the mean square "
            f"{np.mean(drive**2):.3g} and the largest value {np.abs(drive).max():.3g}, the "
            f"scatterers have quadratic={self.quadratic:g}, cubic={self.cubic:g}. Lower "
            "the drive or the scatterers' strength; if cubic is positive, a sample_rate above "
            f"{self.sample_rate:g} Hz may help too",
            rows=answers[:row].copy(),
            failed_row=row,
        )

    # -- set-up --------------------------------------------------------------------------------

    def _blocks(self, n: int) -> list[slice]:
        size = max(16, _BLOCK // len(self.mode_frequencies))
        return [slice(k, min(k + size, n)) for k in range(0, n, size)]

    def _fit(
        self, n: int, band: tuple[float, float], top: float, n_window: int | None
    ) -> tuple[Array, int]:
        """Return the tones' bins of the window, and its length."""
        low, high = _pair(self._me, band)
        if high > top:
            raise ValueError(
                f"{self._me}: band={band!r} Hz ends above top_frequency={top:g} Hz, where no mode "
                "is kept; lower the band or raise top_frequency"
            )
        length = 1024 if n_window is None else whole(self._me, "n_window", n_window, 4)
        while True:
            bin_hz = self.sample_rate / length
            first, last = math.ceil(low / bin_hz - 1e-9), math.floor(high / bin_hz + 1e-9)
            room = last - first + 1
            if room >= n:
                return np.round(np.linspace(first, last, n)).astype(int), length
            if n_window is not None or length >= _LONGEST_WINDOW:
                raise ValueError(
                    f"{self._me}: n_inputs={n} tones do not fit into band={band!r} Hz, which has "
                    f"{max(0, room)} bins of {bin_hz:.4g} Hz in a window of {length} "
                    "samples; widen the band or raise n_window"
                )
            length *= 2

    def _positions(
        self, name: str, value: int | ArrayLike, least: int, seed: np.random.SeedSequence
    ) -> Array:
        """Return positions, (count, 2) in m: those given, or drawn."""
        if isinstance(value, (int, np.integer)):
            count = whole(self._me, name, value, least)
            return np.random.default_rng(seed).uniform(0.05, 0.95, (count, 2)) * self._box
        try:
            given: Array = np.asarray(value, float)
        except (TypeError, ValueError):
            given = np.empty(0)
        if given.ndim != 2 or given.shape[1] != 2 or len(given) < least:
            raise ValueError(
                f"{self._me}: {name}={value!r} must be a whole number of at least {least}, or "
                "positions in m of shape (count, 2)"
            )
        inside = ((given >= 0) & (given <= self._box)).all(axis=1)
        if not inside.all():
            raise ValueError(
                f"{self._me}: {name} has a position {given[np.argmin(inside)].tolist()} m outside "
                f"the box of {self._box.tolist()} m"
            )
        return given


def _pair(owner: str, band: Any) -> tuple[float, float]:
    try:
        low, high = band
        number(owner, "band", low, 0.0, above=True)
        number(owner, "band", high, low, above=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner}: band={band!r} must be two frequencies in Hz, 0 < lowest < highest"
        ) from error
    return float(low), float(high)
