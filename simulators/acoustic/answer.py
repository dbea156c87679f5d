"""From what microphones hear to a row of answers: tones, samples, or energies of time bins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.acoustic.transducers import Transducers

__all__ = ["LISTENS", "OUTPUTS", "SoundAnswer", "heard_bins"]

Array = NDArray[Any]

#: What an output may be.
OUTPUTS = ("tones", "waveform", "bins")
#: Which bins of the window are read for tones.
LISTENS = ("driven", "products", "all")


def heard_bins(listen: str, driven: Array, first: int, last: int) -> Array:
    """Return the bins that can be read: those driven, those in the band between them, or both."""
    if listen == "driven":
        return driven
    band = np.arange(max(1, first), last + 1)
    return band if listen == "all" else np.setdiff1d(band, driven)


class SoundAnswer:
    """Reads answers from the samples of a window, all of the first microphone's, then the next's.

    ``tones``: amplitudes of the bins, ``|2 / n_window sum_t p(t) exp(-2 pi i b t / n_window)|``.
    ``waveform``: evenly spaced samples. ``bins``: the mean square in evenly spaced parts of the
    window. A microphone's frequency response acts on samples and energies from the start of the
    row, and on tones as a complex factor: its own onset, over in milliseconds, is left out there.

    Parameters
    ----------
    owner, kind : str
        Who asks; what an output is.
    n_outputs : int
    n_microphones : int or None
        They share the outputs evenly. None takes as few microphones as can have all bins each,
        and the last what is left; for samples and energies two.
    n_window : int
        Samples analysed.
    bins : ndarray of int
        Bins that can be read, for tones. A microphone with fewer outputs than that reads evenly
        spread ones, each microphone others if the outputs are shared evenly.
    sample_rate : float
        In Hz.

    Attributes
    ----------
    counts : list of int
        Outputs of each microphone.
    microphones : ndarray of shape (n_outputs,)
        The microphone of each output.
    frequencies : ndarray of shape (n_outputs,)
        In Hz; empty unless outputs are tones.

    Raises
    ------
    ValueError
        If a microphone has more outputs than there are bins or samples, or none.
    """

    def __init__(
        self,
        owner: str,
        kind: str,
        n_outputs: int,
        n_microphones: int | None,
        n_window: int,
        bins: Array,
        sample_rate: float,
    ) -> None:
        self.kind, self.n_window = kind, n_window
        tones = kind == "tones"
        room = len(bins) if tones else n_window
        if not room:
            raise ValueError(
                f"{owner}: no bin is left to listen to in a window of {n_window} samples; raise "
                "n_window, or listen to others"
            )
        need = math.ceil(n_outputs / room)
        if n_microphones is None:
            count = need if tones else max(need, min(2, n_outputs))
            each = room if tones else math.ceil(n_outputs / count)
            self.counts = [each] * (count - 1) + [n_outputs - (count - 1) * each]
        elif not need <= n_microphones <= n_outputs:
            raise ValueError(
                f"{owner}: microphones has {n_microphones} positions; n_outputs={n_outputs} of "
                f"{room} {'tones' if tones else 'samples'} each need {need} to {n_outputs}"
            )
        else:
            least, more = divmod(n_outputs, n_microphones)
            self.counts = [least + (k < more) for k in range(n_microphones)]
        n_heard = len(self.counts)
        self.microphones = np.repeat(np.arange(n_heard), self.counts)
        if kind == "tones":
            picks = [
                _spread(room, count, None if n_microphones is None else k / n_heard)
                for k, count in enumerate(self.counts)
            ]
            self._bins = bins[np.concatenate(picks)]
            self.frequencies = self._bins * (sample_rate / n_window)
        else:
            self.frequencies = np.empty(0)

    def gains(self, microphones: Transducers) -> Array | None:
        """Return the microphones' factor on each tone, (n_outputs,), or None for 1."""
        if self.kind != "tones" or microphones.flat:
            return None
        return microphones.response(self.frequencies)[
            self.microphones, np.arange(len(self.microphones))
        ]

    def read(
        self, heard: Array, gains: Array | None, noise: float, random: np.random.Generator
    ) -> Array:
        """Return the answers, (rows, n_outputs), to samples (n_window, n_microphones, rows)."""
        if self.kind == "tones":
            spectra = np.fft.rfft(heard, axis=0) * (2 / self.n_window)
            tones = np.ascontiguousarray(spectra[self._bins, self.microphones].T)
            if gains is not None:
                tones *= gains
            if noise:
                # The transform of white noise, drawn where it is read only.
                sigma = noise * math.sqrt(2 / self.n_window)
                drawn = random.standard_normal((*tones.shape, 2))
                tones += sigma * drawn.view(np.complex128)[..., 0]
            return np.abs(tones)
        if noise:
            heard = heard + noise * random.standard_normal(heard.shape)
        parts = []
        for k, count in enumerate(self.counts):
            if self.kind == "waveform":
                parts.append(heard[(np.arange(count) + 1) * self.n_window // count - 1, k])
            else:
                edges = np.arange(count + 1) * self.n_window // count
                sums = np.add.reduceat(heard[:, k] ** 2, edges[:-1], axis=0)
                parts.append(sums / np.diff(edges)[:, None])
        return np.concatenate(parts).T


def _spread(room: int, count: int, shift: float | None) -> Array:
    if count == room:
        return np.arange(room)
    if shift is None:
        return np.round(np.linspace(0, room - 1, count)).astype(int)
    return ((np.arange(count) + shift) * room / count).astype(int)
