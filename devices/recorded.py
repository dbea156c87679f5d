"""Keep every row that goes through a device in an HDF5 file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.errors import DeviceError
from devices.hdf5 import Column, RecordFile, RecordGroup, RowLog
from devices.measurement import PURPOSES, Measurement, Purpose
from devices.wrapper import Wrapper

__all__ = ["Recorded"]


class Recorded(Wrapper):
    """Record drives and answers with their time, purpose, attempts and flags.

    Parameters
    ----------
    device : Device
        Any device.
    target : path or RecordGroup
        The file to make when the device is opened, or a group of a file that is open already.
        A path with ``{n}`` in it is numbered, so that a device may be opened more than once.

    Notes
    -----
    The table has the dimension ``row``; the column ``purpose`` counts into the attribute
    ``purposes``. Rows measured before a failure are recorded as well. The file is closed as
    ``failed`` or ``interrupted`` if the last measurement was.
    """

    def __init__(self, device: Device, target: str | Path | RecordGroup) -> None:
        super().__init__(device)
        self._target = target
        self._file: RecordFile | None = None
        self._log: RowLog | None = None
        self._failure: BaseException | None = None  # how the last measurement ended

    def _open(self) -> None:
        group = self._target
        if not isinstance(group, RecordGroup):
            group = self._file = RecordFile(_numbered(group), kind="recording")
        if self._log is None or self._file is not None:
            spec = self.spec
            group.set(purposes=list(PURPOSES), device=spec.name, recipe=repr(self.inner))
            self._log = group.rows(
                {
                    "drives": Column(
                        dims={"input": spec.n_inputs}, unit=spec.input_unit, long_name="drive"
                    ),
                    "answers": Column(
                        dims={"output": spec.n_outputs},
                        dtype=spec.output_dtype,
                        unit=spec.output_unit,
                        long_name="answer",
                    ),
                    "time": Column(dims={}, unit="seconds since 1970-01-01T00:00:00Z"),
                    "purpose": Column(dims={}, dtype=np.uint8),
                    "attempts": Column(dims={}, dtype=np.uint16),
                    "flags": Column(dims={}, dtype=np.uint8),
                }
            )
        try:
            super()._open()
        except BaseException as error:
            if self._file is not None:
                self._file.close("failed", error)
                self._file = None
            raise

    def _close(self) -> None:
        try:
            if self._log is not None:
                self._log.flush()
            if self._file is not None:
                self._file.__exit__(None, self._failure, None)
        finally:
            self._file = self._failure = None
            super()._close()

    def _acquire(self, drives: NDArray[Any], purpose: Purpose) -> Measurement:
        with self._lock:
            now = time.time()
            try:
                result = self.inner.acquire(drives, purpose=purpose)
            except BaseException as error:
                self._failure = error
                if isinstance(error, DeviceError) and error.rows is not None and len(error.rows):
                    n = len(error.rows)
                    self._append(drives[:n], error.rows, now, purpose, np.ones(n), np.zeros(n))
                    if self._log is not None:
                        self._log.flush()
                raise
            self._failure = None
            self._append(
                drives, result.outputs, result.time_s, purpose, result.attempts, result.flags
            )
            return result

    def _append(
        self,
        drives: NDArray[Any],
        answers: NDArray[Any],
        time_s: float,
        purpose: Purpose,
        attempts: NDArray[Any],
        flags: NDArray[Any],
    ) -> None:
        if self._log is not None and len(drives):
            self._log.append(
                drives=drives,
                answers=answers,
                time=np.full(len(drives), time_s),
                purpose=np.full(len(drives), PURPOSES.index(purpose)),
                attempts=attempts,
                flags=flags,
            )


def _numbered(path: str | Path) -> Path:
    text = str(path)
    if "{n}" not in text:
        return Path(text)
    n = 0
    while Path(text.replace("{n}", str(n))).exists():
        n += 1
    return Path(text.replace("{n}", str(n)))
