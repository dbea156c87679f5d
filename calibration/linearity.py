"""Gain, compression point and usable range of a device that is swept over its range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.movement import must_move
from calibration.procedure import Procedure, quantity, rest_drive
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import number, whole

__all__ = ["Linearity", "LinearityResult", "drive_of", "transfer"]

Array = NDArray[Any]

#: Compression by 1 dB: the answer is this share of what the gain at rest would give.
ONE_DB = 10 ** (-1 / 20)
_DEGREE = 5


@dataclass(frozen=True, kw_only=True)
class LinearityResult:
    """Transfer of each output against the common drive of the swept inputs.

    Attributes
    ----------
    gain : ndarray of shape (n_outputs,)
        Slope at rest, output_unit per input_unit.
    gain_error : ndarray of shape (n_outputs,)
        Its standard error.
    offset : ndarray of shape (n_outputs,)
        Answer at rest, in output_unit.
    compression : ndarray of shape (n_outputs,)
        Distance of the drive from rest, in input_unit, from which on the answer is 1 dB or more
        below the gain at rest; nan if that is not reached, or the gain is not known: it must be
        three standard errors from 0, else there is no line to compare with, and the usable range,
        the dynamic range and the residual are nan, too.
    usable_low, usable_high : ndarray of shape (n_outputs,)
        Drives about rest between which the answer is within 1 dB of the gain at rest.
    dynamic_range_db : ndarray of shape (n_outputs,)
        From the noise of one answer to the largest usable answer, 20 lg.
    residual : ndarray of shape (n_outputs,)
        rms distance of the answers in the usable range from the straight line, as a share of
        the line's span.
    drives : ndarray of shape (levels,)
        In input_unit.
    answers : ndarray of shape (levels, n_outputs)
        Means, in output_unit.
    """

    gain: Array = field(metadata=quantity("output", unit="output/input"))
    gain_error: Array = field(metadata=quantity("output", unit="output/input", residual=True))
    offset: Array = field(metadata=quantity("output", unit="output"))
    compression: Array = field(metadata=quantity("output", unit="input"))
    usable_low: Array = field(metadata=quantity("output", unit="input"))
    usable_high: Array = field(metadata=quantity("output", unit="input"))
    dynamic_range_db: Array = field(metadata=quantity("output", unit="dB"))
    residual: Array = field(metadata=quantity("output", residual=True))
    drives: Array = field(metadata=quantity("level", unit="input"))
    answers: Array = field(metadata=quantity("level", "output", unit="output"))


@dataclass(frozen=True, kw_only=True)
class Linearity(Procedure[LinearityResult]):
    """Sweep inputs together from limit to limit, the others at rest.

    Parameters
    ----------
    inputs : int, sequence of int or None
        Which are swept; None: all. They must have the same limits.
    levels : int
        Drives between the limits, at equal distances.
    repeats : int
        How often each level is driven, in random order.
    seed : int
        Of the order.
    """

    kind: ClassVar[str] = "linearity"
    needs: ClassVar[tuple[str, ...]] = ("settling", "offset", "delay")
    inputs: int | Sequence[int] | None = None
    levels: int = 41
    repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        whole("Linearity", "levels", self.levels, 13)
        whole("Linearity", "repeats", self.repeats, 2)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse bits, phases, memory, and inputs that are unknown or of different limits."""
        no_memory("Linearity", spec)
        if spec.domain in ("bits", "phase"):
            raise ValueError(
                f"Linearity: {spec.name} has inputs of the domain {spec.domain!r}, which are not "
                "proportional to anything; a phase table suits phases"
            )
        chosen = self._inputs(spec)
        low, high = (np.unique(limit[chosen]) for limit in spec.limits)
        if len(low) > 1 or len(high) > 1:
            raise ValueError(
                f"Linearity: inputs={self.inputs!r} of {spec.name} have different limits; sweep "
                "them one by one"
            )

    def queries(self, spec: DeviceSpec) -> int:
        """Return levels times repeats."""
        return self.levels * self.repeats

    def _inputs(self, spec: DeviceSpec) -> list[int]:
        if self.inputs is None:
            return list(range(spec.n_inputs))
        chosen = np.atleast_1d(self.inputs).tolist()
        return [whole("Linearity", "inputs", i, 0, spec.n_inputs - 1) for i in chosen]

    def _run(self, device: Device) -> LinearityResult:
        spec, chosen = device.spec, self._inputs(device.spec)
        low, high = (limit[chosen[0]] for limit in spec.limits)
        levels = np.linspace(low, high, self.levels)
        if spec.domain == "codes":
            levels = np.unique(np.round(np.linspace(np.ceil(low), np.floor(high), self.levels)))
        rest = rest_drive(spec)
        drives = np.repeat(rest[None], len(levels), axis=0)
        drives[:, chosen] = levels[:, None]
        passes = measure_passes(device, drives, self.repeats, self.seed)
        return transfer(levels, passes, float(rest[chosen[0]]))


def transfer(levels: Array, passes: Array, rest: float = 0.0) -> LinearityResult:
    """Return gain, compression and usable range from a sweep.

    The gain is the slope at rest of the polynomial of degree 5 that fits the drives nearest to
    rest: as many of them as it explains within the noise (reduced chi squared at most two standard
    deviations above 1), all of them for a
    device without saturation. The compression point is where the answer, walking down from the
    largest drives, comes within 1 dB of the straight line for the first time.

    Parameters
    ----------
    levels : ndarray of shape (levels,)
        Drives, ascending.
    passes : ndarray of shape (passes, levels, n_outputs)
        Real answers to them; complex ones are swept apart in real and imaginary part.
    rest : float
        The drive at rest.

    Raises
    ------
    ValueError
        If the shapes do not fit, the levels do not ascend, the answers are complex, or none of
        them moves.
    """
    levels, passes = np.asarray(levels, float), np.asarray(passes)
    if passes.ndim != 3 or passes.shape[1] != len(levels) or len(passes) < 2 or len(levels) < 13:
        raise ValueError(
            f"transfer: passes has shape {passes.shape}, it must be (passes, {len(levels)}, "
            "n_outputs) with at least 2 passes and 13 levels"
        )
    if passes.dtype.kind == "c" or not (np.diff(levels) > 0).all():
        raise ValueError("transfer: the answers must be real and the levels ascend")
    must_move("transfer", passes)
    number("transfer", "rest", rest, float(levels[0]), float(levels[-1]))
    mean = passes.mean(axis=0)
    variance = np.var(passes, axis=0, ddof=1).mean(axis=0)
    x = levels - rest
    columns = [
        _one(x, y, v, len(passes)) for y, v in zip(mean.T, variance, strict=True)
    ]  # each: gain, error, offset, compression, low, high, range, residual
    gain, error, offset, compression, low, high, span_db, residual = np.array(columns).T
    return LinearityResult(
        gain=gain,
        gain_error=error,
        offset=offset,
        compression=compression,
        usable_low=rest + low,
        usable_high=rest + high,
        dynamic_range_db=span_db,
        residual=residual,
        drives=levels,
        answers=mean,
    )


def drive_of(answers: Array, drives: Array, curve: Array) -> Array:
    """Return the swept drives that give these answers: the inverse of the measured transfer.

    The curve is smoothed over seven levels (a local parabola, Savitzky and Golay 1964), so that
    the noise of the sweep hardly enters, and interpolated linearly. Answers beyond it get the drive
    at its end.

    Parameters
    ----------
    answers : ndarray of shape (rows, n_outputs)
    drives : ndarray of shape (levels,)
    curve : ndarray of shape (levels, n_outputs)
        `LinearityResult.drives` and `answers`.

    Raises
    ------
    ValueError
        If an output turns back by more than 5 % of its span: several drives give one answer.
    """
    from scipy.signal import savgol_filter

    smooth = savgol_filter(curve, 7, 2, axis=0)
    up = smooth[-1] >= smooth[0]
    rising = np.where(up, smooth, -smooth)
    level = np.maximum.accumulate(rising, axis=0)
    span = np.ptp(rising, axis=0)
    bad = (span == 0) | (np.max(level - rising, axis=0) > 0.05 * span)
    if bad.any():
        raise ValueError(
            f"the outputs {np.flatnonzero(bad).tolist()} do not rise or fall all "
            "the way with the drive; they cannot be made linear, leave them out"
        )
    signed = np.where(up, answers, -answers)
    found = np.empty(answers.shape)
    # Equal answers have no inverse; a hair's breadth apart, the first of them is meant.
    hair = 1e-12 * span * np.arange(len(level))[:, None]
    for k in range(answers.shape[1]):
        found[:, k] = np.interp(signed[:, k], level[:, k] + hair[:, k], drives)
    return found


def _one(x: Array, y: Array, variance: float, repeats: int) -> list[float]:
    """Evaluate one output; `x` counts from rest."""
    # Exact arithmetic has no noise: residuals at 1e-6 of the span are as good as none, and so is
    # what rounding makes of an answer that stays where it is.
    rounding = 1e-6 * np.ptp(y) + 1e-12 * np.abs(y).max()
    sigma = np.sqrt(variance / repeats + rounding**2) or 1.0
    gain, error, offset = _slope_at_rest(x, y, float(sigma))
    if not abs(gain) > 3 * error:
        return [gain, error, offset, *[np.nan] * 5]
    line = gain * x
    share = np.divide(y - offset, line, out=np.ones(len(x)), where=x != 0)
    ends, compression = [], np.nan
    for side in (x < 0, x > 0):
        r, s = np.abs(x[side]), share[side]
        order = np.argsort(r)
        r, s = r[order], s[order]
        inside = np.flatnonzero(s > ONE_DB)
        last = inside[-1] if len(inside) else -1
        if last < len(r) - 1:  # compressed from here up to the limit
            before, value = (r[last], s[last]) if last >= 0 else (0.0, 1.0)
            step = (value - ONE_DB) / (value - s[last + 1])
            point = before + step * (r[last + 1] - before)
            compression = np.nanmin([compression, point])
            ends.append(point)
        else:
            ends.append(r[-1] if len(r) else 0.0)
    low, high = -ends[0], ends[1]
    usable = (x >= low) & (x <= high)
    span = max(abs(gain * low), abs(gain * high))
    noise = np.sqrt(variance)
    with np.errstate(divide="ignore"):
        span_db = 20 * np.log10(span / noise) if noise > 0 and span > 0 else np.inf
    residual = np.sqrt(np.mean((y - offset - line)[usable] ** 2)) / span if span else np.nan
    return [gain, error, offset, float(compression), low, high, float(span_db), float(residual)]


def _slope_at_rest(x: Array, y: Array, sigma: float) -> tuple[float, float, float]:
    """Return slope, its error, and value at x = 0 of the widest polynomial that fits."""
    nearest = np.argsort(np.abs(x), kind="stable")
    for count in range(len(x), 2 * _DEGREE, -1):
        chosen = nearest[:count]
        scale = np.abs(x[chosen]).max()
        design = np.vander(x[chosen] / scale, _DEGREE + 1, increasing=True)
        fit, *_ = np.linalg.lstsq(design, y[chosen], rcond=None)
        chi = np.sum((y[chosen] - design @ fit) ** 2) / sigma**2 / (count - _DEGREE - 1)
        if chi < 1 + 2 * np.sqrt(2 / (count - _DEGREE - 1)) or count == 2 * _DEGREE + 1:
            break
    covariance = np.linalg.inv(design.T @ design) * sigma**2 * max(1.0, chi)
    return float(fit[1] / scale), float(np.sqrt(covariance[1, 1]) / scale), float(fit[0])
