"""What a device is: its widths, its limits, its units, its speed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from devices.errors import LimitError

__all__ = ["DeviceSpec", "Domain"]

#: What one input of the device is. It decides which encoder is the natural one.
Domain = Literal["amplitude", "phase", "bits", "tones", "codes"]


@dataclass(frozen=True, kw_only=True)
class DeviceSpec:
    """The public face of a black box.

    Parameters
    ----------
    name : str
        What messages and records call the device.
    n_inputs, n_outputs : int
        Width of one drive and of one answer.
    low, high : float or tuple of n_inputs floats
        Legal range of the inputs, ends included, in `input_unit`.
    domain : {"amplitude", "phase", "bits", "tones", "codes"}
        What an input is. ``bits`` may only be `low` or `high`; ``codes`` must be whole numbers.
    input_unit, output_unit : str
        SI units ("V", "rad", "1" for none).
    output_dtype : str
        NumPy name of the answers' type; ``complex128`` for a device that answers with phase.
    seconds_per_query : float
        How long one row takes, as far as known; used for estimates only (0: not known).
    watts : float or None
        Electrical power while measuring; joules are counted where it is given.
    conversion_joules : float or None
        Energy of converting one number of a drive or an answer, where it is known.
    max_batch : int or None
        Longest batch that the device takes in one go; longer ones are split.
    settle_s : float
        Wait between driving a row and measuring it, in seconds.
    attempts : int
        How often one row is tried before its (transient) failure is raised.
    saturation : float or None
        An answer of this magnitude or more is flagged as saturated.
    memory : bool
        True if an answer depends on earlier rows; caching, shuffling and retries refuse it.

    Raises
    ------
    ValueError
        If a field is out of its range; the message names the field and the value.
    """

    name: str
    n_inputs: int
    n_outputs: int
    low: float | tuple[float, ...] = 0.0
    high: float | tuple[float, ...] = 1.0
    domain: Domain = "amplitude"
    input_unit: str = "1"
    output_unit: str = "1"
    output_dtype: str = "float64"
    seconds_per_query: float = 0.0
    watts: float | None = None
    conversion_joules: float | None = None
    max_batch: int | None = None
    settle_s: float = 0.0
    attempts: int = 1
    saturation: float | None = None
    memory: bool = False

    def __post_init__(self) -> None:
        for field, least in (("n_inputs", 1), ("n_outputs", 1), ("attempts", 1)):
            _whole(self.name, field, getattr(self, field), least)
        if self.max_batch is not None:
            _whole(self.name, "max_batch", self.max_batch, 1)
        if self.domain not in get_args(Domain):
            raise ValueError(
                f"{self.name}: domain={self.domain!r} is not one of {', '.join(get_args(Domain))}"
            )
        for field in ("seconds_per_query", "settle_s", "watts", "conversion_joules", "saturation"):
            value = getattr(self, field)
            if value is not None and not (
                isinstance(value, (int, float, np.number)) and math.isfinite(value) and value >= 0
            ):
                raise ValueError(f"{self.name}: {field}={value!r} must be finite and at least 0")
        for field in ("low", "high"):
            value = _floats(self.name, field, getattr(self, field))
            object.__setattr__(self, field, value)
            shape = np.shape(value)
            if shape not in ((), (self.n_inputs,)):
                raise ValueError(
                    f"{self.name}: {field} has shape {shape}; give one number or one for each "
                    f"of the {self.n_inputs} inputs"
                )
        low, high = self.limits
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise ValueError(
                f"{self.name}: the input limits low={self.low!r}, high={self.high!r} must be "
                "finite, with low below high"
            )
        _floating(self.name, self.output_dtype)
        if self.memory and self.attempts > 1:
            raise ValueError(
                f"{self.name}: attempts={self.attempts} with memory=True: a row of a device with "
                "memory cannot be tried again, set attempts=1"
            )

    @property
    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest legal value of each input, two arrays of shape (n_inputs,)."""
        return (
            np.broadcast_to(np.asarray(self.low, float), (self.n_inputs,)),
            np.broadcast_to(np.asarray(self.high, float), (self.n_inputs,)),
        )

    @property
    def is_complex(self) -> bool:
        """Whether answers are complex."""
        return np.dtype(self.output_dtype).kind == "c"

    def check_drives(self, drives: Any) -> NDArray[np.float64]:
        """Return `drives` as a legal float array of shape (batch, n_inputs), or raise.

        Raises
        ------
        LimitError
            If the drives are not real numbers, have another width, are not finite, or leave the
            limits. The message names the row, the input, the value and the range.
        """
        try:
            rows = np.asarray(drives)
            if rows.dtype.kind not in "biufO":
                raise TypeError(f"they are {rows.dtype}")
            rows = rows.astype(np.float64, copy=False)
        except (TypeError, ValueError, OverflowError) as error:
            raise LimitError(f"{self.name}: the drives are not real numbers: {error}") from error
        if rows.ndim != 2 or rows.shape[1] != self.n_inputs:
            hint = "; for a single row pass drives[None, :]" if rows.ndim == 1 else ""
            raise LimitError(
                f"{self.name}: the drives have shape {rows.shape}, expected "
                f"(batch, {self.n_inputs}){hint}"
            )
        low, high = self.limits
        # One comparison catches NaN and both infinities as well: they are inside no range.
        bad = ~((rows >= low) & (rows <= high))
        what = f"outside [{{low}}, {{high}}] {self.input_unit}".removesuffix(" 1")
        if not bad.any() and self.domain == "bits":
            bad, what = (rows != low) & (rows != high), "neither {low} nor {high}"
        elif not bad.any() and self.domain == "codes":
            bad, what = rows != np.round(rows), "not a whole number"
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            value = rows[row, column]
            if not np.isfinite(value):
                what = "not finite"
            what = what.format(low=_short(low[column]), high=_short(high[column]))
            raise LimitError(
                f"{self.name}: drive {_short(value)} at row {row}, input {column} is {what}; "
                "nothing was driven. Scale the drives into the limits (an encoder does) or change "
                "the device's limits.",
                failed_row=row,
            )
        return rows


def _short(value: float) -> str:
    """Six digits where these are exact, else all: 1.000000001 must not read 1."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(float(value))


def _floating(name: str, dtype: Any) -> None:
    try:
        if np.dtype(dtype).kind in "fc":
            return
    except TypeError:
        pass
    raise ValueError(
        f"{name}: output_dtype={dtype!r} must name a floating or complex type, such as float32 "
        "or complex128; whole numbers are converted"
    )


def _floats(name: str, field: str, value: Any) -> float | tuple[float, ...]:
    try:
        return float(value) if np.ndim(value) == 0 else tuple(float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {field}={value!r} must be a number or numbers") from error


def _whole(name: str, field: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}: {field}={value!r} must be a whole number of at least {least}")
