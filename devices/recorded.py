"""Keep every row that goes through a device in an HDF5 file."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.errors import DeviceError
from devices.hdf5 import RecordFile, RecordGroup
from devices.measurement import Measurement, Purpose
from devices.recorded_table import RecordTable
from devices.wrapper import Wrapper

__all__ = ["Recorded"]

Array = NDArray[Any]

# A call is measured in parts of this length, so that its rows reach the disk as it goes on.
_PART_SECONDS = 0.2
_FIRST_ROWS = 16  # the first part, of a device that does not say how fast it is
_WHOLE_ROWS = 256  # every part, of a device that takes whole batches and does not say it either


class Recorded(Wrapper):
    """Record drives and answers with their time, purpose, attempts, flags and origin.

    Parameters
    ----------
    device : Device
        Any device.
    target : path or RecordGroup
        The file to make when the device is opened, or a group of a file that is open already.
        A path with ``{n}`` in it is numbered, so that a device may be opened more than once.
    live : bool
        Of a path: whether other programs are to read the file while it grows; see `RecordFile`.

    Notes
    -----
    The table has the dimension ``row``; its columns are described in the page on record files.
    A long call is measured in parts of about a fifth of a second, so that a call that is broken off
    leaves its rows in the file; the caller sees one call. That of a reproducible device, a
    simulator, stays whole. Rows measured before a failure are recorded as well. The file is closed
    as ``failed`` or ``interrupted`` if the last measurement was.
    """

    def __init__(
        self, device: Device, target: str | Path | RecordGroup, *, live: bool = False
    ) -> None:
        super().__init__(device)
        self._target, self._live = target, live
        self._file: RecordFile | None = None
        self._table: RecordTable | None = None
        self._failure: BaseException | None = None  # how the last measurement ended
        self._pace = 0.0  # seconds for a row, as measured

    def lay_out(self) -> RecordTable:
        """Make the table in the group that was given, ahead of opening the device.

        Done on opening otherwise, and then for a path, too. A table that is there goes on.
        """
        if self._table is None:
            group = self._file if self._file is not None else self._target
            if not isinstance(group, RecordGroup):
                raise DeviceError(f"{self.spec.name}: the record {group} is made on opening")
            self._table = RecordTable(group, self.inner)
        return self._table

    def _open(self) -> None:
        try:
            if not isinstance(self._target, RecordGroup):
                self._file = RecordFile(_numbered(self._target), kind="recording", live=self._live)
                self._table = None
            table = self.lay_out()
            super()._open()
            try:
                table.note_instruments()
            except BaseException:
                super()._close()
                raise
        except BaseException as error:
            if self._file is not None:
                self._file.close("failed", error)
                self._file = None
            raise

    def _close(self) -> None:
        try:
            if self._table is not None:
                self._table.flush()
            if self._file is not None:
                self._file.__exit__(None, self._failure, None)
        finally:
            self._file = self._failure = None
            super()._close()

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        with self._lock:
            parts: list[Measurement] = []
            done = 0
            if len(drives) > self._part():  # all or nothing, as without parts
                self._check_whole(drives)
            while done < len(drives) or not parts:
                rows = drives[done : done + int(min(self._part(), len(drives)))]
                try:
                    parts.append(self._recorded(rows, purpose))
                except BaseException as error:
                    self._failure = error
                    if done and isinstance(error, DeviceError):
                        count_from_start(error, [part.outputs for part in parts])
                    raise
                self._failure = None
                done += len(rows)
            return joined(parts)

    def _recorded(self, drives: Array, purpose: Purpose) -> Measurement:
        """Measure one part and record it."""
        table = self.lay_out()
        table.make_room(len(drives))
        now, monotonic = time.time(), time.monotonic()
        try:
            measured = self.inner.acquire(drives, purpose=purpose)
        except BaseException as error:
            if isinstance(error, DeviceError) and error.rows is not None and len(error.rows):
                n = len(error.rows)
                kept = Measurement(
                    error.rows,
                    np.zeros(n, np.uint8),
                    np.ones(n, np.int64),
                    now,
                    time.monotonic() - monotonic,
                    purpose,
                    self.spec.name,
                    self.state_id,
                )
                table.append(drives[:n], kept, monotonic)
            table.flush()
            raise
        if len(drives):
            self._pace = (time.monotonic() - monotonic) / len(drives)
            table.append(drives, measured, monotonic)
        return measured

    def _part(self) -> float:
        """Return how many rows are measured in one go.

        The call of a device that is reproducible stays whole: its rows can be had again, and where
        noise is drawn for a whole call, parts would change which row gets which number.
        """
        if self.reproducible:
            return math.inf
        batch, pace = self.spec.max_batch, self.spec.seconds_per_query
        if batch is None:  # the last bits may depend on the batch, so time must not choose it
            return max(1, int(_PART_SECONDS / pace)) if pace else _WHOLE_ROWS
        pace = max(pace, self._pace)
        rows = _PART_SECONDS / pace if pace else _FIRST_ROWS
        return batch * max(1, int(min(rows, 2**31) / batch))

    def _check_whole(self, drives: Array) -> None:
        """Have the laboratory's limits checked for all rows before the first part is driven."""
        device = self.inner
        while isinstance(device, Wrapper) and type(device)._drives is Wrapper._drives:
            device = device.inner
        if callable(check := getattr(device, "_check", None)):
            check(drives)


def joined(parts: list[Measurement]) -> Measurement:
    """Return the measurement of a whole call from those of its parts."""
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        outputs=np.concatenate([part.outputs for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        attempts=np.concatenate([part.attempts for part in parts]),
        duration_s=sum(part.duration_s for part in parts),
    )


def count_from_start(error: DeviceError, before: list[Array]) -> None:
    """Let a part's error speak of the whole call."""
    own = [] if error.rows is None else [error.rows]
    done = sum(map(len, before))
    if error.failed_row is None:
        error.failed_row = sum(map(len, own))
    error.failed_row += done
    error.rows = np.concatenate([*before, *own])


def _numbered(path: str | Path) -> Path:
    text = str(path)
    if "{n}" not in text:
        return Path(text)
    n = 0
    while Path(text.replace("{n}", str(n))).exists():
        n += 1
    return Path(text.replace("{n}", str(n)))
