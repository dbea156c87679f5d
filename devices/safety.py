"""The laboratory's limits, checked on complete waveforms before anything is sent."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from types import FrameType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of
from devices.errors import InstrumentError, LimitError

__all__ = ["LabLimits", "all_off", "exit_on_sigterm"]

Array = NDArray[Any]
_log = logging.getLogger("devices.safety")
_ROUNDING = 1 + 1e-9  # a value that was meant to be the limit is not beyond it


@dataclass(frozen=True, kw_only=True)
class LabLimits:
    """What the transducers and the laboratory bear; stricter than what the instruments can do.

    All volts are those at the transducer: the waveform times `amplifier_gain`. None is no limit.

    Parameters
    ----------
    peak_v : float or None
        Largest magnitude of a sample.
    slew_v_per_s : float or None
        Fastest change, from rest to the first sample and from the last to rest included.
    rms_v : float or None
        Root mean square over the waveform, for the heat.
    dc_v : float or None
        Largest magnitude of the mean.
    duty : float or None
        Largest share of samples whose magnitude is above `duty_above_v`.
    duty_above_v : float
        What counts as driven, for `duty`.
    sum_v : float or None
        Largest sum of the magnitudes over all channels at one time, for a shared supply.
    amplifier_gain : float
        Volts at the transducer per volt of the generator.
    power_dbm : float or None
        Highest power of a network analyser; checked when a rig is made.
    mode : {"error", "clip"}
        What happens to samples beyond `peak_v`: the row is refused, or the samples are clipped
        and the row is flagged as clipped. All other limits always refuse.

    Raises
    ------
    ValueError
        If a limit is not a number above 0, or a share above 1.

    Examples
    --------
    >>> import numpy as np
    >>> limits = LabLimits(peak_v=1.0)
    >>> volts, clipped = limits.applied(np.full((1, 1, 4), 0.5), 1e-3)
    >>> limits.applied(np.full((1, 1, 4), 1.5), 1e-3)
    Traceback (most recent call last):
    devices.errors.LimitError: channel 0, sample 0: 1.5 V is beyond peak_v = 1 V; nothing was sent
    """

    peak_v: float | None = None
    slew_v_per_s: float | None = None
    rms_v: float | None = None
    dc_v: float | None = None
    duty: float | None = None
    duty_above_v: float = 0.0
    sum_v: float | None = None
    amplifier_gain: float = 1.0
    power_dbm: float | None = None
    mode: Literal["error", "clip"] = "error"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "mode":
                one_of("limits", "mode", value, ("error", "clip"))
            elif field.name == "duty_above_v":
                number("limits", "duty_above_v", value, 0.0)
            elif field.name == "power_dbm":
                if value is not None:
                    number("limits", "power_dbm", value, -200, 100)
            elif value is not None:
                high = 1.0 if field.name == "duty" else np.inf
                number("limits", field.name, value, 0.0, high, above=True)
        if self.mode == "clip" and self.peak_v is None:
            raise ValueError("limits: mode='clip' needs peak_v, the value to clip at")

    def applied(
        self, volts: Array, step_s: float, before: Array | None = None, *, to_rest: bool = True
    ) -> tuple[Array, NDArray[np.int64]]:
        """Check complete waveforms and return what may be sent.

        Parameters
        ----------
        volts : ndarray of shape (n_rows, n_channels, n_samples)
            At the generator.
        step_s : float
            Time between samples.
        before : ndarray of shape (n_channels,), optional
            Volts before the first sample; 0 where not given.
        to_rest : bool
            Whether every waveform ends at rest, so that the way there is checked as well.

        Returns
        -------
        volts : ndarray
            The same, or clipped.
        clipped : ndarray of shape (n_rows,)
            How many samples were clipped, in each row.

        Raises
        ------
        LimitError
            With channel, sample, value and limit in the message, and the row in ``failed_row``.
        """
        there = np.asarray(volts, float) * self.amplifier_gain
        if not np.isfinite(there).all():
            self._refuse("a value that is not finite", ~np.isfinite(there), there, "", np.nan)
        clipped = np.zeros(len(there), np.int64)
        if self.peak_v is not None:
            beyond = np.abs(there) > self.peak_v * _ROUNDING
            if self.mode == "clip":
                clipped = beyond.sum(axis=(1, 2))
                if clipped.any():
                    there = np.clip(there, -self.peak_v, self.peak_v)
            else:
                self._refuse("peak_v", beyond, there, "V", self.peak_v)
        if self.sum_v is not None:
            sums = np.abs(there).sum(axis=1, keepdims=True)
            self._refuse("sum_v", sums > self.sum_v * _ROUNDING, sums, "V", self.sum_v, "all")
        if self.slew_v_per_s is not None:
            self._check_slew(there, step_s, before, to_rest)
        means: dict[str, Callable[[], Array]] = {
            "rms_v": lambda: np.sqrt((there**2).mean(axis=2, keepdims=True)),
            "dc_v": lambda: np.abs(there.mean(axis=2, keepdims=True)),
            "duty": lambda: (np.abs(there) > self.duty_above_v).mean(axis=2, keepdims=True),
        }
        for name, mean in means.items():
            if (limit := getattr(self, name)) is not None:
                found, unit = mean(), "" if name == "duty" else "V"
                self._refuse(name, found > limit * _ROUNDING, found, unit, limit, sample=False)
        return (there / self.amplifier_gain if clipped.any() else np.asarray(volts)), clipped

    def _check_slew(self, there: Array, step_s: float, before: Array | None, to_rest: bool) -> None:
        assert self.slew_v_per_s is not None
        first = np.zeros((*there.shape[:2], 1))
        if before is not None:
            first[..., 0] = np.asarray(before) * self.amplifier_gain
        last = [np.zeros_like(first)] if to_rest else []
        slews = np.abs(np.diff(np.concatenate([first, there, *last], axis=2), axis=2)) / step_s
        self._refuse(
            "slew_v_per_s", slews > self.slew_v_per_s * _ROUNDING, slews, "V/s", self.slew_v_per_s
        )

    @staticmethod
    def _refuse(
        what: str,
        bad: NDArray[np.bool_],
        values: Array,
        unit: str,
        limit: float,
        channel: str = "",
        *,
        sample: bool = True,
    ) -> None:
        if not bad.any():
            return
        row, column, at = (int(i) for i in np.argwhere(bad)[0])
        where = f"channel {channel or column}" + (f", sample {at}" if sample else "")
        bound = f"{what} = {limit:g} {unit}".rstrip() if np.isfinite(limit) else what
        raise LimitError(
            f"{where}: {values[row, column, at]:.6g} {unit}".rstrip()
            + f" is beyond {bound}; nothing was sent",
            failed_row=row,
        )


def all_off(
    instruments: Iterable[tuple[str, Any]] | Mapping[str, Any], which: str = "off"
) -> list[tuple[str, Exception | None]]:
    """Bring every instrument to `off` (or `hold`), the last one first.

    One that fails does not stop the others; each is logged.

    Returns
    -------
    list of (name, error or None)
        In the order in which it was done.
    """
    pairs = list(instruments.items() if isinstance(instruments, Mapping) else instruments)
    done: list[tuple[str, Exception | None]] = []
    for name, instrument in reversed(pairs):
        error = _tried(getattr(instrument, which))
        if error is None:
            _log.info("%s: %s", name, which)
        else:
            _log.error("%s: %s failed: %s", name, which, error)
        done.append((name, error))
    return done


def _tried(act: Callable[[], object]) -> Exception | None:
    """Do it, once more after a refusal: an error queue may speak of what went before."""
    failure: Exception | None = None
    for _ in range(2):
        try:
            act()
        except InstrumentError as error:
            failure = error
        except Exception as error:
            return error
        else:
            return None
    return failure


def exit_on_sigterm() -> None:
    """Make SIGTERM end the program as Ctrl-C does, by way of every ``finally`` and `safe`.

    Does nothing outside of the main thread, or where the program has a handler of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
