"""Frames of the board's protocol: COBS, CRC-32, sequence numbers. See docs/board-protocol.md."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from devices.errors import InstrumentError
from devices.extras import require

__all__ = ["END", "Op", "pack", "refusal", "unpack"]

#: What ends a frame.
END = b"\0"

_HEAD = struct.Struct("<HB")
_CRC = struct.Struct("<I")
_ERRORS = {
    1: "unknown operation",
    2: "wrong length",
    3: "value out of range",
    4: "too many rows",
    5: "converter failure",
}


class Op:
    """Numbers of the operations."""

    HELLO = 0x01
    WATCHDOG = 0x02
    OFF = 0x03
    STATUS = 0x04
    TIMING = 0x05
    LIMITS = 0x06
    WRITE = 0x10
    READ = 0x11
    MEASURE = 0x12
    PING = 0x7E
    ANSWER = 0x80
    REFUSED = 0xFF


def pack(sequence: int, operation: int, payload: bytes = b"") -> bytes:
    """Return a frame, its end included."""
    body = _HEAD.pack(sequence, operation) + payload
    cobs: Any = require("cobs.cobs", "serial")
    return cobs.encode(body + _CRC.pack(zlib.crc32(body))) + END


def unpack(frame: bytes) -> tuple[int, int, bytes] | None:
    """Return sequence, operation and payload; None for anything that is no sound frame."""
    cobs: Any = require("cobs.cobs", "serial")
    try:
        content: bytes = cobs.decode(frame.removesuffix(END))
    except cobs.DecodeError:
        return None
    body = content[: -_CRC.size]
    if len(body) < _HEAD.size or _CRC.pack(zlib.crc32(body)) != content[-_CRC.size :]:
        return None
    sequence, operation = _HEAD.unpack_from(body)
    return sequence, operation, body[_HEAD.size :]


def refusal(name: str, payload: bytes) -> InstrumentError:
    """Return the error that a refusing answer stands for."""
    operation, code = (*payload[:2], 0, 0)[:2]
    text = payload[2:].decode("ascii", "replace")
    return InstrumentError(
        code, f"{name} refuses operation 0x{operation:02X}: {_ERRORS.get(code, 'unknown')} ({text})"
    )
