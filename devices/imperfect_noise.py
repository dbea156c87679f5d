"""Random errors of single readings: shot noise, outliers, a jittering trigger."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.imperfections import Imperfection

__all__ = ["Jitter", "Outliers", "ShotNoise"]

Array = NDArray[Any]

_COUNTABLE = 1e15  # quanta; a Poisson draw of more is exact to 3e-8, and soon beyond int64


class ShotNoise(Imperfection):
    """Answers are counts of quanta: an answer y is a Poisson number of mean ``quanta |y|``.

    The answer keeps its sign and its unit, and has the variance ``|y| / quanta``. Real and
    imaginary parts are counted apart.

    Parameters
    ----------
    device : Device
        Any device.
    quanta : float
        Photons or electrons in an answer of 1. Above 0.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self, device: Device, quanta: float, *, seed: int = 0, ideal: bool = False
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        if not (np.isfinite(quanta) and quanta > 0):
            raise ValueError(f"ShotNoise: quanta={quanta!r} must be finite and above 0")
        self.quanta = quanta

    def _answers(self, answers: Array, drives: Array) -> Array:
        if answers.dtype.kind != "c":
            return self._count(answers)
        # Interleaved, so that a batch draws the same numbers as its rows one by one.
        parts = np.stack([answers.real, answers.imag], axis=-1)
        counted = self._count(parts)
        return counted[..., 0] + 1j * counted[..., 1]

    def _count(self, answers: Array) -> Array:
        mean = self.quanta * np.abs(answers.astype(np.float64))
        counts = self._random.poisson(np.minimum(mean, _COUNTABLE))
        return np.sign(answers) * np.where(mean > _COUNTABLE, mean, counts) / self.quanta


class Outliers(Imperfection):
    """Now and then an answer that is far off: ``y + size e``, e normal.

    Parameters
    ----------
    device : Device
        Any device.
    rate : float
        Probability of an outlier, from 0 to 1.
    size : float
        Standard deviation of its error, in the unit of the answers.
    rows : bool
        False: each answer is hit for itself. True: a whole row is, as by a lost trigger, and all
        its answers get errors.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        rate: float,
        size: float,
        *,
        rows: bool = False,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        if not 0 <= rate <= 1:
            raise ValueError(f"Outliers: rate={rate!r} must be from 0 to 1")
        self._at_least(size=(size, 0.0))
        self.rate, self.size, self.rows = rate, size, rows
        self._hits = self._random.spawn(1)[0]

    def _answers(self, answers: Array, drives: Array) -> Array:
        shape = (len(answers), 1) if self.rows else answers.shape
        hit = self._hits.random(shape) < self.rate
        return answers + self.size * hit * self._normal(answers)


class Jitter(Imperfection):
    """Rows of samples that come a little early or late: each waveform is shifted in time.

    The outputs are understood as samples of one or several waveforms, one after another. All
    waveforms of a row are shifted by the same time, normal with standard deviation `std`, as by a
    trigger. Between samples they are interpolated by cubic convolution (Keys, IEEE Trans. Acoust.
    Speech Signal Process. 29, 1153 (1981)), which is exact for parabolas; beyond its ends a
    waveform keeps its last value.

    Parameters
    ----------
    device : Device
        Any device whose answers are waveforms.
    std : float
        In samples.
    n_waveforms : int
        Waveforms in a row; the number of outputs is a multiple of it.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        std: float,
        n_waveforms: int = 1,
        *,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        self._at_least(std=(std, 0.0))
        n = self.spec.n_outputs
        whole = isinstance(n_waveforms, (int, np.integer)) and not isinstance(n_waveforms, bool)
        if not whole or n_waveforms < 1 or n % n_waveforms:
            raise ValueError(
                f"Jitter: n_waveforms={n_waveforms!r} must be a whole number that divides the "
                f"{n} outputs of {self.spec.name}"
            )
        self.std, self.n_waveforms = std, n_waveforms

    def _answers(self, answers: Array, drives: Array) -> Array:
        length = answers.shape[1] // self.n_waveforms
        waves = answers.reshape(len(answers), self.n_waveforms, length)
        late = self.std * self._random.standard_normal(len(answers))
        start = np.floor(-late)
        t = (-late - start)[:, None, None]
        weights = (
            t * (-1 + t * (2 - t)) / 2,
            1 + t * t * (3 * t - 5) / 2,
            t * (1 + t * (4 - 3 * t)) / 2,
            t * t * (t - 1) / 2,
        )
        shifted = np.zeros(waves.shape, np.result_type(waves, float))
        for step, weight in enumerate(weights, -1):
            at = np.arange(length) + start[:, None].astype(np.int64) + step
            at = np.clip(at, 0, length - 1)[:, None, :]
            shifted += weight * np.take_along_axis(waves, at, axis=2)
        return shifted.reshape(answers.shape)
