"""Go on with a measurement that was broken off: recorded rows are answered, new ones measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from devices.averaged import Averaged
from devices.cached import Cached
from devices.device import Device
from devices.errors import DeviceError
from devices.hdf5 import RecordGroup, read_attributes, tables, valid_rows
from devices.imperfections import Imperfection
from devices.measurement import Measurement, Purpose
from devices.recorded import Recorded, count_from_start, joined
from devices.wrapper import Wrapper

__all__ = ["RecordMismatch", "Resumed", "is_resumed", "lay_out_rows", "resumable"]

Array = NDArray[Any]


class RecordMismatch(ValueError):
    """A row that is asked for is not the one that was recorded."""


class Resumed(Wrapper):
    """Answer the rows of a record in their order, then measure on.

    Whoever asks must ask for the same rows as the first time: each drive and its purpose are
    compared with the record, bit for bit. Rows that are answered count in the ledger as the
    queries that they were.

    Parameters
    ----------
    device : Device
        The device of that time within `Recorded`, which goes on with the record.
    group : RecordGroup
        The record, in a file that was re-opened.

    Raises
    ------
    RecordMismatch
        While measuring: if a row is another one than the recorded.

    Attributes
    ----------
    left : int
        Rows of the record that were not asked for yet.
    """

    def __init__(self, device: Device, group: RecordGroup) -> None:
        super().__init__(device)
        self._group = group.h5
        self._purposes = read_attributes(group.h5).get("purposes", [])
        self.left = valid_rows(group.h5) or 0
        self._next = 0
        self._times = 1  # queries for one recorded row
        inner = device
        while isinstance(inner, Wrapper):
            self._times *= inner.n if isinstance(inner, Averaged) else 1
            inner = inner.inner
        n_numbers = inner.spec.n_inputs + inner.spec.n_outputs
        self._conversion_joules = n_numbers * (inner.spec.conversion_joules or 0.0)

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        with self._lock:
            n = min(len(drives), self.left)
            if not n:
                return self.inner.acquire(drives, purpose=purpose)
            known = self._answer_again(drives[:n], purpose)
            if n == len(drives):
                return known
            try:
                new = self.inner.acquire(drives[n:], purpose=purpose)
            except DeviceError as error:
                count_from_start(error, [known.outputs])
                raise
            return joined([known, new])

    def _answer_again(self, drives: Array, purpose: Purpose) -> Measurement:
        rows = slice(self._next, self._next + len(drives))
        for i, why in self._changes(rows, drives, purpose).items():
            raise RecordMismatch(
                f"{self.spec.name}: row {self._next + i} of the record {self._group.name} {why}. "
                "What drives the device does not repeat itself, or the record was changed; "
                "nothing was measured. Begin a new run"
            )
        self._next, self.left = rows.stop, self.left - len(drives)
        attempts = self._group["attempts"][rows].astype(np.int64)
        measured = int(np.count_nonzero(attempts)) * self._times  # none for a row from a cache
        self.ledger.queries[purpose] += measured
        self.ledger.retries += int(np.maximum(attempts, 1).sum()) - len(attempts)
        self.ledger.conversion_joules += measured * self._conversion_joules
        flags = self._group["flags"][rows]
        self.ledger.flagged(flags[attempts > 0])
        return Measurement(
            outputs=self._group["answers"][rows],
            flags=flags,
            attempts=attempts,
            time_s=float(self._group["time"][rows.start]),
            duration_s=0.0,
            purpose=purpose,
            device=self.spec.name,
            state_id=self.state_id,
        )

    def _changes(self, rows: slice, drives: Array, purpose: Purpose) -> dict[int, str]:
        """Return what differs from the recorded rows: at most one row, and in what."""
        there = {name: self._group[name][rows] for name in ("drives", "purpose", "state")}
        was = [self._purposes[i] for i in there["purpose"]]
        ids = [bytes(one).decode() for one in self._group["state_id"]]
        states = [ids[i] if i >= 0 else "" for i in there["state"]]
        state = self.state_id
        for i in range(len(drives)):
            if not np.array_equal(there["drives"][i], drives[i]):
                apart = np.abs(there["drives"][i] - drives[i])
                return {i: f"is another drive: input {apart.argmax()} differs by {apart.max():.3g}"}
            if was[i] != purpose:
                return {i: f"was measured for {was[i]!r}, now it is asked for {purpose!r}"}
            if states[i] != state:
                return {i: "was measured with other parameters of the device"}
        return {}


def resumable(device: Device, group: RecordGroup) -> Device:
    """Return the device with a record of its rows, which answers those that are in it already.

    What is recorded is what cannot be had again. A cache, averages and imperfections around a
    bench can: the record stands below them, and they run again from their seeds. A device that
    is `Device.reproducible` is recorded as a whole, and from the start once more.

    Parameters
    ----------
    device : Device
        Closed, as its recipe builds it; wrappers around the record are changed.
    group : RecordGroup
        Of a new file or of one that was re-opened.
    """
    if _runs_again(device):
        device.inner = resumable(device.inner, group)
        return device
    recorded = Recorded(device, group)
    if valid_rows(group.h5) and not device.reproducible:
        return Resumed(recorded, group)
    for table in list(tables(group.h5)):
        replace(table, rows=0).cut()
    return recorded


def lay_out_rows(device: Device, group: RecordGroup) -> None:
    """Make the table that `resumable` will write, without opening the device."""
    while _runs_again(device):
        device = device.inner
    Recorded(device, group).lay_out()


def is_resumed(device: Device) -> bool:
    """Return whether there are rows that the device will answer from a record."""
    while isinstance(device, Wrapper):
        if isinstance(device, Resumed):
            return device.left > 0
        device = device.inner
    return False


def _runs_again(device: Device) -> TypeGuard[Wrapper]:
    return not device.reproducible and isinstance(device, (Averaged, Cached, Imperfection))
