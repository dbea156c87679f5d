"""The idx format of the MNIST files: one array with its type and sizes in front.

Two zero bytes, one byte for the type, one for the number of axes, each size as a big-endian
32-bit number, then the values in C order, big-endian (LeCun, Cortes & Burges, the MNIST page).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["parse_idx", "read_idx"]

#: NumPy type of each type byte.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> NDArray[Any]:
    """Return the array in an idx file, compressed by gzip or not, whatever the file is called.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or no idx file; the message names it and what is wrong.
    """
    content = Path(path).read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{path}: the gzip file is damaged ({error}); fetch it again"
            ) from error
    return parse_idx(content, str(path))


def parse_idx(content: bytes, name: str = "idx") -> NDArray[Any]:
    """Return the array in the uncompressed `content` of an idx file called `name`.

    Raises
    ------
    ValueError
        If the magic number, the type or the length is wrong.
    """
    if len(content) < 4:
        raise ValueError(f"{name}: it has {len(content)} bytes, an idx file has at least 4")
    zero, code, n_axes = struct.unpack(">HBB", content[:4])
    if zero or code not in TYPES or not n_axes:
        known = ", ".join(f"{c:#04x}" for c in TYPES)
        raise ValueError(
            f"{name}: it starts with the bytes {content[:4].hex(' ')}, which is not the magic "
            f"number of an idx file: 00 00, a type ({known}), a number of axes of at least 1"
        )
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise ValueError(
            f"{name}: it ends after {len(content)} bytes, inside the {start} bytes of its header; "
            "fetch it again"
        )
    sizes = struct.unpack(f">{n_axes}I", content[4:start])
    kind = np.dtype(TYPES[code])
    expected = start + math.prod(sizes) * kind.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{name}: it has {len(content)} bytes, but its header announces {expected} "
            f"(sizes {sizes}, {kind.itemsize} bytes each); it is truncated or damaged, fetch it "
            "again"
        )
    values = np.frombuffer(content, kind, offset=start).reshape(sizes)
    return values.astype(kind.newbyteorder("="))
