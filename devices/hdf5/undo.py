"""Undo for what a kill breaks off.

The library writes what it has changed in the order of the addresses. Where a part that is in the
file already gets to name new ones (a full node of a chunk index, the list of a group), a kill
between these writes would leave no way to what was there before. For that moment, what is written
over is kept in a file beside the record. Who goes on with the record, or repairs it, puts it back.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import h5py

from devices.errors import DamagedFile

__all__ = ["Part", "check_undone", "put_back", "structure_of", "undo_file", "undoable"]

#: A part of a file: its address and its bytes.
Part = tuple[int, bytes]

_HEAD = struct.Struct("<32s32s")  # checksum of all that follows, run id
_KEPT = struct.Struct("<QQ")  # address and number of bytes
_RUN_ID_WITHIN = 2**20  # it is among the first things that are written


@contextlib.contextmanager
def undoable(file: h5py.File, path: Path, parts: list[Part]) -> Iterator[None]:
    """Let parts of a record be written over such that a kill breaks nothing.

    Parameters
    ----------
    file, path : h5py.File, path
        The record.
    parts : list of (int, bytes)
        What it is on the disk.
    """
    kept = b"".join(_KEPT.pack(address, len(part)) + part for address, part in parts)
    run_id = str(file.attrs.get("run_id", "")).encode()
    undo = undo_file(path)
    with contextlib.suppress(OSError):  # no room: what is to be written is more important
        undo.write_bytes(_HEAD.pack(_checksum(run_id, kept), run_id) + kept)
    try:
        yield
    finally:
        undo.unlink(missing_ok=True)


def structure_of(file: h5py.File, path: Path) -> list[Part]:
    """Return all that is in a file but values of arrays, as it is on the disk."""
    extents: list[tuple[int, int]] = []

    def look(name: bytes) -> None:
        item = h5py.h5o.open(file.id, name)
        if not isinstance(item, h5py.h5d.DatasetID):
            return
        if item.get_create_plist().get_layout() == h5py.h5d.CHUNKED:
            item.chunk_iter(lambda chunk: extents.append((chunk.byte_offset, chunk.size)))
        elif (address := item.get_offset()) is not None:
            extents.append((address, item.get_storage_size()))

    h5py.h5o.visit(file.id, look)
    parts: list[Part] = []
    with path.open("rb") as raw:
        end = 0
        for address, size in [*sorted(extents), (path.stat().st_size, 0)]:
            if address > end:
                raw.seek(end)
                parts.append((end, raw.read(address - end)))
            end = max(end, address + size)
    return parts


def undo_file(path: Path) -> Path:
    """Return where the undo of a record is, if there is any."""
    return path.with_name(f"{path.name}.undo")


def check_undone(path: Path) -> None:
    """Check that a record can be read: that no kill left something to undo.

    Raises
    ------
    DamagedFile
        If one did. A program that is writing has to bring it to an end within half a second.
    """
    for _ in range(10):
        if not undo_file(path).is_file():
            return
        time.sleep(0.05)
    raise DamagedFile(
        f"{path}: a kill broke off a change of its structure ({undo_file(path).name} is there), so "
        "that not all of it can be read; go on with the run, or make a copy with `pnn log repair`"
    )


def put_back(path: Path, undo: Path) -> bool:
    """Put a record back to before what a kill broke off; say whether there was anything to do.

    Parameters
    ----------
    path : path
        A record that nobody writes.
    undo : path
        Its `undo_file`, which need not exist; the caller removes it.
    """
    content = undo.read_bytes() if undo.is_file() else b""
    if len(content) < _HEAD.size:
        return False
    checksum, run_id = _HEAD.unpack_from(content)
    kept = content[_HEAD.size :]
    with path.open("r+b") as file:
        # Else the kill came while it was written, or it is of another record.
        if checksum != _checksum(run_id, kept) or run_id not in file.read(_RUN_ID_WITHIN):
            return False
        at = 0
        while at < len(kept):
            address, size = _KEPT.unpack_from(kept, at)
            at += _KEPT.size + size
            file.seek(address)
            file.write(kept[at - size : at])
    return True


def _checksum(run_id: bytes, kept: bytes) -> bytes:
    return sha256(run_id + kept).digest()
