"""The table that `Recorded` writes: its columns, and the ids that its rows point to."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.device import Device
from devices.hdf5 import Column, RecordGroup
from devices.measurement import PURPOSES, Flag, Measurement
from devices.recorded_rows import write_spec
from devices.row_context import ROW_FIELDS, row_fields
from devices.spec import DeviceSpec
from devices.wrapper import Wrapper

__all__ = ["RecordTable"]

_log = logging.getLogger("devices.recorded")
_ID_BYTES = 128
_INSTRUMENTS_BYTES = 16_000


class RecordTable:
    """The rows of one device in a group of a record file.

    Parameters
    ----------
    group : RecordGroup
        Where it is written; a table that is there goes on, and nothing else is written.
    device : Device
        The recorded device; it need not be open.
    extra : mapping of str to Column, optional
        Further columns, which `append` is given.
    """

    def __init__(
        self, group: RecordGroup, device: Device, extra: Mapping[str, Column] | None = None
    ) -> None:
        self._group = group
        innermost = device
        while isinstance(innermost, Wrapper):
            innermost = innermost.inner
        settings = getattr(innermost, "settings", None)
        self._settings: Callable[[], Any] | None = settings if callable(settings) else None
        monitors: Mapping[str, Any] = getattr(innermost, "monitors", {})
        self._readings = {name: f"reading_{name}" for name in monitors}
        columns = _columns(device.spec) | {
            self._readings[name]: Column(
                unit=getattr(one, "unit", ""), long_name=f"{name}, read before the call"
            )
            for name, one in monitors.items()
        }
        columns |= extra or {}
        if "row" not in group:
            with group.restructuring():
                group.set(
                    device=device.spec.name,
                    recipe=repr(device),
                    purposes=list(PURPOSES),
                    flag_bits={flag.name: flag.value for flag in Flag if flag.value},
                )
                write_spec(group, device.spec)
                laboratory = getattr(innermost, "limits", None)
                if is_dataclass(laboratory) and not isinstance(laboratory, type):
                    group.set(laboratory_limits=asdict(laboratory))
                if self._settings is not None:
                    group.slot("instruments", _INSTRUMENTS_BYTES)
                for name in ("state", "calibration"):
                    _Ids(group, name)
                group.rows(columns)
                group.plot("answers", ["row", "."])
        self._ids = {name: _Ids(group, name) for name in ("state", "calibration")}
        self._log = group.rows(columns)

    def note_instruments(self) -> None:
        """Write the settings of the instruments, as they are read back now."""
        if self._settings is None:
            return
        told = self._settings()
        if len(json.dumps(told, default=str).encode()) <= _INSTRUMENTS_BYTES:
            self._group.set(instruments=told)
        else:
            with self._group.restructuring():
                self._group.set(instruments=told)

    @property
    def count(self) -> int:
        """Rows of the table, those that wait to be written included."""
        return self._log.count

    def append(
        self, drives: NDArray[Any], measured: Measurement, monotonic: float, **extra: NDArray[Any]
    ) -> None:
        """Append the rows of one call."""
        n = len(drives)
        if unknown := measured.readings.keys() - self._readings.keys():
            _log.warning(
                "readings %s are not recorded: a device names its monitors in an attribute "
                "`monitors`", sorted(unknown),
            )  # fmt: skip
        numbers: dict[str, float] = {
            "time": measured.time_s,
            "monotonic": monotonic,
            "duration": measured.duration_s / max(1, n),
            "purpose": PURPOSES.index(measured.purpose),
            "state": self._ids["state"].index(measured.state_id),
            "calibration": self._ids["calibration"].index(measured.calibration_id),
        }
        numbers |= row_fields()
        numbers |= {
            column: measured.readings.get(name, np.nan) for name, column in self._readings.items()
        }
        self._log.append(
            drives=drives,
            answers=measured.outputs,
            attempts=np.minimum(measured.attempts, np.iinfo(np.uint16).max),
            flags=measured.flags,
            **{name: np.full(n, value) for name, value in numbers.items()},
            **extra,
        )

    def make_room(self, n_rows: int) -> None:
        """Raise `RecordFull` if the disk has no room for that many more rows."""
        self._log.make_room(n_rows)

    def flush(self) -> None:
        """Write the rows that wait."""
        self._log.flush()


def _columns(spec: DeviceSpec) -> dict[str, Column]:
    """Return the columns that every recording has."""
    columns = {
        "drives": Column(dims={"input": spec.n_inputs}, unit=spec.input_unit, long_name="drive"),
        "answers": Column(
            dims={"output": spec.n_outputs},
            dtype=spec.output_dtype,
            unit=spec.output_unit,
            long_name="answer",
        ),
        "time": Column(
            unit="seconds since 1970-01-01T00:00:00Z", long_name="begin of the call, UTC"
        ),
        "monotonic": Column(unit="s", long_name="begin of the call, on a clock that is never set"),
        "duration": Column(unit="s", long_name="time in the device: the call's over its rows"),
        "purpose": Column(dtype=np.uint8, long_name="counts into the attribute purposes"),
        "attempts": Column(dtype=np.uint16, long_name="tries until measured; 0 from a cache"),
        "flags": Column(dtype=np.uint8, long_name="bits, see the attribute flag_bits"),
    }
    for name in ROW_FIELDS:
        columns[name] = Column(dtype=np.int32, long_name=f"{name}, -1 for none")
    for name in ("state", "calibration"):
        columns[name] = Column(dtype=np.int32, long_name=f"counts into {name}_id, -1 for none")
    return columns


class _Ids:
    """A table of the ids that occurred; rows hold their numbers in it."""

    def __init__(self, group: RecordGroup, name: str) -> None:
        self._name = f"{name}_id"
        self._log = group.rows({self._name: Column(dtype=f"S{_ID_BYTES}")}, dim=f"{name}_index")
        texts = [bytes(one).decode() for one in group.h5[self._name]]
        self._known = {text: number for number, text in enumerate(texts)}

    def index(self, text: str) -> int:
        if not text:
            return -1
        if len(text.encode()) > _ID_BYTES:  # of many calibrations in a row, say
            text = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        if text not in self._known:
            self._known[text] = len(self._known)
            self._log.append(**{self._name: [text]})
            self._log.flush()  # before the first row that points to it
        return self._known[text]
