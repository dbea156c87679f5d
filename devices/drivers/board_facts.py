"""What a board says of itself in its greeting."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Self

from devices.errors import ShortTransfer

__all__ = ["BoardFacts"]

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
