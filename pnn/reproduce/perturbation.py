"""A medium that is another one from a point of the training on, the same for every rule."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from devices import (
    Device,
    DeviceError,
    Differentiable,
    Jumping,
    Measurement,
    Purpose,
    differentiable_of,
)
from devices.checks import number

__all__ = ["DifferentiablePerturbed", "Perturbed", "perturbed"]

Array = NDArray[Any]


class Perturbed(Jumping):
    """`Jumping`, at a share of the training instead of a number of rows.

    Rules spend different numbers of rows, so the point of the jump is a share of the epochs of all
    layers, which whoever trains tells by `follow`, as `pnn compare` does. Rows under the purpose
    ``test`` are measured after the jump in any case.

    Parameters
    ----------
    device : Device
        Any device.
    share : float
        From 0 to 1; 1 is the end of the training.
    gain, mixing, seed, ideal
        See `Jumping`.

    Raises
    ------
    DeviceError
        If test rows are asked for, and nobody has told how far the training is.
    """

    def __init__(
        self,
        device: Device,
        share: float = 0.5,
        gain: float = 0.1,
        mixing: float = 0.1,
        *,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        super().__init__(device, 0, gain, mixing, seed=seed, ideal=ideal)
        self.share = number(type(self).__name__, "share", share, 0.0, 1.0)
        self._trained: float | None = None
        self._is_test = False

    def follow(self, share: float) -> None:
        """Take note that this share of the training is done."""
        self._trained = share

    @property
    def has_jumped(self) -> bool:
        """Whether the row that is asked for now meets the other medium."""
        return self._is_test or (self._trained or 0.0) >= self.share

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        with self._lock:
            self._is_test = purpose == "test"
            if self._is_test and self._trained is None:
                raise DeviceError(
                    f"{self.spec.name}: nobody has told how far the training is, so it would have "
                    "been trained without its perturbation; use it in `pnn compare`"
                )
            return super()._acquire(drives, purpose)

    def _answers(self, answers: Array, drives: Array) -> Array:
        jumped: Array = self._jumped(answers, self._factor) if self.has_jumped else answers
        return jumped


class DifferentiablePerturbed(Perturbed):
    """`Perturbed` around a simulator, whose derivatives jump with it."""

    def forward(self, drives: Any) -> Any:
        """Return the noiseless answers of the medium as it is now, differentiable by torch."""
        model = differentiable_of(self.inner)
        assert isinstance(model, Differentiable)
        answers = model.forward(drives)
        if self.ideal or not self.has_jumped:
            return answers
        return self._jumped(answers, torch.from_numpy(self._factor))


def perturbed(
    device: Device,
    share: float = 0.5,
    gain: float = 0.1,
    mixing: float = 0.1,
    *,
    seed: int = 0,
    ideal: bool = False,
) -> Perturbed:
    """Return a medium that becomes another one at a share of the training (see `Perturbed`)."""
    kind = Perturbed if differentiable_of(device) is None else DifferentiablePerturbed
    return kind(device, share, gain, mixing, seed=seed, ideal=ideal)
