"""Frames of the board's protocol, as a microcontroller sees them; see docs/board-protocol.md."""

from __future__ import annotations

import struct
import zlib

__all__ = ["frame", "unframed"]

_CRC = struct.Struct("<I")
_LONGEST_RUN = 0xFE


def frame(body: bytes) -> bytes:
    """Return a body with its CRC-32, stuffed by COBS, and the zero that ends it."""
    return stuffed(body + _CRC.pack(zlib.crc32(body))) + b"\0"


def unframed(data: bytes) -> bytes | None:
    """Return the body of a frame, without its zero; None if it is broken."""
    plain = unstuffed(data)
    if plain is None or len(plain) < _CRC.size:
        return None
    body, sent = plain[: -_CRC.size], plain[-_CRC.size :]
    return body if _CRC.pack(zlib.crc32(body)) == sent else None


def stuffed(data: bytes) -> bytes:
    """Return data by consistent overhead byte stuffing (Cheshire and Baker 1999): no zeros.

    Written out here, not taken from the library that the host uses: two ends of a protocol that
    share their code share its errors.

    Examples
    --------
    >>> stuffed(bytes([1, 0, 2])).hex()
    '02010202'
    """
    out = bytearray()
    for k, run in enumerate(runs := data.split(b"\0")):
        while len(run) >= _LONGEST_RUN:
            out += b"\xff" + run[:_LONGEST_RUN]
            run = run[_LONGEST_RUN:]  # noqa: PLW2901  (what is left of it)
            if not run and k == len(runs) - 1:
                return bytes(out)
        out += bytes([len(run) + 1]) + run
    return bytes(out)


def unstuffed(data: bytes) -> bytes | None:
    """Return what was stuffed, or None if this cannot be."""
    out, at = bytearray(), 0
    while at < len(data):
        code = data[at]
        run = data[at + 1 : at + code]
        if not code or len(run) != code - 1:
            return None
        out += run
        at += code
        if code <= _LONGEST_RUN and at < len(data):
            out.append(0)
    return bytes(out)
