"""What came back from a device, with where it came from; and the count of what was spent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["PURPOSES", "Flag", "Ledger", "Measurement", "Purpose"]

#: What a query is spent on. Every row is counted under one of these.
Purpose = Literal["train", "validation", "test", "probe", "calibration", "control"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


class Flag(IntFlag):
    """What happened to one row, beside its being measured."""

    NONE = 0
    SATURATED = 1
    RETRIED = 2
    CLIPPED = 4
    RESYNCED = 8
    CACHED = 16


_DRIVEN = {name.lower(): flag for name, flag in Flag.__members__.items() if flag}
del _DRIVEN["cached"]  # such a row is not driven


@dataclass(frozen=True)
class Measurement:
    """The answer to one call of `Device.acquire`.

    Attributes
    ----------
    outputs : ndarray of shape (batch, n_outputs)
        The answers, in the device's `output_unit`.
    flags : ndarray of shape (batch,), uint8
        `Flag` bits of each row.
    attempts : ndarray of shape (batch,), int
        Tries of each row until it was measured; 0 for a row from a cache. A mean of several
        drives of a row counts them as one try, and each try in vain as one more.
    time_s : float
        When the call began, in seconds since 1970-01-01 UTC.
    duration_s : float
        Seconds spent in the device.
    purpose : str
        What the queries were spent on.
    device : str
        Name of the innermost device.
    state_id : str
        State of the programmable parameters ("" where there are none).
    calibration_id : str
        The calibration that the answers went through ("" for none).
    readings : mapping of str to float
        What the device's monitors read before the call: a temperature, a laser's power.
    """

    outputs: NDArray[Any]
    flags: NDArray[np.uint8]
    attempts: NDArray[np.int64]
    time_s: float
    duration_s: float
    purpose: Purpose
    device: str
    state_id: str = ""
    calibration_id: str = ""
    readings: Mapping[str, float] = field(default_factory=dict)

    def averaged(self, n: int) -> Measurement:
        """Return the mean over groups of `n` rows; flags add up, as do tries in vain."""
        rows = len(self.outputs) // n
        attempts = self.attempts.reshape(rows, n)
        in_vain = np.maximum(attempts - 1, 0).sum(axis=1)
        return replace(
            self,
            outputs=self.outputs.reshape(rows, n, self.outputs.shape[1]).mean(axis=1),
            flags=np.bitwise_or.reduce(self.flags.reshape(rows, n), axis=1),
            attempts=in_vain + (attempts > 0).any(axis=1),
        )


@dataclass
class Ledger:
    """What was spent on a device since it was made.

    Attributes
    ----------
    queries : Counter
        Rows driven and measured, by purpose.
    seconds : dict
        Seconds in the device, by purpose, failed attempts and settling included.
    retries : int
        Rows that had to be driven again; these are not queries.
    flags : Counter
        Rows driven, by what happened to them: ``saturated``, ``retried`` ...; a cached row is
        not driven.
    joules : float
        Energy of the device, where its spec states the power.
    conversion_joules : float
        Energy of its converters, where its spec states that of one number.
    """

    queries: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    retries: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    joules: float = 0.0
    conversion_joules: float = 0.0

    def flagged(self, flags: NDArray[np.uint8]) -> None:
        """Count what happened to rows that were driven, from their `Flag` bits."""
        for name, flag in _DRIVEN.items() if flags.any() else ():
            self.flags[name] += int(np.count_nonzero(flags & flag.value))

    @property
    def total(self) -> int:
        """All queries."""
        return sum(self.queries.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, every purpose named."""
        return {
            "queries": {p: self.queries[p] for p in PURPOSES} | {"total": self.total},
            "seconds": {p: self.seconds[p] for p in PURPOSES}
            | {"total": sum(self.seconds.values())},
            "retries": self.retries,
            "flags": {name: self.flags[name] for name in _DRIVEN},
            "joules": self.joules,
            "conversion_joules": self.conversion_joules,
        }
