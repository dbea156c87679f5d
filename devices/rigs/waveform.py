"""A generator and a digitizer around anything that carries a wave."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of, whole
from devices.errors import DeviceError, LimitError, ReplyTimeout
from devices.rigs.base import Rig
from devices.rigs.signals import SignalMaker, SignalReader
from devices.rigs.transient import Transient, find_transient
from devices.roles import Digitizer, Record, Source
from devices.safety import LabLimits
from devices.spec import DeviceSpec

__all__ = ["WaveformRig"]

Array = NDArray[Any]

# Samples of the digitizer per sample of the generator, at least: the held steps of the one are
# seen by the other, and neighbouring samples average its noise.
_OVERSAMPLING = 4


class WaveformRig(Rig):
    """Tones, time bins or samples out; amplitudes of tones, energies of time bins, samples in.

    For every upload: check the complete waveform against the limits, load it, arm the digitizer
    and see it armed, fire, see a new capture, fetch, and read the steady part. Volts are volts:
    range and scale are fixed for the run, no row is normalised.

    Parameters
    ----------
    source : Source
        Plays; its ``sample_rate_hz`` and range are set by the rig.
    digitizer : Digitizer
        Captures, triggered by the source; time 0 is the trigger.
    n_inputs : int
        Width of a drive.
    n_outputs : int or None
        Width of an answer; None takes all that there is to read.
    input, output : {"tones", "bins", "waveform"}
        See `SignalMaker` and `SignalReader`.
    answers : {"magnitude", "complex"}
        Of tones.
    listen : {"driven", "products", "all"}
        Which bins are read: the driven tones, those in the band between them, or both.
    sample_rate_hz : float
        Of the generator.
    band_hz : (float, float)
        Lowest and highest frequency.
    window_samples : int
        Analysed samples of the generator; tones lie on whole bins of it.
    settle_samples : int
        Played before the window, for the transient to die away: calibrate it.
    ring_down_s : float or None
        How long what carries the wave swings in and dies away, by `transient`. Where it is given,
        a shorter `settle_samples` (of tones), and several rows in one upload that follow each
        other faster, are errors.
    lead_samples, ramp_samples : int
        Silence before and behind a row; rise of the signal at its start. From the end of a row to
        the window of the next in the same upload there are twice the silence and
        `settle_samples`.
    volts_per_input : float
        Amplitude in V, at the generator, of a full input.
    full_scale_v : float or None
        Fixed range (peak) of the generator; None is the largest that a legal row can reach.
    delay_s : float
        From the trigger to the first sample at the digitizer (deskew); calibrate it.
    rows_per_shot : int
        Rows in one upload.
    capture : {"record", "segments"}
        Whether the rows of an upload are played as one waveform into one long record, or one by
        one into the segments of the digitizer's memory.
    attempts : int
        How often one row is tried.
    trigger_s : float
        Longest wait for a trigger, beside the time that is played.
    limits : LabLimits, optional
        The laboratory's.
    instruments : mapping, optional
        All instruments in the order of opening, where there are more than these two: an
        amplifier that is muted before the generator stands behind it.
    monitors, warm_up_s, name
        See `Rig`.

    Attributes
    ----------
    full_scale_v, sample_rate_hz, settle_samples
        As they are used.

    Raises
    ------
    ValueError
        If a setting is out of its range, or one input alone, fully on, is beyond the limits.
    """

    def __init__(
        self,
        source: Source,
        digitizer: Digitizer,
        *,
        n_inputs: int = 64,
        n_outputs: int | None = None,
        input: Literal["tones", "bins", "waveform"] = "tones",
        output: Literal["tones", "bins", "waveform"] = "tones",
        answers: Literal["magnitude", "complex"] = "magnitude",
        listen: Literal["driven", "products", "all"] = "driven",
        sample_rate_hz: float = 16_000.0,
        band_hz: Sequence[float] = (200.0, 1200.0),
        window_samples: int = 1024,
        settle_samples: int = 1024,
        ring_down_s: float | None = None,
        lead_samples: int = 16,
        ramp_samples: int = 0,
        volts_per_input: float = 0.05,
        full_scale_v: float | None = None,
        delay_s: float = 0.0,
        rows_per_shot: int = 1,
        capture: Literal["record", "segments"] = "record",
        attempts: int = 3,
        trigger_s: float = 2.0,
        limits: LabLimits | None = None,
        instruments: Mapping[str, Any] | None = None,
        monitors: Mapping[str, Any] | None = None,
        warm_up_s: float = 0.0,
        name: str = "waveform-rig",
    ) -> None:
        self._maker = SignalMaker(
            name,
            input,
            whole(name, "n_inputs", n_inputs, 1),
            len(source.channels),
            sample_rate_hz,
            band_hz=band_hz,
            window=window_samples,
            settle=settle_samples,
            lead=lead_samples,
            ramp=ramp_samples,
            volts_per_input=volts_per_input,
        )
        self._reader = SignalReader(
            name,
            output,
            self._maker,
            len(digitizer.channels),
            listen=listen,
            band_hz=band_hz,
            n_outputs=n_outputs,
            answers=answers,
        )
        self._source, self._digitizer = source, digitizer
        self._segmented = one_of(name, "capture", capture, ("record", "segments")) == "segments"
        self._rows = whole(name, "rows_per_shot", rows_per_shot, 1, 1000)
        self._delay_s = number(name, "delay_s", delay_s, -1.0, 1.0)
        self._trigger_s = number(name, "trigger_s", trigger_s, 0.0, 3600.0, above=True)
        worst = self._maker.worst_peak_v
        self.full_scale_v = number(
            name, "full_scale_v", worst if full_scale_v is None else full_scale_v, 0.0, above=True
        )
        self.sample_rate_hz, self.settle_samples = self._maker.rate_hz, self._maker.settle
        self._row_s = self._maker.row_samples / sample_rate_hz
        if ring_down_s is not None:
            self._dies_away(name, number(name, "ring_down_s", ring_down_s, 0.0, 3600.0))
        self.spec = DeviceSpec(
            name=name,
            n_inputs=n_inputs,
            n_outputs=self._reader.n_outputs,
            low=self._maker.low,
            high=1.0,
            domain="tones" if input == "tones" else "amplitude",
            output_unit="V**2" if output == "bins" else "V",
            output_dtype=self._reader.dtype,
            seconds_per_query=self._row_s,
            max_batch=self._rows,
            attempts=attempts,
        )
        self._stand(
            instruments or {source.name: source, digitizer.name: digitizer},
            limits,
            monitors,
            warm_up_s,
        )
        self._keeps_limits(self._checked, "volts_per_input")

    def _dies_away(self, name: str, ring_down_s: float) -> None:
        """Check that no window holds what is left of a transient, or of the row before."""
        maker = self._maker
        need = math.ceil(ring_down_s * maker.rate_hz - 1e-9)
        if self._reader.kind == "tones" and maker.settle < need:
            raise ValueError(
                f"{name}: settle_samples={maker.settle} is shorter than ring_down_s="
                f"{ring_down_s:g}, at this rate {need} samples: the window would hold the transient"
            )
        gap = 2 * maker.lead + maker.settle
        if self._rows > 1 and gap < need:
            raise ValueError(
                f"{name}: with rows_per_shot={self._rows} the window of a row begins {gap} samples "
                f"(2 lead_samples + settle_samples) after the row before it, ring_down_s="
                f"{ring_down_s:g} is {need}: it would hear that row. Raise lead_samples to "
                f"{math.ceil((need - maker.settle) / 2)}, or use rows_per_shot=1"
            )

    def waveforms(self, drives: Any) -> Array:
        """Return what would be played, (n_rows, n_channels, n_samples) in V; drives nothing."""
        return self._maker.make(self.spec.check_drives(drives))

    def _open(self) -> None:
        together = 1 if self._segmented else self._rows
        points = together * self._maker.row_samples
        self._source.prepare(self._maker.rate_hz, self.full_scale_v, points)
        tail_s = max(0.0, self._delay_s)
        self._digitizer.prepare(
            together * self._row_s + tail_s,
            self._rows if self._segmented else 1,
            _OVERSAMPLING * self._maker.rate_hz,
        )
        super()._open()

    def _check(self, drives: Array) -> None:
        for start in range(0, len(drives), self._rows):
            try:
                self._checked(drives[start : start + self._rows])
            except LimitError as error:
                error.failed_row = start + (error.failed_row or 0)
                raise

    def _checked(self, drives: Array) -> tuple[Array, NDArray[np.int64]]:
        """Return the volts that may be sent, and how many samples of each row were clipped."""
        volts, clipped = self.limits.applied(self._maker.make(drives), 1 / self._maker.rate_hz)
        beyond = np.abs(volts) > self.full_scale_v * (1 + 1e-9)
        if beyond.any():
            row, channel, sample = (int(i) for i in np.argwhere(beyond)[0])
            raise LimitError(
                f"{self.spec.name}: channel {channel}, sample {sample}: "
                f"{volts[row, channel, sample]:.6g} V is beyond full_scale_v = "
                f"{self.full_scale_v:g} V; nothing was sent. Raise full_scale_v or lower "
                "volts_per_input",
                failed_row=row,
            )
        return volts, clipped

    def _measure(self, drives: Array) -> Array:
        volts, clipped = self._checked(drives)
        return self._read(self._play(volts), len(drives), clipped)

    def _play(self, volts: Array) -> list[Record]:
        """Play one upload of rows that were checked, and return what was captured."""
        # A batch shorter than an upload is filled up with silence: the lengths stay the same.
        fill = np.zeros((self._rows - len(volts), *volts.shape[1:]))
        shots = np.concatenate([volts, fill])
        with self._source.step(), self._digitizer.step():
            return self._shoot_segments(shots) if self._segmented else self._shoot(shots)

    def _shoot(self, shots: Array) -> list[Record]:
        """Play all rows as one waveform into one record."""
        self._source.load(np.concatenate(list(shots), axis=1))
        self._digitizer.arm()
        self._source.fire()
        self._digitizer.wait(self._rows * self._row_s + self._trigger_s)
        return self._digitizer.fetch()

    def _shoot_segments(self, shots: Array) -> list[Record]:
        """Load all rows, arm once for all segments, and play row by row."""
        for slot, row in enumerate(shots):
            self._source.load(row, slot)
        self._digitizer.arm()
        for slot in range(len(shots)):
            self._source.select(slot)
            self._source.fire()
            time.sleep(self._row_s)  # the burst must end before the next one is chosen
        self._digitizer.wait(self._row_s + self._trigger_s)
        return self._digitizer.fetch()

    def _read(self, records: list[Record], n_rows: int, clipped: NDArray[np.int64]) -> Array:
        expected = self._rows if self._segmented else 1
        if len(records) != expected:
            raise ReplyTimeout(f"{self.spec.name}: {len(records)} of {expected} captures came")
        answers, full = [], np.zeros(n_rows, bool)
        for row in range(n_rows):
            record = records[row if self._segmented else 0]
            start = self._delay_s + (self._maker.lead + self._maker.settle) / self._maker.rate_hz
            if not self._segmented:
                start += row * self._row_s
            try:
                answer, full[row] = self._reader.read(record, start)
            except ValueError as error:
                raise DeviceError(
                    f"{self.spec.name}: row {row}: {error}; check points, delay_s and the "
                    "digitizer's time base"
                ) from error
            answers.append(answer)
        self._flag(n_rows, saturated=full, clipped=clipped > 0)
        return np.stack(answers)

    def peaks(self, drives: Any) -> tuple[Array, NDArray[np.bool_]]:
        """Drive rows and return what the digitizer's range must hold; for calibration only.

        The range stays as it is: choose it from this, write it as ``range_v``, and keep it.

        Parameters
        ----------
        drives : array_like of shape (n_rows, n_inputs)
            The strongest rows that will be driven; counted as calibration.

        Returns
        -------
        peaks_v : ndarray of shape (n_channels,)
            Largest magnitude on each channel, over the whole records.
        clipped : ndarray of shape (n_channels,), bool
            Where the range was too small to tell.
        """
        rows, peaks, clipped = self.spec.check_drives(drives), [], []
        self._check(rows)
        with self._calibrating(len(rows)):
            for start in range(0, len(rows), self._rows):
                volts, _ = self._checked(rows[start : start + self._rows])
                records = self._play(volts)
                peaks += [np.abs(record.volts).max(axis=1) for record in records]
                clipped += [record.clipped.any(axis=1) for record in records]
        return np.max(peaks, axis=0), np.any(clipped, axis=0)

    def transient(self, drive: Any, *, tolerance: float = 0.01, repeats: int = 8) -> Transient:
        """Drive one row and measure how long it swings in; for calibration.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,)
            A row with much in it; counted as calibration, `repeats` times.
        tolerance : float
            What may be left of the transient, as a share of the steady signal.
        repeats : int
            Records that are averaged, against noise.

        Returns
        -------
        Transient
            Its ``settle_s`` is what to give as ``ring_down_s``; times `sample_rate_hz` it is the
            least that `settle_samples` should be.

        Raises
        ------
        ValueError
            If `settle_samples` is too short to see anything.
        """
        number(self.spec.name, "tolerance", tolerance, 0.0, 1.0, above=True, below=True)
        whole(self.spec.name, "repeats", repeats, 1, 10_000)
        row = self.spec.check_drives(np.reshape(drive, (1, -1)))
        self._check(row)
        volts, _ = self._checked(row)
        with self._calibrating(repeats):
            records = [self._play(volts)[0] for _ in range(repeats)]
        mean = replace(records[0], volts=np.mean([one.volts for one in records], axis=0))
        maker = self._maker
        start_s = self._delay_s + maker.lead / maker.rate_hz
        played_s = (maker.settle + maker.window) / maker.rate_hz
        return find_transient(
            mean, start_s, maker.window / maker.rate_hz, start_s + played_s, tolerance
        )
