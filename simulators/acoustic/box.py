"""What the acoustic simulators have in common as devices."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, DeviceError, DeviceSpec
from devices.checks import number
from simulators.acoustic.play import resampled
from simulators.acoustic.rig import AcousticRig
from simulators.picture import Picture

__all__ = ["AcousticBox"]

Array = NDArray[Any]

# A pressure this many times the rms of full-scale linear answers is no physics of these models.
_DIVERGED = 1e3


class AcousticBox(Device):
    """Sound in a box with non-linear scatterers; a subclass adds how it propagates.

    A subclass calls `_stand` with an `AcousticRig` in its constructor, sets `highest_pressure`,
    and writes the hooks `_solve`, `_map` and `_block`.

    Attributes
    ----------
    highest_pressure : float
        At a scatterer, up to which the time step is stable; a row that goes beyond is an error.
    """

    reproducible = True
    highest_pressure: float = math.inf

    # -- hooks ---------------------------------------------------------------------------------

    @abstractmethod
    def _solve(self, played: Array, steps: int, first: int) -> tuple[Array, Array]:
        """Return the pressure at the microphones and its peak at the scatterers, from rest.

        `played` has the shape (period, n_speakers, rows) and repeats; the pressure has the shape
        (steps - first, n_microphones, rows), and the peak (rows,).
        """

    @abstractmethod
    def _map(
        self, played: Array, steps: int, first: int
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Return x, y, the mean square of the pressure, its last value, (ny, nx), and the peak."""

    @abstractmethod
    def _block(self) -> int:
        """Return how many rows together suit the caches of a processor."""

    def _blocks(self, n: int) -> list[slice]:
        size = self._block()
        return [slice(k, min(k + size, n)) for k in range(0, n, size)]

    def _stand(self, name: str, rig: AcousticRig) -> None:
        self._rig = rig
        self.speakers, self.microphones = rig.speakers, rig.microphones
        self.scatterers = rig.scatterers
        self.sample_rate, self.n_window, self.n_settle = rig.sample_rate, rig.n_window, rig.n_settle
        self.tone_frequencies = rig.tone_frequencies
        self.output_microphones = rig.answer.microphones
        self.output_frequencies = rig.answer.frequencies
        self.quadratic, self.cubic = rig.quadratic, rig.cubic
        self.reference_pressure = rig.reference_pressure
        self.spec = DeviceSpec(
            name=name,
            n_inputs=rig.n_inputs,
            n_outputs=rig.n_outputs,
            low=rig.drive.low,
            high=rig.drive.high,
            domain="tones" if rig.input == "tones" else "amplitude",
            seconds_per_query=rig.n_steps / rig.sample_rate,
        )

    def _measure(self, drives: Array) -> Array:
        rig, answers = self._rig, np.empty((len(drives), self.spec.n_outputs))
        first = 0 if rig.filtered else rig.n_settle
        for rows in self._blocks(len(drives)):
            heard, reached = self._solve(rig.play(drives[rows]), rig.n_steps, first)
            bad = self._first_bad(reached)
            part = rig.read(heard[..., :bad])  # the rows before the first that broke, or all
            answers[rows.start : rows.start + len(part)] = part
            if bad is not None:
                row = rows.start + bad
                raise self._broken(row, drives[row], reached[bad], answers)
        return answers

    # -- public --------------------------------------------------------------------------------

    def waveforms(self, drives: ArrayLike) -> Array:
        """Return what is sent to the loudspeakers for `drives`.

        Parameters
        ----------
        drives : array_like of shape (batch, n_inputs)
            Legal drives.

        Returns
        -------
        ndarray of shape (batch, n_speakers, n_settle + n_window)
            In units of a full input: of a tone's full amplitude, for instance.

        Raises
        ------
        LimitError
            If a drive is illegal.
        """
        return self._rig.waveforms(self.spec.check_drives(drives))

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
            If a row diverges, or its pressure leaves the range in which the step is stable.
        """
        played = np.array(waveforms, float)
        if played.ndim != 3 or played.shape[1] != len(self.speakers):
            raise ValueError(
                f"{self._rig.me}: waveforms has shape {played.shape}, expected "
                f"(batch, {len(self.speakers)}, n_samples)"
            )
        if not np.isfinite(played).all():
            raise ValueError(f"{self._rig.me}: waveforms must be finite")
        given = np.empty((len(played), len(self.microphones), played.shape[2]))
        for rows in self._blocks(len(played)):
            force = np.ascontiguousarray(played[rows].transpose(2, 1, 0))
            heard, reached = self._solve(self._rig.speaker_response.apply(force), len(force), 0)
            bad = self._first_bad(reached)
            heard = self._rig.microphone_response.apply(heard[..., :bad]).transpose(2, 1, 0)
            given[rows.start : rows.start + len(heard)] = heard
            if bad is not None:
                row = rows.start + bad
                raise self._broken(row, played[row], reached[bad], given)
        return given

    def play(self, waveform: ArrayLike, sample_rate: float) -> Array:
        """Play a recording, speech or anything else, and return what the microphones record.

        It is resampled to the simulator's rate and back. No query is counted.

        Parameters
        ----------
        waveform : array_like of shape (n_samples,) or (n_speakers, n_samples)
            In the unit of `waveforms`; a single row is played by all loudspeakers alike.
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
            If it diverges, or its pressure leaves the range in which the step is stable.
        """
        me, n_speakers = self._rig.me, len(self.speakers)
        number(me, "sample_rate", sample_rate, 0.0, above=True)
        sound = np.array(waveform, float)
        if sound.ndim == 1:
            sound = np.tile(sound, (n_speakers, 1))
        if sound.ndim != 2 or len(sound) != n_speakers or not sound.shape[1]:
            raise ValueError(
                f"{me}: waveform has shape {np.shape(waveform)}, expected (n_samples,) or "
                f"({n_speakers}, n_samples)"
            )
        if not np.isfinite(sound).all():
            raise ValueError(f"{me}: waveform must be finite")
        (heard,) = self.simulate(resampled(sound, sample_rate, self.sample_rate)[None])
        if self._rig.noise:
            heard += self._rig.noise * self._rig.random.standard_normal(heard.shape)
        return resampled(heard, self.sample_rate, sample_rate, sound.shape[1])

    def picture(self, drive: ArrayLike, time: float | None = None) -> Picture:
        """Return a map of the pressure in the box, with everything that stands in it.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,)
            A legal drive.
        time : float or None
            In s from the start of the row, for a snapshot. None: the rms in the window analysed.

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
        rig, legal = self._rig, self.spec.check_drives(np.asarray(drive)[None])
        steps, first, what = rig.n_steps, rig.n_settle, "rms pressure"
        if time is not None:
            end = (steps - 1) / rig.sample_rate
            first = round(number(rig.me, "time", time, 0.0, end) * rig.sample_rate)
            steps, what = first + 1, f"pressure after {1e3 * time:.3g} ms"
        x, y, squares, last, reached = self._map(rig.play(legal), steps, first)
        if self._first_bad(reached) is not None:
            raise self._broken(0, legal[0], reached[0], np.empty((0, self.spec.n_outputs)))
        marks = {
            "loudspeakers": self.speakers,
            "microphones": self.microphones,
            "scatterers": self.scatterers,
        }
        return Picture(
            title=what,
            values=np.sqrt(squares) if time is None else last,
            x=x,
            y=y,
            label=f"{what} (units of a typical answer)",
            x_label="x (m)",
            y_label="y (m)",
            marks={name: points for name, points in marks.items() if len(points)},
        )

    # -- rows that break -----------------------------------------------------------------------

    def _first_bad(self, reached: Array) -> int | None:
        highest = min(self.highest_pressure, _DIVERGED * self.reference_pressure)
        bad = ~(reached <= highest)  # NaN counts
        return int(np.argmax(bad)) if bad.any() else None

    def _broken(self, row: int, drive: Array, reached: float, answers: Array) -> DeviceError:
        p0 = self.reference_pressure
        too_far = self.highest_pressure < _DIVERGED * p0
        if too_far:
            what = (
                f"the pressure at a scatterer reached {reached:.4g}, where the time step at "
                f"sample_rate={self.sample_rate:g} Hz is stable up to {self.highest_pressure:.4g}"
            )
        else:
            what = (
                f"the pressure of a row grew beyond {_DIVERGED:g} times the reference pressure "
                f"{p0:.3g}"
            )
        return DeviceError(
            f"{self.spec.name}: {what}; its drive has the mean square {np.mean(drive**2):.3g} and "
            f"the largest value {np.abs(drive).max():.3g}, the scatterers have "
            f"quadratic={self.quadratic:g}, cubic={self.cubic:g}. Lower the drive or the "
            "scatterers' strength" + ("; or raise sample_rate" if too_far else ""),
            rows=answers[:row].copy(),
            failed_row=row,
        )
