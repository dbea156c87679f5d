"""Channels that are broken or leak: dead and stuck inputs and outputs, cross-talk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.errors import LimitError
from devices.imperfections import Imperfection

__all__ = ["CrossTalk", "DeadChannels"]

Array = NDArray[Any]


class DeadChannels(Imperfection):
    """Inputs that do not follow the drive and outputs that always answer the same.

    Parameters
    ----------
    device : Device
        Any device.
    outputs, inputs : int or sequence of int
        How many are dead, drawn from the seed; or which.
    output_value : float
        What a dead output answers.
    input_value : float or None
        Where a dead input is stuck, a legal drive; None: 0, or the lower limit where 0 is not
        legal.
    seed, ideal
        See `Imperfection`.

    Attributes
    ----------
    dead_outputs, dead_inputs : ndarray of int
        Which are dead, ascending.
    """

    def __init__(
        self,
        device: Device,
        outputs: int | Sequence[int] = 0,
        inputs: int | Sequence[int] = 0,
        *,
        output_value: float = 0.0,
        input_value: float | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        self.dead_outputs = self._which("outputs", outputs, self.spec.n_outputs)
        self.dead_inputs = self._which("inputs", inputs, self.spec.n_inputs)
        if not np.isfinite(output_value):
            raise ValueError(f"DeadChannels: output_value={output_value!r} must be finite")
        self.output_value = output_value
        low, high = self.spec.limits
        stuck = np.where((low <= 0) & (high >= 0), 0.0, low)
        if self.spec.domain == "bits":
            stuck = np.where(high == 0, high, low)  # a bit has no zero in between
        if input_value is not None:
            row = low.copy()
            row[self.dead_inputs] = stuck[self.dead_inputs] = input_value
            try:
                self.spec.check_drives(row[None])
            except LimitError as error:
                raise ValueError(
                    f"DeadChannels: input_value={input_value!r} must be a legal drive: {error}"
                ) from error
        self._stuck = stuck[self.dead_inputs]

    def _drives(self, drives: Array) -> Array:
        drives = drives.copy()
        drives[:, self.dead_inputs] = self._stuck
        return drives

    def _answers(self, answers: Array, drives: Array) -> Array:
        answers = answers.copy()
        answers[:, self.dead_outputs] = self.output_value
        return answers

    def _which(self, name: str, value: int | Sequence[int], n: int) -> NDArray[np.int64]:
        message = (
            f"DeadChannels: {name}={value!r} must be a whole number from 0 to {n}, or different "
            f"whole numbers from 0 to {n - 1}"
        )
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            if not 0 <= value <= n:
                raise ValueError(message)
            return np.sort(self._random.permutation(n)[:value])
        try:
            which = np.array(value, float).ravel()
        except (TypeError, ValueError):
            raise ValueError(message) from None
        inside = (which == np.round(which)) & (which >= 0) & (which < n)
        if not inside.all() or len(np.unique(which)) < len(which) or isinstance(value, bool):
            raise ValueError(message)
        return np.sort(which).astype(np.int64)


class CrossTalk(Imperfection):
    """Neighbouring channels leak into each other: ``y_k + s (y_(k-1) - y_k) + s (y_(k+1) - y_k)``.

    What a channel's neighbours gain, it loses, as with charge between pixels: a uniform row stays
    as it is, drives stay inside their limits, and the sum over the channels is kept. Inputs leak
    as shares of their own range.

    Parameters
    ----------
    device : Device
        Any device; with inputs that may take values in between if these leak.
    outputs, inputs : float
        The share s that goes to each neighbour, from 0 to 0.5.
    seed, ideal
        See `Imperfection`.
    """

    def __init__(
        self,
        device: Device,
        outputs: float = 0.0,
        inputs: float = 0.0,
        *,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, seed=seed, ideal=ideal)
        for name, value in (("outputs", outputs), ("inputs", inputs)):
            if not 0 <= value <= 0.5:
                raise ValueError(f"CrossTalk: {name}={value!r} must be from 0 to 0.5")
        if inputs and self.spec.domain in ("bits", "codes"):
            raise ValueError(
                f"CrossTalk: inputs={inputs!r} must be 0 for {self.spec.name}, whose inputs are "
                f"{self.spec.domain} with nothing in between"
            )
        self.outputs, self.inputs = outputs, inputs

    def _drives(self, drives: Array) -> Array:
        if not self.inputs:
            return drives
        low, high = self.spec.limits
        leaked = low + (high - low) * _leak((drives - low) / (high - low), self.inputs)
        clipped: Array = np.clip(leaked, low, high)  # rounding only
        return clipped

    def _answers(self, answers: Array, drives: Array) -> Array:
        return _leak(answers, self.outputs) if self.outputs else answers


def _leak(values: Array, share: float) -> Array:
    flow = share * np.diff(values, axis=1)
    mixed = values.astype(np.result_type(values, flow))
    mixed[:, :-1] += flow
    mixed[:, 1:] -= flow
    return mixed
