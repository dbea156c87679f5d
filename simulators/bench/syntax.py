"""The syntax of SCPI: messages, units, headers, parameters, blocks (IEEE 488.2, SCPI-99 vol. 1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Pattern", "Unit", "block", "end_of_message", "units"]

_SPECIAL = re.compile(rb"[\n\"'#]")
_SEPARATOR = re.compile(rb"[;,\"'#]")

# What stands between two separators: text, and the bytes of a block if there is one.
_Segment = tuple[bytes, bytes | None]


@dataclass(frozen=True)
class Unit:
    """One command or query: its header as sent; its parameters, text or the bytes of a block."""

    header: str
    parameters: tuple[str | bytes, ...]

    @property
    def is_query(self) -> bool:
        """Whether it asks for a reply."""
        return self.header.endswith("?")


def block(data: bytes) -> bytes:
    """Return `data` as a definite-length block: ``#``, digits, length, bytes.

    Examples
    --------
    >>> block(b"abc")
    b'#13abc'
    """
    length = str(len(data)).encode()
    return b"#" + str(len(length)).encode() + length + data


def end_of_message(data: bytes | bytearray) -> int | None:
    """Return where the first message's newline is, or None if the message is incomplete.

    A newline inside a block is data. One inside a string ends the message: a lost quotation mark
    must not swallow all that follows.
    """
    at = 0
    while found := _SPECIAL.search(data, at):
        sign, at = found[0], found.end()
        if sign == b"\n":
            return found.start()
        if sign == b"#":
            at = _block(data, at)[1]
            if at > len(data):
                return None
        else:
            newline, quote = data.find(b"\n", at), data.find(sign, at)
            if quote < 0 or 0 <= newline < quote:
                return newline if newline >= 0 else None
            at = quote + 1
    return None


def units(message: bytes) -> list[Unit]:
    """Split a message, without its newline, into units.

    Examples
    --------
    >>> units(b"volt 1;:DATA:ARB x,#13a;b;*OPC?")[1].parameters
    ('x', b'a;b')
    """
    pieces: list[list[_Segment]] = [[]]
    start = at = 0
    text_end, held = None, None  # where the text ends and what block follows it
    while found := _SEPARATOR.search(message, at):
        sign, at = found[0], found.end()
        if sign in b";,":
            end = found.start() if text_end is None else text_end
            pieces[-1].append((message[start:end], held))
            start, text_end, held = at, None, None
            if sign == b";":
                pieces.append([])
        elif sign == b"#":
            begin, end = _block(message, at)
            if begin != at and end <= len(message):
                text_end, held, at = found.start(), message[begin:end], end
        else:
            quote = message.find(sign, at)
            at = len(message) if quote < 0 else quote + 1
    pieces[-1].append((message[start : len(message) if text_end is None else text_end], held))
    return [unit for piece in pieces if (unit := _unit(piece)) is not None]


def _block(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return begin and end of a block whose ``#`` stands before `at`.

    Both are `at` where no block begins (``#H1F``); the end is beyond the data where the block is
    incomplete.
    """
    digit = data[at : at + 1]
    if not digit:
        return at, at + 1
    if digit not in b"123456789":
        return at, at
    begin = at + 1 + int(digit)
    length = bytes(data[at + 1 : begin])
    if length and not length.isdigit():
        return at, at
    if len(length) < int(digit):
        return at, len(data) + 1
    return begin, begin + int(length)


def _unit(piece: list[_Segment]) -> Unit | None:
    first, held = piece[0]
    header, _, rest = first.strip().partition(b" ")
    if not header:
        return None
    segments = piece[1:]
    if rest.strip() or held is not None or segments:
        segments = [(rest, held), *segments]
    return Unit(
        header.decode("latin-1"),
        tuple(text.strip().decode("latin-1") if data is None else data for text, data in segments),
    )


class Pattern:
    """A header as manuals write it: ``[SOURce#:]VOLTage[:LEVel]``.

    Capitals are the short form, all letters the long form, and nothing between is legal; ``#``
    takes a number, 1 where there is none; brackets are optional.

    Examples
    --------
    >>> Pattern("[SOURce#:]VOLTage[:LEVel]").match("SOUR2:voltage")
    (2,)
    >>> Pattern("[SOURce#:]VOLTage[:LEVel]").match("SOURC2:VOLT") is None
    True
    """

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = []
        for token in re.findall(r"[\[\]:*]|[A-Za-z]+\d*|#", text):
            if token in "[]":
                pieces.append("(?:" if token == "[" else ")?")
            elif token == "#":
                pieces.append(r"(\d*)")
            elif token in ":*":
                pieces.append(re.escape(token))
            else:
                short = "".join(c for c in token if not c.islower())
                pieces.append(f"(?:{token.upper()}|{short})")
        self._expression = re.compile("".join(pieces), re.IGNORECASE)

    def match(self, header: str) -> tuple[int, ...] | None:
        """Return the numbers in `header` (no leading colon, no ``?``), or None."""
        found = self._expression.fullmatch(header)
        return None if found is None else tuple(int(number or 1) for number in found.groups())
