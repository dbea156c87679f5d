"""Measure a drive once and remember its answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.errors import DeviceError
from devices.measurement import Flag, Measurement, Purpose
from devices.wrapper import Wrapper

__all__ = ["Cached"]


class Cached(Wrapper):
    """Answer a drive that was measured before from memory, at no query.

    The key is the drive, bit for bit, with the state of the device's programmable parameters. A
    cache freezes one draw of the noise, so only training rows are cached unless told otherwise;
    rows of every other purpose are measured afresh, and not kept. Rows from the cache carry
    `Flag.CACHED` and zero attempts. Within one call, too, equal rows are measured once.

    Parameters
    ----------
    device : Device
        Without memory.
    purposes : collection of str
        The purposes that may be served from the cache.
    max_rows : int
        The rows kept; beyond them the one used longest ago is forgotten.

    Raises
    ------
    ValueError
        If the device has memory, or `max_rows` is below 1.
    """

    def __init__(
        self,
        device: Device,
        purposes: Collection[str] = ("train",),
        max_rows: int = 100_000,
    ) -> None:
        super().__init__(device)
        if device.spec.memory:
            raise ValueError(
                f"{device.spec.name} has memory: an answer depends on the rows before it and "
                "cannot be cached"
            )
        if max_rows < 1:
            raise ValueError(f"Cached: max_rows={max_rows!r} must be at least 1")
        self.purposes = frozenset(purposes)
        self.max_rows = max_rows
        self._rows: OrderedDict[tuple[str, bytes], tuple[NDArray[Any], int]] = OrderedDict()

    def clear(self) -> None:
        """Forget everything, for instance because the device has drifted."""
        with self._lock:
            self._rows.clear()

    def _acquire(self, drives: NDArray[Any], purpose: Purpose) -> Measurement:
        return self._acquire_averaged(drives, purpose, 1)

    def _acquire_averaged(
        self, drives: NDArray[Any], purpose: Purpose, averages: int
    ) -> Measurement:
        # Averaging happens below the cache: above it, every repeat would be the first answer.
        if purpose not in self.purposes:
            return self.inner.acquire(drives, purpose=purpose, averages=averages)
        with self._lock:
            state = f"{self.state_id}/{averages}"
            keys = [(state, row.tobytes()) for row in drives + 0.0]  # + 0.0: one zero, not two
            first: dict[tuple[str, bytes], int] = {}
            for i, key in enumerate(keys):
                if key not in self._rows:
                    first.setdefault(key, i)
            new = list(first.values())
            try:
                fresh = self.inner.acquire(drives[new], purpose=purpose, averages=averages)
            except DeviceError as error:
                self._fail(error, keys, new)
                raise
            answers = {keys[i]: (fresh.outputs[k], int(fresh.flags[k])) for k, i in enumerate(new)}
            for key in keys:
                if key in self._rows:
                    self._rows.move_to_end(key)
            found = [answers.get(key) or self._rows[key] for key in keys]
            self._rows.update(answers)
            while len(self._rows) > self.max_rows:
                self._rows.popitem(last=False)
        flags = np.array([flag | Flag.CACHED for _, flag in found], np.uint8)
        flags[new] = fresh.flags
        attempts = np.zeros(len(drives), np.int64)
        attempts[new] = fresh.attempts
        outputs = np.empty((len(drives), self.spec.n_outputs), self.spec.output_dtype)
        for i, (answer, _) in enumerate(found):
            outputs[i] = answer
        return replace(fresh, outputs=outputs, flags=flags, attempts=attempts)

    def _fail(self, error: DeviceError, keys: list[tuple[str, bytes]], new: list[int]) -> None:
        """Restate what failed in rows of the call; the inner device was asked for fewer."""
        if error.failed_row is None:
            return
        failed = new[error.failed_row]
        if error.rows is not None:
            fresh = {keys[i]: row for i, row in zip(new, error.rows, strict=False)}
            rows = np.empty((failed, self.spec.n_outputs), self.spec.output_dtype)
            for row, key in zip(rows, keys, strict=False):
                row[:] = fresh[key] if key in fresh else self._rows[key][0]
            error.rows = rows
        error.failed_row = failed
