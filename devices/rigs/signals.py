"""From rows of numbers to waveforms, and from captured waveforms back to rows of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of, whole
from devices.roles import Record

__all__ = ["KINDS", "SignalMaker", "SignalReader", "tone_bins"]

Array = NDArray[Any]

#: What an input, or an output, may be.
KINDS = ("tones", "bins", "waveform")

_WHOLE = 1e-9  # how near a window must be to whole samples to be taken as such
_CACHED = 64


def tone_bins(owner: str, n: int, band_hz: Any, rate_hz: float, window: int) -> NDArray[np.int_]:
    """Return n evenly spread bins of a window of `window` samples, inside the band.

    Raises
    ------
    ValueError
        If the band has no room for as many.
    """
    try:
        low, high = (float(v) for v in band_hz)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner}: band_hz={band_hz!r} must be two frequencies") from error
    if not 0 < low < high <= rate_hz / 2:
        raise ValueError(
            f"{owner}: band_hz={band_hz!r} must be 0 < lowest < highest <= {rate_hz / 2:g}, half "
            "the sample rate"
        )
    step = rate_hz / window
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if last - first + 1 < n:
        raise ValueError(
            f"{owner}: n_inputs={n} tones do not fit into band_hz={band_hz!r}, which has "
            f"{max(0, last - first + 1)} bins of {step:.4g} Hz in a window of {window} samples; "
            "widen the band or raise window_samples"
        )
    return np.round(np.linspace(first, last, n)).astype(int)


class SignalMaker:
    """Rows of inputs to volts on every channel of the generator.

    Input i plays on channel ``i mod n_channels``. ``tones``: an input is the amplitude of a tone
    on a whole bin of the window, with Newman's phases ``pi i^2 / n`` for a low crest factor (Boyd,
    IEEE Trans. Circuits Syst. 33, 1018, 1986). ``bins``: it is held for a share of the window.
    ``waveform``: the same, in [-1, 1]. A row is silence for `lead` samples, then the window's
    signal repeated for ``settle + window`` samples, then silence again.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    kind : {"tones", "bins", "waveform"}
    n_inputs, n_channels : int
    rate_hz : float
        Of the generator.
    band_hz : (float, float)
        For tones.
    window, settle, lead : int
        Samples.
    ramp : int
        Samples of the raised-cosine ramp at both ends, inside what is played; at most `settle`.
    volts_per_input : float
        Amplitude of a full input.
    """

    def __init__(
        self,
        owner: str,
        kind: str,
        n_inputs: int,
        n_channels: int,
        rate_hz: float,
        *,
        band_hz: Any,
        window: int,
        settle: int,
        lead: int,
        ramp: int,
        volts_per_input: float,
    ) -> None:
        self.kind = one_of(owner, "input", kind, KINDS)
        self.rate_hz = number(owner, "sample_rate_hz", rate_hz, 0.0, above=True)
        self.window = whole(owner, "window_samples", window, 4)
        self.settle = whole(owner, "settle_samples", settle, 0)
        self.lead = whole(owner, "lead_samples", lead, 1)
        self.ramp = whole(owner, "ramp_samples", ramp, 0, self.settle)
        number(owner, "volts_per_input", volts_per_input, 0.0, above=True)
        self.low = -1.0 if kind == "waveform" else 0.0
        index = np.arange(n_inputs)
        channel = index % n_channels == np.arange(n_channels)[:, None]  # (channels, inputs)
        self.bins = np.empty(0, int)
        if kind == "tones":
            self.bins = tone_bins(owner, n_inputs, band_hz, rate_hz, self.window)
            # A share of a cycle in whole numbers first: no rounding grows along the window.
            share = np.arange(self.window)[:, None] * self.bins % self.window / self.window
            shape = np.cos(2 * np.pi * share + np.pi * index**2 / n_inputs)
        else:
            slots, rest = divmod(n_inputs, n_channels)
            if rest or self.window % slots:
                raise ValueError(
                    f"{owner}: with input={kind!r}, n_inputs={n_inputs} must be a multiple of the "
                    f"{n_channels} channels, and window_samples={window} one of the {slots} "
                    "inputs of a channel"
                )
            now = np.arange(self.window)[:, None] // (self.window // slots)
            shape = (now == index // n_channels).astype(float)
        self.table = volts_per_input * shape[:, None, :] * channel  # (window, channels, inputs)

    @property
    def row_samples(self) -> int:
        """Samples of one row, silence included."""
        return 2 * self.lead + self.settle + self.window

    @property
    def worst_peak_v(self) -> float:
        """The largest magnitude that any legal row can reach."""
        return float(np.abs(self.table).sum(axis=2).max())

    def make(self, drives: Array) -> Array:
        """Return volts, (n_rows, n_channels, row_samples), for rows of inputs."""
        period = np.einsum("tci,ri->rct", self.table, drives)
        played = self.settle + self.window
        # The window ends a whole period, so that it begins where the period does.
        first = -self.settle % self.window
        signal = period[:, :, (first + np.arange(played)) % self.window]
        if self.ramp:
            up = 0.5 - 0.5 * np.cos(np.pi * np.arange(self.ramp) / self.ramp)
            signal[:, :, : self.ramp] *= up
        return np.pad(signal, ((0, 0), (0, 0), (self.lead, self.lead)))


class SignalReader:
    """Captured volts to rows of outputs, all of the first channel, then of the second and so on.

    ``tones``: the amplitudes at the bins that `listen` names, as magnitudes or complex, over one
    whole window. ``bins``: mean squares of evenly spaced parts of the window. ``waveform``: evenly
    spaced samples.
    """

    def __init__(
        self,
        owner: str,
        kind: str,
        maker: SignalMaker,
        n_channels: int,
        *,
        listen: str,
        band_hz: Any,
        n_outputs: int | None,
        answers: str,
    ) -> None:
        self.kind = one_of(owner, "output", kind, KINDS)
        self._complex = one_of(owner, "answers", answers, ("magnitude", "complex")) == "complex"
        self._maker = maker
        if kind == "tones":
            self.bins = self._heard(owner, listen, maker, band_hz)
            each = len(self.bins)
        else:
            each = maker.window if n_outputs is None else math.ceil(n_outputs / n_channels)
        room = each * n_channels
        self.n_outputs = whole(
            owner, "n_outputs", room if n_outputs is None else n_outputs, 1, room
        )
        self._each, self._cache = each, {}  # type: tuple[int, dict[Any, Array]]

    @property
    def dtype(self) -> str:
        """Type of the outputs."""
        return "complex128" if self._complex and self.kind == "tones" else "float64"

    def read(self, record: Record, start_s: float) -> tuple[Array, bool]:
        """Return the outputs, (n_outputs,), of a row whose window starts at `start_s`.

        Also whether a sample of the window was clipped.

        Raises
        ------
        ValueError
            If the record does not hold the window.
        """
        length_s = self._maker.window / self._maker.rate_hz
        count = round(length_s / record.step_s)
        first = round((start_s - record.start_s) / record.step_s)
        if first < 0 or first + count > record.volts.shape[1] or count < 2:
            raise ValueError(
                f"the window from {start_s:g} s, {length_s:g} s long, is not in the record of "
                f"{record.volts.shape[1]} samples from {record.start_s:g} s, "
                f"{record.step_s:g} s apart"
            )
        part = record.volts[:, first : first + count]
        clipped = bool(record.clipped[:, first : first + count].any())
        late_s = record.start_s + first * record.step_s - start_s
        return self._answers(part, late_s, record.step_s)[: self.n_outputs], clipped

    def _answers(self, part: Array, late_s: float, step_s: float) -> Array:
        count = part.shape[1]
        if self.kind == "tones":
            key = (count, round(late_s * 1e12), step_s)
            if key not in self._cache:
                if len(self._cache) >= _CACHED:
                    self._cache.clear()
                self._cache[key] = self._projection(count, late_s, step_s)
            tones = part @ self._cache[key]
            return (tones if self._complex else np.abs(tones)).ravel()
        edges = np.arange(self._each + 1) * count // self._each
        if self.kind == "waveform":
            return part[:, edges[1:] - 1].ravel()
        sums = np.add.reduceat(part**2, edges[:-1], axis=1)
        return (sums / np.diff(edges)).ravel()

    def _projection(self, count: int, late_s: float, step_s: float) -> Array:
        """Return what samples are multiplied with, (count, n_bins): amplitudes of the tones."""
        bin_hz = self._maker.rate_hz / self._maker.window
        times = late_s + np.arange(count) * step_s
        if abs(count * step_s * bin_hz - 1) < _WHOLE:
            return 2 / count * np.exp(-2j * np.pi * np.outer(times, self.bins * bin_hz))
        # The window is not a whole number of the digitizer's samples: a least-squares fit of all
        # tones together, so that none leaks into another.
        bins = np.union1d(self.bins, self._maker.bins)
        angles = 2 * np.pi * bin_hz * np.outer(times, bins)
        model = np.concatenate([np.cos(angles), np.sin(angles), np.ones((count, 1))], axis=1)
        inverse = np.linalg.solve(model.T @ model, model.T)
        amplitudes = inverse[: len(bins)] - 1j * inverse[len(bins) : 2 * len(bins)]
        return amplitudes[np.searchsorted(bins, self.bins)].T

    @staticmethod
    def _heard(owner: str, listen: str, maker: SignalMaker, band_hz: Any) -> NDArray[np.int_]:
        one_of(owner, "listen", listen, ("driven", "products", "all"))
        if listen == "driven":
            if maker.kind != "tones":
                raise ValueError(
                    f"{owner}: output='tones' with input={maker.kind!r} needs listen='all'"
                )
            return maker.bins
        step = maker.rate_hz / maker.window
        low, high = (float(v) for v in band_hz)
        band = np.arange(max(1, math.ceil(low / step)), math.floor(high / step) + 1)
        return band if listen == "all" else np.setdiff1d(band, maker.bins)
