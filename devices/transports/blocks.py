"""Binary blocks of IEEE 488.2: ``#``, a digit, that many digits of the length, the bytes."""

from __future__ import annotations

from devices.errors import Desync

__all__ = ["block_header", "length_digits", "parse_length"]


def block_header(length: int) -> bytes:
    """Return the header of a definite-length block.

    Raises
    ------
    ValueError
        If the length has more than nine digits, which the standard has no room for.

    Examples
    --------
    >>> block_header(2000)
    b'#42000'
    """
    digits = str(length)
    if length < 0 or len(digits) > 9:
        raise ValueError(f"a block of {length} bytes: the length must have 1 to 9 digits")
    return f"#{len(digits)}{digits}".encode("ascii")


def length_digits(start: bytes | bytearray, address: str) -> int:
    """Return how many digits the length has, from the first two bytes of a reply.

    Raises
    ------
    Desync
        If these bytes begin no definite-length block: the reply is another question's, or an
        error message.
    """
    if len(start) != 2 or start[:1] != b"#" or not start[1:].isdigit() or start[1:] == b"0":
        raise Desync(
            f"{address}: expected a binary block (# and a digit from 1 to 9), got {bytes(start)!r}"
        )
    return int(start[1:])


def parse_length(digits: bytes | bytearray, address: str) -> int:
    """Return the length that the digits of a header give, or raise `Desync`."""
    if not digits.isdigit():
        raise Desync(f"{address}: the length of a binary block is {bytes(digits)!r}, no number")
    return int(digits)
