"""Imperfections of real instruments, as wrappers usable on any device.

Each is seeded where it is random, and each is off with ``ideal=True``: the wrapper then hands
drives and answers on untouched, so that one switch compares a bench with its ideal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.measurement import Measurement, Purpose
from devices.wrapper import Wrapper

__all__ = ["Drifting", "Imperfection", "Noisy", "Quantised", "Saturating"]

Array = NDArray[Any]


class Imperfection(Wrapper):
    """Base of the imperfections: a wrapper with a switch.

    Parameters
    ----------
    device : Device
        Any device.
    seed : int
        Seed of the imperfection's own random numbers.
    ideal : bool
        True switches the imperfection off.
    """

    def __init__(self, device: Device, *, seed: int = 0, ideal: bool = False) -> None:
        super().__init__(device)
        if not isinstance(ideal, (bool, np.bool_)):  # a text such as "no" would count as True
            raise ValueError(f"{type(self).__name__}: ideal={ideal!r} must be True or False")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(
                f"{type(self).__name__}: seed={seed!r} must be a whole number of at least 0"
            )
        self.ideal = ideal
        self._random = np.random.default_rng(seed)

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        if self.ideal:
            return self.inner.acquire(drives, purpose=purpose)
        measured = super()._acquire(drives, purpose)
        # Random numbers are drawn in double precision, whatever the device answers in.
        return replace(
            measured, outputs=measured.outputs.astype(self.spec.output_dtype, copy=False)
        )

    def _normal(self, like: Array) -> Array:
        """Draw normal numbers of unit variance, circular complex ones for complex answers."""
        noise: Array = self._random.standard_normal(like.shape)
        if like.dtype.kind == "c":
            noise = (noise + 1j * self._random.standard_normal(like.shape)) / np.sqrt(2)
        return noise

    def _at_least(self, **least: tuple[float | None, float]) -> None:
        for name, (value, bound) in least.items():
            if value is not None and not (np.isfinite(value) and value >= bound):
                raise ValueError(
                    f"{type(self).__name__}: {name}={value!r} must be finite and at least {bound:g}"
                )


class Noisy(Imperfection):
    """Noise on the answers: ``y (1 + multiplicative e1) + additive e2``, e normal.

    Parameters
    ----------
    device : Device
        Any device.
    additive : float
        Standard deviation, in the unit of the answers.
    multiplicative : float
        Standard deviation as a share of the answer.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        additive: float = 0.0,
        multiplicative: float = 0.0,
        *,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        self._at_least(additive=(additive, 0.0), multiplicative=(multiplicative, 0.0))
        self.additive, self.multiplicative = additive, multiplicative

    def _answers(self, answers: Array, drives: Array) -> Array:
        if self.multiplicative:
            answers = answers * (1 + self.multiplicative * self._normal(answers))
        if self.additive:
            answers = answers + self.additive * self._normal(answers)
        return answers


class Quantised(Imperfection):
    """Converters of finite resolution before and after the device.

    Drives are rounded to the 2**drive_bits levels between the limits of each input, answers to
    the 2**answer_bits levels between -full_scale (0 where `unipolar`) and full_scale; answers
    beyond full scale are clipped, as a converter does. Real and imaginary parts are converted
    apart.

    Parameters
    ----------
    device : Device
        Any device.
    drive_bits, answer_bits : int or None
        Resolution; None leaves that side alone.
    full_scale : float
        Largest answer that the converter takes; needed with `answer_bits`.
    unipolar : bool
        Whether the converter starts at zero, as a camera's does.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        drive_bits: int | None = None,
        answer_bits: int | None = None,
        full_scale: float | None = None,
        *,
        unipolar: bool = False,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        self._at_least(drive_bits=(drive_bits, 1), answer_bits=(answer_bits, 1))
        if answer_bits is not None and (full_scale is None or not full_scale > 0):
            raise ValueError(
                f"Quantised: answer_bits={answer_bits} needs full_scale above 0, not {full_scale!r}"
            )
        self.drive_bits, self.answer_bits = drive_bits, answer_bits
        self.full_scale, self.unipolar = full_scale, unipolar

    def _drives(self, drives: Array) -> Array:
        if self.drive_bits is None:
            return drives
        return _round(drives, *self.spec.limits, self.drive_bits)

    def _answers(self, answers: Array, drives: Array) -> Array:
        if self.answer_bits is None or self.full_scale is None:
            return answers
        low, high = 0.0 if self.unipolar else -self.full_scale, self.full_scale
        if answers.dtype.kind == "c":
            real = _round(answers.real, low, high, self.answer_bits)
            return real + 1j * _round(answers.imag, low, high, self.answer_bits)
        return _round(answers, low, high, self.answer_bits)


def _round(values: Array, low: Array | float, high: Array | float, bits: int) -> Array:
    last = 2**bits - 1
    step = (np.asarray(high) - low) / last
    level = np.round((values - low) / step)
    # The last level is the upper end itself, not a rounding error beside it.
    rounded: Array = np.clip(np.where(level == last, high, low + step * level), low, high)
    return rounded


class Saturating(Imperfection):
    """Answers that level off: ``level tanh(y / level)``, or hard clipping at `level`.

    Complex answers saturate in magnitude and keep their phase.

    Parameters
    ----------
    device : Device
        Any device.
    level : float
        Largest magnitude of an answer.
    hard : bool
        True clips (and leaves smaller answers alone); False is the smooth law.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        level: float,
        *,
        hard: bool = False,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        if not (np.isfinite(level) and level > 0):
            raise ValueError(f"Saturating: level={level!r} must be finite and above 0")
        self.level, self.hard = level, hard

    def _answers(self, answers: Array, drives: Array) -> Array:
        size = np.abs(answers)
        new = np.minimum(size, self.level) if self.hard else self.level * np.tanh(size / self.level)
        return answers * np.divide(new, size, out=np.ones_like(size), where=size > 0)


class Drifting(Imperfection):
    """A slow random walk of the gain of each output, in units of rows driven.

    The gain of output k is ``1 + d_k``, where the walk d_k has variance ``rate**2`` after each
    row; with ``relaxation`` it is pulled back, d -> d (1 - 1 / relaxation), and stays bounded
    with the standard deviation ``rate sqrt(relaxation / 2)`` (an Ornstein-Uhlenbeck process).

    Parameters
    ----------
    device : Device
        Any device.
    rate : float
        Standard deviation of one step, relative to the answer.
    relaxation : float or None
        Rows after which the walk forgets; None for a free walk.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        rate: float,
        relaxation: float | None = None,
        *,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        self._at_least(rate=(rate, 0.0), relaxation=(relaxation, 1.0))
        self.rate, self.relaxation = rate, relaxation
        self._walk = np.zeros(self.spec.n_outputs)

    def _answers(self, answers: Array, drives: Array) -> Array:
        gain = np.empty(answers.shape)
        keep = 1.0 if self.relaxation is None else 1.0 - 1.0 / self.relaxation
        for row, step in zip(gain, self._random.standard_normal(answers.shape), strict=True):
            self._walk = keep * self._walk + self.rate * step
            row[:] = 1.0 + self._walk
        return answers * gain
