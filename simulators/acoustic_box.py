"""What the acoustic simulators share: loudspeakers, scatterers and microphones in a flat box."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, DeviceError, DeviceSpec
from simulators._checks import flag, number, one_of, whole
from simulators.acoustic_answer import LISTENS, OUTPUTS, SoundAnswer, heard_bins
from simulators.acoustic_drive import INPUTS, SoundDrive
from simulators.acoustic_places import places
from simulators.acoustic_play import resampled
from simulators.acoustic_settings import highest_pressure, setting_of
from simulators.acoustic_tones import GRIDS, band_limits, band_room
from simulators.acoustic_transducers import Transducers
from simulators.modes import mode_powers
from simulators.picture import Picture

__all__ = ["ROOM_TEMPERATURE", "AcousticBox"]

Array = NDArray[Any]

ROOM_TEMPERATURE = 293.15  # K, at which speed_of_sound is given
# A pressure this many times the rms of full-scale linear answers is no physics of this model.
_DIVERGED = 1e3
# Peak of an ordinary row, in reference pressures: what a step must be able to bear from the start.
_ORDINARY_PEAK = 3.0


class AcousticBox(Device):
    """Loudspeakers, scatterers and microphones in a box; a subclass adds how sound propagates.

    A subclass calls `_set_up` in its constructor and then `_finish`, and writes the hooks
    `_solve` and `_map`. See `AcousticCavity` for the arguments.
    """

    # -- public --------------------------------------------------------------------------------

    def waveforms(self, drives: ArrayLike) -> Array:
        """Return what is sent to the loudspeakers, in units of a tone's full amplitude.

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
        legal = self.spec.check_drives(drives)
        period = (self._drive_map.table.reshape(-1, legal.shape[1]) @ legal.T).reshape(
            self.n_window, len(self.speakers), len(legal)
        )
        return np.ascontiguousarray(period[self._steps() % self.n_window].transpose(2, 1, 0))

    def simulate(self, waveforms: ArrayLike) -> Array:
        """Return what the microphones give, from rest, without noise. No query is counted.

        Parameters
        ----------
        waveforms : array_like of shape (batch, n_speakers, n_samples)
            What is sent to the loudspeakers, one sample per time step; finite.

        Returns
        -------
        ndarray of shape (batch, n_microphones, n_samples)
            At the times of the samples; the first is 0.

        Raises
        ------
        ValueError
            If the waveforms have another shape or are not finite.
        DeviceError
            If a row diverges, or leaves the range in which the time step is stable.
        """
        played = np.array(waveforms, float)
        if played.ndim != 3 or played.shape[1] != len(self.speakers):
            raise ValueError(
                f"{self._me}: waveforms has shape {played.shape}, expected "
                f"(batch, {len(self.speakers)}, n_samples)"
            )
        if not np.isfinite(played).all():
            raise ValueError(f"{self._me}: waveforms must be finite")
        given = np.empty((len(played), len(self.microphones), played.shape[2]))
        for rows in self._blocks(len(played)):
            force = self._speakers.apply(np.ascontiguousarray(played[rows].transpose(2, 1, 0)))
            heard, reached = self._solve(force, len(force), 0)
            bad = self._first_bad(reached)
            if bad is not None:
                row = rows.start + bad
                given[rows.start : row] = self._microphones.apply(heard)[..., :bad].T.swapaxes(1, 1)
                raise self._broken(row, played[row], reached[bad], given)
            given[rows] = self._microphones.apply(heard).transpose(2, 1, 0)
        return given

    def play(self, waveform: ArrayLike, sample_rate: float) -> Array:
        """Play a recording, speech or anything else, and return what the microphones record.

        It is resampled to the simulator's rate and back. No query is counted.

        Parameters
        ----------
        waveform : array_like of shape (n_samples,) or (n_speakers, n_samples)
            In units of a tone's full amplitude; one row is played by all loudspeakers alike.
        sample_rate : float
            Of the recording, in Hz.

        Returns
        -------
        ndarray of shape (n_microphones, n_samples)
            At the recording's rate, with the microphones' noise.

        Raises
        ------
        ValueError
            If the waveform has another shape, is not finite, or the rate is not above 0.
        DeviceError
            If it diverges, or leaves the range in which the time step is stable.
        """
        number(self._me, "sample_rate", sample_rate, 0.0, above=True)
        sound = np.array(waveform, float)
        if sound.ndim == 1:
            sound = np.tile(sound, (len(self.speakers), 1))
        if sound.ndim != 2 or len(sound) != len(self.speakers) or not sound.shape[1]:
            raise ValueError(
                f"{self._me}: waveform has shape {np.shape(waveform)}, expected (n_samples,) or "
                f"({len(self.speakers)}, n_samples)"
            )
        if not np.isfinite(sound).all():
            raise ValueError(f"{self._me}: waveform must be finite")
        n = sound.shape[1]
        (heard,) = self.simulate(resampled(sound, sample_rate, self.sample_rate)[None])
        if self._noise:
            heard = heard + self._noise * self._random.standard_normal(heard.shape)
        return resampled(heard, self.sample_rate, sample_rate, n)

    def picture(self, drive: ArrayLike, time: float | None = None) -> Picture:
        """Return a map of the pressure in the box, with everything that stands in it.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,)
            A legal drive.
        time : float or None
            In s, from the start of the row: a snapshot. None: the rms over the window analysed.

        Returns
        -------
        Picture
            In units of a typical answer. Not counted as a query.

        Raises
        ------
        ValueError
            If `time` is negative or after the end of the row.
        LimitError, DeviceError
            As `measure`.
        """
        legal = self.spec.check_drives(np.atleast_2d(np.asarray(drive, float)))
        if len(legal) != 1:
            raise ValueError(f"{self._me}: picture takes one drive, not {len(legal)}")
        steps, first = len(self._steps()), self.n_settle
        if time is not None:
            first = round(number(self._me, "time", time, 0.0, (steps - 1) / self.sample_rate) * self.sample_rate)
            steps = first + 1
        x, y, squares, last, reached = self._map(self._play(legal), steps, first)
        if self._first_bad(reached) is not None:
            raise self._broken(0, legal[0], reached[0], np.empty((1, self.spec.n_outputs)))
        what = "rms pressure" if time is None else f"pressure after {1e3 * time:.3g} ms"
        return Picture(
            title=what,
            values=np.sqrt(squares) if time is None else last,
            x=x,
            y=y,
            label=f"{what} (units of a typical answer)",
            x_label="x (m)",
            y_label="y (m)",
            marks={
                "loudspeakers": self.speakers,
                "microphones": self.microphones,
                "scatterers": self.scatterers,
            },
        )

    # -- hooks ---------------------------------------------------------------------------------

    @abstractmethod
    def _solve(self, played: Array, steps: int, first: int) -> tuple[Array, Array]:
        """Return the pressure at the microphones and the peak at the scatterers, from rest.

        `played` has the shape (period, n_speakers, rows) and repeats; the pressure has the shape
        (steps - first, n_microphones, rows), and the peak (rows,).
        """

    @abstractmethod
    def _map(
        self, played: Array, steps: int, first: int
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Return x, y, the mean square of the pressure, its last value, and the peak."""

    @abstractmethod
    def _blocks(self, n: int) -> list[slice]:
        """Return how n rows are best cut for the caches of a processor."""

    def _measure(self, drives: Array) -> Array:
        answers = np.empty((len(drives), self.spec.n_outputs))
        steps = len(self._steps())
        first = self.n_settle if self._answer_gains_do else 0
        for rows in self._blocks(len(drives)):
            heard, reached = self._solve(self._play(drives[rows]), steps, first)
            bad = self._first_bad(reached)
            heard = heard[..., :bad]  # the rows before the first that went wrong, or all
            if not self._answer_gains_do:
                heard = self._microphones.apply(heard)[self.n_settle :]
            part = self._answer.read(heard, self._gains, self._noise, self._random)
            answers[rows.start : rows.start + len(part)] = part
            if bad is not None:
                row = rows.start + bad
                raise self._broken(row, drives[row], reached[bad], answers)
        return answers

    # -- set-up --------------------------------------------------------------------------------

    def _set_up(
        self,
        *,
        name: str,
        setting: str,
        n_inputs: int,
        n_outputs: int,
        input: str,  # noqa: A002
        output: str,
        quadratic: float | None,
        cubic: float | None,
        length_x: float,
        length_y: float,
        speed_of_sound: float,
        temperature: float,
        band: tuple[float, float],
        grid: str,
        listen: str | None,
        sample_rate: float,
        n_window: int | None,
        n_settle: int | None,
        shortest: int,
        speakers: int | ArrayLike,
        microphones: int | ArrayLike | None,
        scatterers: int | ArrayLike | None,
        speaker_band: Any,
        microphone_band: Any,
        spread: float | None,
        noise: float | None,
        seed: int,
        ideal: bool,
    ) -> None:
        """Check the arguments that all acoustic simulators have, and place everything."""
        me, self._name = type(self).__name__, name
        self._me = me
        default = setting_of(me, setting)
        whole(me, "n_inputs", n_inputs, 1)
        whole(me, "n_outputs", n_outputs, 1)
        one_of(me, "input", input, INPUTS)
        one_of(me, "output", output, OUTPUTS)
        one_of(me, "grid", grid, GRIDS)
        self.quadratic = number(
            me, "quadratic", default.quadratic if quadratic is None else quadratic, -math.inf
        )
        self.cubic = number(me, "cubic", default.cubic if cubic is None else cubic, -math.inf)
        self._box = np.array(
            [
                number(me, "length_x", length_x, 0.0, above=True),
                number(me, "length_y", length_y, 0.0, above=True),
            ]
        )
        number(me, "speed_of_sound", speed_of_sound, 0.0, above=True)
        number(me, "temperature", temperature, 0.0, above=True)
        # An ideal gas: c grows with the square root of the temperature, 0.17 % per kelvin.
        self.speed = speed_of_sound * math.sqrt(temperature / ROOM_TEMPERATURE)
        self.sample_rate = number(me, "sample_rate", sample_rate, 0.0, above=True)
        self._band = band_limits(me, band)
        self._flat = flag(me, "ideal", ideal)
        whole(me, "seed", seed, 0)
        if n_settle is None:
            n_settle = shortest if input == "tones" else 0
        self.n_settle = whole(me, "n_settle", n_settle, 0)

        where = np.random.SeedSequence(seed).spawn(6)
        self.speakers = places(me, "speakers", speakers, 1, self._box, where[0])
        self.scatterers = places(
            me, "scatterers", default.scatterers if scatterers is None else scatterers, 0,
            self._box, where[1],
        )
        self._drive_map = drive = SoundDrive(
            me, input, n_inputs, len(self.speakers), self._band, self.sample_rate, n_window,
            grid=grid, shortest=shortest,
        )
        self.n_window = drive.n_window
        bin_hz = self.sample_rate / self.n_window
        self.tone_frequencies = drive.bins * bin_hz
        if listen is None:
            listen = "driven" if input == "tones" else "all"
        one_of(me, "listen", listen, LISTENS if input == "tones" else ("all",))
        if microphones is not None:
            self.microphones = places(me, "microphones", microphones, 1, self._box, where[2])
        self._answer = answer = SoundAnswer(
            me, output, n_outputs, None if microphones is None else len(self.microphones),
            self.n_window, heard_bins(listen, drive.bins, *band_room(self._band, bin_hz)),
            self.sample_rate,
        )
        if microphones is None:
            self.microphones = places(
                me, "microphones", len(answer.counts), 1, self._box, where[2]
            )
        self.output_microphones, self.output_frequencies = answer.microphones, answer.frequencies
        self._random = np.random.default_rng(where[3])

        spread = number(me, "spread", default.spread if spread is None else spread, 0.0, 0.5)
        self._speakers = self._transducers(
            "speaker_band", len(self.speakers), speaker_band, default.speaker_band, spread, where[4]
        )
        self._microphones = self._transducers(
            "microphone_band", len(self.microphones), microphone_band, default.microphone_band,
            spread, where[5],
        )
        self._gains = answer.gains(self._microphones)
        # The microphones act as factors on tones, or there is nothing that they do.
        self._answer_gains_do = output == "tones" or self._microphones.flat
        self._table = drive.table
        if not self._speakers.flat:
            self._table = self._speakers.apply(drive.table[self._steps() % self.n_window])

        #: A row of uniform drives has this rms pressure in a settled linear box.
        self.reference_pressure = math.sqrt(n_inputs / 2) if input == "tones" else 1.0
        if noise is None:
            tones = input == "tones" == output
            noise = default.noise if tones else default.relative_noise * self.reference_pressure
        self._noise = number(me, "noise", noise, 0.0) * (not self._flat)
        self.spec = DeviceSpec(
            name=name,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            low=drive.low,
            high=drive.high,
            domain="tones" if input == "tones" else "amplitude",
            seconds_per_query=len(self._steps()) / self.sample_rate,
        )

    def _transducers(
        self,
        name: str,
        count: int,
        band: Any,
        default: tuple[float, float],
        spread: float,
        seed: np.random.SeedSequence,
    ) -> Transducers:
        flat = isinstance(band, str)
        if flat:
            one_of(self._me, name, band, ("flat",))
        if band is None:
            band = default[0], min(default[1], 0.4 * self.sample_rate)
        return Transducers(
            self._me,
            name,
            count,
            None if flat or self._flat else band,
            0.0 if self._flat else spread,
            self.sample_rate,
            seed,
        )

    def _gain_for(self, frequencies: Array, damping: Array) -> float:
        """Return g: the rms pressure of uniform drives becomes the reference pressure.

        From the box's modes in Hz, and their damping w / Q in 1/s, settled and linear.
        """
        at = np.arange(self.n_window // 2 + 1) * (self.sample_rate / self.n_window)
        power = self._drive_map.power() * np.abs(self._speakers.nominal(at)) ** 2
        loud = power > 0
        total = power[loud] @ mode_powers(frequencies, damping, at[loud])
        return self.reference_pressure / math.sqrt(total)

    def _coupling_for(self, quality: float) -> float:
        """Return k, with the quality factor at the centre of the band."""
        return (np.pi * sum(self._band)) ** 2 / (quality * max(1, len(self.scatterers)))

    def _limit(self, stiffness: float) -> None:
        """Set the highest pressure at a scatterer that the step can bear, from the highest R'."""
        p0 = self.reference_pressure
        self.highest_pressure = p0 * highest_pressure(self.quadratic, self.cubic, stiffness)

    # -- rows ----------------------------------------------------------------------------------

    def _steps(self) -> Array:
        return np.arange(self.n_settle + self.n_window)

    def _play(self, drives: Array) -> Array:
        """Return what the loudspeakers radiate, (n_window or all steps, n_speakers, rows)."""
        played: Array = self._table.reshape(-1, drives.shape[1]) @ drives.T
        return played.reshape(-1, len(self.speakers), len(drives))

    def _first_bad(self, reached: Array) -> int | None:
        highest = min(self.highest_pressure, _DIVERGED * self.reference_pressure)
        bad = ~(reached <= highest)  # NaN counts
        return int(np.argmax(bad)) if bad.any() else None

    def _broken(self, row: int, drive: Array, reached: float, answers: Array) -> DeviceError:
        p0 = self.reference_pressure
        too_far = self.highest_pressure < _DIVERGED * p0
        if too_far:
            what = (
                f"the pressure at a scatterer reached {reached:.4g}, but a sample_rate of "
                f"{self.sample_rate:g} Hz is stable up to {self.highest_pressure:.4g} only"
            )
        else:
            what = (
                f"the pressure of a row grew beyond {_DIVERGED:g} times the reference pressure "
                f"{p0:.3g}"
            )
        return DeviceError(
            f"{self._name}: {what}; its drive has the mean square {np.mean(drive**2):.3g} and the "
            f"largest value {np.abs(drive).max():.3g}, the scatterers have "
            f"quadratic={self.quadratic:g}, cubic={self.cubic:g}. Lower the drive or the "
            "scatterers' strength" + ("; or raise sample_rate" if too_far else ""),
            rows=answers[:row].copy(),
            failed_row=row,
        )
