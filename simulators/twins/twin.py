"""A fitted law as a device: it answers as the recorded device did."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceSpec, LimitError
from devices.checks import flag, one_of, whole
from simulators._arrays import complex_of
from simulators._tensors import differentiable
from simulators.twins.laws import Law
from simulators.twins.range import OutsideRangeWarning, Range

__all__ = ["Twin", "TwinModel"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class TwinModel:
    """What a twin file holds.

    Parameters
    ----------
    law : Law
        From drives to channels: the answers, or their real parts and then their imaginary parts.
    spec : DeviceSpec
        Name, limits, units and type of the device that was recorded.
    range : Range
        Of the drives that were seen.
    spread : ndarray of shape (channels,)
        Standard deviation of the noise that a twin may add.
    report : mapping
        How good the law is; see `pnn.twin`.
    """

    law: Law
    spec: DeviceSpec
    range: Range
    spread: Array
    report: Mapping[str, Any] = field(default_factory=dict)


class Twin(Device):
    """A stand-in for a recorded device: a law that `pnn twin fit` found in its answers.

    Parameters
    ----------
    path : path or TwinModel
        A file of `pnn twin fit`, or what is in such a file.
    outside : {"warn", "refuse", "allow"}
        What to do about drives outside the range that was seen (see `Range`): an
        `OutsideRangeWarning` for each call, a `LimitError` before anything is answered, nothing.
    noise : bool
        Whether to add normal noise to what is measured, as strong as that of the recorded
        device (where the recording has repeats), or as what the law misses.
    seed : int
        Of the noise.

    Attributes
    ----------
    model : TwinModel
    multiply_adds : int
        Of one row.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the file is no twin.
    FileNotFoundError
        If there is no such file.

    Notes
    -----
    Computed in double precision. The twin is `devices.Differentiable`.

    Examples
    --------
    >>> import numpy as np
    >>> from simulators.twins.laws import Affine
    >>> drives = np.random.default_rng(0).random((50, 2))
    >>> model = TwinModel(
    ...     law=Affine(np.ones((1, 2)), np.zeros(1)),
    ...     spec=DeviceSpec(name="sum", n_inputs=2, n_outputs=1),
    ...     range=Range.of(drives),
    ...     spread=np.zeros(1),
    ... )
    >>> with Twin(model) as twin:
    ...     twin.measure([[0.5, 0.25]])
    array([[0.75]])
    """

    reproducible = True

    def __init__(
        self,
        path: str | Path | TwinModel,
        *,
        outside: Literal["warn", "refuse", "allow"] = "warn",
        noise: bool = False,
        seed: int = 0,
    ) -> None:
        from simulators.twins.twin_file import read_twin

        me = type(self).__name__
        self.model = path if isinstance(path, TwinModel) else read_twin(path)
        self.spec = self.model.spec
        self._outside = one_of(me, "outside", outside, ("warn", "refuse", "allow"))
        self._noise = flag(me, "noise", noise)
        self._random = np.random.default_rng(whole(me, "seed", seed, 0))
        self.multiply_adds = self.model.law.multiply_adds

    def forward(self, drives: Any) -> Any:
        """Return the noiseless answers to a torch tensor of drives, differentiable by torch.

        Parameters
        ----------
        drives : torch.Tensor of shape (batch, n_inputs)
            Not checked against the limits, but against the range that was seen.

        Returns
        -------
        torch.Tensor of shape (batch, n_outputs)
            float64, or complex128.

        Raises
        ------
        ValueError
            If `drives` is no such tensor.
        LimitError
            If a drive is outside the range, with ``outside="refuse"``.
        """
        import torch

        drives = differentiable(self.spec.name, "drives", drives, self.spec.n_inputs, 2)
        if self._outside != "allow":
            self._watch(drives.detach().cpu().numpy())
        channels = self.model.law(drives)
        if not self.spec.is_complex:
            return channels
        n = self.spec.n_outputs
        return torch.complex(channels[:, :n], channels[:, n:])

    # -- hook ----------------------------------------------------------------------------------

    def _measure(self, drives: Array) -> Array:
        if self._outside != "allow":
            self._watch(drives)
        channels = self.model.law(drives)
        if self._noise:
            channels = channels + self.model.spread * self._random.standard_normal(channels.shape)
        n = self.spec.n_outputs
        return complex_of(channels[:, :n], channels[:, n:]) if self.spec.is_complex else channels

    def _watch(self, drives: Array) -> None:
        """Warn of drives outside the range, or refuse them."""
        bad, why = self.model.range.outside(drives)
        if not bad.any():
            return
        row = int(np.argmax(bad))
        text = (
            f"{self.spec.name}: {bad.sum()} of {len(bad)} drives are outside the range that it "
            f"was fitted on; row {row}: {why}"
        )
        if self._outside == "refuse":
            raise LimitError(
                f"{text}. Drive it as the recorded device was, fit a twin to a recording that "
                "has such drives, or open it with outside='warn'",
                failed_row=row,
            )
        warnings.warn(f"{text}. Its answers there are a guess", OutsideRangeWarning, stacklevel=2)
