"""The error tree of the black box: every failure of a device is a `DeviceError`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DamagedFile",
    "Desync",
    "DeviceError",
    "InUse",
    "InstrumentError",
    "LimitError",
    "LinkDown",
    "NotCalibrated",
    "ReplyTimeout",
    "SaturationError",
    "ShortTransfer",
]


class DamagedFile(OSError):
    """A record does not open: it was cut short, or a kill broke off a change in it."""

    @classmethod
    def because(cls, path: object, why: object) -> Self:
        """Return the error with what to do."""
        return cls(
            f"{path} is damaged and cannot be opened ({why}); `pnn log check` says what is wrong "
            "with it, `pnn log repair` makes a copy that can be opened"
        )


class DeviceError(RuntimeError):
    """A device could not do what was asked of it.

    Attributes
    ----------
    rows : ndarray of shape (measured, n_outputs) or None
        The rows of the call that were measured before the failure; None when the call
        failed before anything was driven.
    failed_row : int or None
        Index of the row that failed, in the drives of the call.
    """

    #: Whether the same row may be tried again within the device's bounded attempts.
    transient = False

    def __init__(
        self,
        message: str,
        *,
        rows: NDArray[Any] | None = None,
        failed_row: int | None = None,
    ) -> None:
        super().__init__(message)
        self.rows = None if rows is None else np.asarray(rows)
        self.failed_row = failed_row

    def __str__(self) -> str:
        if self.rows is None or self.failed_row is None:
            return super().__str__()
        return (
            f"{super().__str__()} (row {self.failed_row} failed; the {len(self.rows)} rows "
            "before it were measured and are kept in this error's `rows`)"
        )


class LimitError(DeviceError, ValueError):
    """A drive is illegal (shape, finiteness, range); raised before anything is driven."""


class LinkDown(DeviceError):
    """The connection to the instrument is lost or was never there."""

    transient = True


class InUse(LinkDown):
    """Another program, or another rig of this one, holds the rig."""

    transient = False


class ReplyTimeout(DeviceError):
    """The instrument did not answer in time."""

    transient = True


class ShortTransfer(DeviceError):
    """Fewer bytes or samples arrived than were announced."""

    transient = True


class Desync(DeviceError):
    """An answer belongs to another question than the one that was asked."""

    transient = True


class InstrumentError(DeviceError):
    """The instrument reports an error of its own.

    Attributes
    ----------
    code : int
        The instrument's error code.
    text : str
        The instrument's error text.
    """

    def __init__(self, code: int, text: str, **context: Any) -> None:
        super().__init__(f"instrument error {code}: {text}", **context)
        self.code = code
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.text), self.__dict__


class SaturationError(DeviceError):
    """The answer is at the end of the device's range where that is not acceptable."""


class NotCalibrated(DeviceError):
    """The operation needs a calibration that the device does not have."""
