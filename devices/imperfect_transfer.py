"""A transfer that does not stay what it was: a sudden jump, a slow drift common to all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.imperfections import Imperfection

__all__ = ["CommonMode", "Jumping"]

Array = NDArray[Any]


class Jumping(Imperfection):
    """From one row on, the transfer is another: somebody touched a cable or moved a fibre.

    After `after` rows the answers become ``(1 + gain e_k) (sqrt(1 - mixing^2) y_k + mixing y_j)``,
    with e_k normal and j another output, each output serving once. Both are drawn from the seed
    and then stay. Retries and repeats count as rows where they come through the wrapper.

    Parameters
    ----------
    device : Device
        Any device.
    after : int
        Rows before the jump.
    gain : float
        Standard deviation of the outputs' change of gain.
    mixing : float
        Share of the amplitude that comes from another output, from 0 to 1.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        after: int,
        gain: float = 0.1,
        mixing: float = 0.0,
        *,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        if isinstance(after, bool) or not isinstance(after, (int, np.integer)) or after < 0:
            raise ValueError(f"Jumping: after={after!r} must be a whole number of at least 0")
        self._at_least(gain=(gain, 0.0))
        if not 0 <= mixing <= 1:
            raise ValueError(f"Jumping: mixing={mixing!r} must be from 0 to 1")
        self.after, self.gain, self.mixing = after, gain, mixing
        n = self.spec.n_outputs
        self._factor = 1.0 + gain * self._random.standard_normal(n)
        order = self._random.permutation(n)
        self._other = np.empty(n, np.int64)
        self._other[order] = np.roll(order, 1)  # one ring through all: no output is its own
        self._rows = 0

    def _answers(self, answers: Array, drives: Array) -> Array:
        before = min(len(answers), max(0, self.after - self._rows))
        self._rows += len(answers)
        if before == len(answers):
            return answers
        return np.concatenate([answers[:before], self._jumped(answers[before:], self._factor)])

    def _jumped(self, answers: Any, factor: Any) -> Any:
        """Return what answers, an array or a tensor as `factor` is, are after the jump."""
        mixed = math.sqrt(1 - self.mixing**2) * answers + self.mixing * answers[:, self._other]
        return factor * mixed


class CommonMode(Imperfection):
    """A slow change that all outputs share, as of the temperature: ``y (1 + gain T) + offset T``.

    T starts at 0, where the bench was calibrated, and wanders with each row as an
    Ornstein-Uhlenbeck process of standard deviation 1 that forgets in `relaxation` rows:
    ``T -> r T + sqrt(1 - r^2) e`` with ``r = exp(-1 / relaxation)``.

    Parameters
    ----------
    device : Device
        Any device.
    gain : float
        Standard deviation of the common factor.
    offset : float
        Standard deviation of the common offset, in the unit of the answers.
    relaxation : float
        In rows, at least 1.
    seed, ideal
        See `Imperfection`.

    Attributes
    ----------
    temperature : float
        T of the last row.
    """

    def __init__(
        self,
        device: Device,
        gain: float = 0.0,
        offset: float = 0.0,
        relaxation: float = 1000.0,
        *,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        self._at_least(gain=(gain, 0.0), offset=(offset, 0.0), relaxation=(relaxation, 1.0))
        self.gain, self.offset, self.relaxation = gain, offset, relaxation
        self.temperature = 0.0

    def _answers(self, answers: Array, drives: Array) -> Array:
        keep = math.exp(-1 / self.relaxation)
        steps = math.sqrt(1 - keep**2) * self._random.standard_normal(len(answers))
        course = np.empty((len(answers), 1))
        for row, step in enumerate(steps):
            self.temperature = keep * self.temperature + float(step)
            course[row] = self.temperature
        return answers * (1 + self.gain * course) + self.offset * course
