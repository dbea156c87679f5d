"""The first bytes of an HDF5 file: where it should end, and whether it was closed.

Field offsets are those of the HDF5 File Format Specification, section II.A (superblock).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["Superblock", "give_length", "read_superblock", "record_end"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_END_AT = {0: 40, 1: 44, 2: 28, 3: 28}  # of the address behind the last byte
_FLAGS_AT, _CHECKSUM_AT = 11, 44  # from version 2 on
_HEAP_REACH = 2**24  # collections are of 4 KiB, or of one long text


@dataclass(frozen=True)
class Superblock:
    """What the library looks at before it opens a file.

    Attributes
    ----------
    version : int
        0 of a plain file, 3 of one that can be read while it grows.
    end : int
        Bytes that the file should have.
    size : int
        Bytes that it has.
    open_flags : int
        Not 0 where a writer left without closing; only version 3 keeps note of it.
    """

    version: int
    end: int
    size: int
    open_flags: int

    @property
    def missing(self) -> int:
        """Bytes that the file should have and has not."""
        return max(0, self.end - self.size)

    @property
    def unrecorded(self) -> int:
        """Bytes that it has behind its recorded end."""
        return max(0, self.size - self.end)


def read_superblock(path: Path) -> Superblock | None:
    """Read the superblock; None if the file is no HDF5 file, or one of another make."""
    with path.open("rb") as file:
        head = file.read(64)
    if len(head) < 52 or not head.startswith(_SIGNATURE):
        return None
    version = head[8]
    offset_size = head[13] if version < 2 else head[9]
    if version not in _END_AT or offset_size != 8:
        return None
    (end,) = struct.unpack_from("<Q", head, _END_AT[version])
    return Superblock(version, end, path.stat().st_size, head[_FLAGS_AT] if version == 3 else 0)


def give_length(path: Path, found: Superblock) -> None:
    """Give a file that was cut the length that it should have."""
    with path.open("r+b") as file:
        _break_cut_heap(file, found.size)
        file.truncate(found.end)


def record_end(path: Path) -> None:
    """Say in the superblock that the file ends where it does, and that nobody is writing it.

    The library writes the superblock last, in SWMR mode on closing only. A kill before that leaves
    arrays behind the recorded end: they cannot be read, and would be written over.
    """
    found = read_superblock(path)
    assert found is not None
    end = struct.pack("<Q", found.size)
    with path.open("r+b") as file:
        if found.version < 2:
            file.seek(_END_AT[found.version])
            file.write(end)
            return
        head = bytearray(file.read(_CHECKSUM_AT))
        head[_FLAGS_AT] = 0
        at = _END_AT[found.version]
        head[at : at + len(end)] = end
        file.seek(0)
        file.write(head + struct.pack("<I", _lookup3(bytes(head))))


def _break_cut_heap(file: BinaryIO, size: int) -> None:
    """Make a collection of texts that the cut goes through one that cannot be read.

    The library would look for the end of what reads as zeros, for ever. (Section III.E, global
    heap: signature, version 1, three zeros, size.)
    """
    start = max(0, size - _HEAP_REACH)
    file.seek(start)
    data = file.read(size - start)
    at = len(data)
    while (at := data.rfind(b"GCOL\x01\0\0\0", 0, at)) >= 0:
        (length,) = struct.unpack("<Q", data[at + 8 : at + 16].ljust(8, b"\xff"))
        if at + length > len(data):
            file.seek(start + at)
            file.write(b"\0\0\0\0")


def _lookup3(data: bytes) -> int:
    """Return Bob Jenkins' hash of 2006 (lookup3.c, ``hashlittle``), the checksum of HDF5."""
    mask = 0xFFFFFFFF

    def rotated(x: int, k: int) -> int:
        return ((x << k) | (x >> (32 - k))) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    words = struct.unpack(
        f"<{-(-len(data) // 12) * 3}I", data.ljust(-(-len(data) // 12) * 12, b"\0")
    )
    for i in range(0, len(words), 3):
        a, b, c = ((x + w) & mask for x, w in zip((a, b, c), words[i : i + 3], strict=True))
        if i + 3 < len(words):
            a = (a - c & mask) ^ rotated(c, 4)
            c = c + b & mask
            b = (b - a & mask) ^ rotated(a, 6)
            a = a + c & mask
            c = (c - b & mask) ^ rotated(b, 8)
            b = b + a & mask
            a = (a - c & mask) ^ rotated(c, 16)
            c = c + b & mask
            b = (b - a & mask) ^ rotated(a, 19)
            a = a + c & mask
            c = (c - b & mask) ^ rotated(b, 4)
            b = b + a & mask
    c = ((c ^ b) - rotated(b, 14)) & mask
    a = ((a ^ c) - rotated(c, 11)) & mask
    b = ((b ^ a) - rotated(a, 25)) & mask
    c = ((c ^ b) - rotated(b, 16)) & mask
    a = ((a ^ c) - rotated(c, 4)) & mask
    b = ((b ^ a) - rotated(a, 14)) & mask
    return ((c ^ b) - rotated(b, 24)) & mask
