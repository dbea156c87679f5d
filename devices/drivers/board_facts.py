"""What a board says of itself in its greeting."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, Self

from devices.errors import ShortTransfer

__all__ = ["BoardFacts", "read_status"]

_STATUS = struct.Struct("<BHHIh")
_NO_TEMPERATURE = -32768
_HELLO = struct.Struct("<BBBBBHffffHI")


@dataclass(frozen=True)
class BoardFacts:
    """What a board says of itself."""

    version: int
    n_dac: int
    n_adc: int
    dac_bits: int
    adc_bits: int
    max_payload: int
    dac_min_volt: float
    dac_max_volt: float
    adc_min_volt: float
    adc_max_volt: float
    rest: int
    watchdog_ms: int
    firmware: str

    @property
    def top_code(self) -> int:
        """The highest DAC code."""
        return 2**self.dac_bits - 1

    @property
    def rows_per_frame(self) -> int:
        """Rows that fit into one question and its answer."""
        return (self.max_payload - 2) // max(2 * self.n_dac, 2 * self.n_adc + 1)

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        """Read the answer to HELLO, or raise `ShortTransfer`."""
        if len(payload) < _HELLO.size:
            raise ShortTransfer(f"a greeting of {len(payload)} bytes, expected {_HELLO.size}")
        name = payload[_HELLO.size :].decode("ascii", "replace")
        numbers: tuple[Any, ...] = _HELLO.unpack_from(payload)
        return cls(*(*numbers, name))

    def pack(self) -> bytes:
        """Write the answer to HELLO; for boards in software."""
        values = [value for key, value in vars(self).items() if key != "firmware"]
        return _HELLO.pack(*values) + self.firmware.encode("ascii")


def read_status(payload: bytes) -> dict[str, float]:
    """Read the answer to STATUS, or raise `ShortTransfer`."""
    if len(payload) != _STATUS.size:
        raise ShortTransfer(f"{len(payload)} bytes of status came, expected {_STATUS.size}")
    state, trips, dropped, uptime, temperature = _STATUS.unpack(payload)
    known = temperature != _NO_TEMPERATURE
    return {
        "driving": state,
        "watchdog_trips": trips,
        "dropped_frames": dropped,
        "uptime_s": uptime / 1e3,
        "temperature_k": temperature / 100 + 273.15 if known else math.nan,
    }
