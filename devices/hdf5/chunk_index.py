"""The index through which the rows of an array are found, and how its growth is undone.

It is a tree of nodes (HDF5 File Format Specification, III.A.1: version 1 B-trees), of which only
the last branch changes while rows are appended. When its last node is full, the library writes that
there are new nodes before it writes these; a kill in between would leave no way to any row. For
that moment, what the branch was is kept in a file beside the record. Who goes on with the record,
or repairs it, puts it back.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

__all__ = ["ChunkIndex", "check_undone", "put_back", "undo_file", "undoable"]

_NODE = struct.Struct("<4sBBHQQ")  # signature, kind, level, entries, left and right neighbour
_ENTRIES = 64  # of a full node: twice the K of 32 of a superblock of version 0
_LAYOUT, _CONTINUED, _UNDEFINED = 0x08, 0x10, 2**64 - 1
_KEPT = struct.Struct("<QQ")  # where a node is, and its bytes
_MARK_BYTES = 32


class ChunkIndex:
    """The index of one array that grows along its first axis, chunk by chunk.

    Parameters
    ----------
    dataset : h5py.Dataset
        Chunked along its first axis alone; open for writing.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._id = dataset.id
        self._chunk: int = dataset.chunks[0]
        self._key_bytes = 8 + 8 * (dataset.ndim + 1)
        self._node_bytes = _NODE.size + 8 * _ENTRIES + self._key_bytes * (_ENTRIES + 1)
        self._room = 0  # chunks that there can be before a node splits
        self._root: int | None = None

    @staticmethod
    def make(dataset: h5py.Dataset) -> None:
        """Give an empty array its index.

        The library makes it at the first chunk and may write that it is there before it writes the
        index itself; made with the structure, there is nothing yet that a kill could break.
        """
        dataset.resize(1, axis=0)
        dataset[0] = np.zeros((), dataset.dtype)
        dataset.resize(0, axis=0)

    def chunks(self, rows: int) -> int:
        """Return the chunks of so many rows."""
        return -(-rows // self._chunk)

    def at_risk(self, path: Path, rows: int) -> list[tuple[int, bytes]]:
        """Return address and content of the nodes that may split when there will be `rows` rows.

        What was written before is on the disk, or with the operating system.
        """
        if self.chunks(rows) <= self._room:
            return []
        there = self._id.get_num_chunks()
        with path.open("rb") as file:
            self._root = self._root or _root(file, h5py.h5o.get_info(self._id).addr)
            branch = list(self._last_branch(file)) if self._root else []
        if not branch:
            return []
        self._room = there + _ENTRIES - _NODE.unpack_from(branch[-1][1])[3]
        return branch if self.chunks(rows) > self._room else []

    def _last_branch(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        address, level = self._root or 0, 1
        while level:
            file.seek(address)
            node = file.read(self._node_bytes)
            _, _, level, entries, _, _ = _NODE.unpack_from(node)
            yield address, node
            if level:  # keys and children in turn, and the last key
                last = _NODE.size + entries * (self._key_bytes + 8) - 8
                (address,) = struct.unpack_from("<Q", node, last)


@contextlib.contextmanager
def undoable(file: h5py.File, path: Path, nodes: list[tuple[int, bytes]]) -> Iterator[None]:
    """Let indexes grow, and get them to the disk, such that a kill breaks nothing.

    Parameters
    ----------
    file, path : h5py.File, path
        The record, in which nothing else waits to be written.
    nodes : list of (int, bytes)
        Those at risk.
    """
    kept = b"".join(_KEPT.pack(address, len(node)) + node for address, node in nodes)
    undo_file(path).write_bytes(_mark(file, kept) + kept)
    try:
        yield
    finally:
        undo_file(path).unlink()


def undo_file(path: Path) -> Path:
    """Return where the undo of a record is, if there is any."""
    return path.with_name(f"{path.name}.undo")


def check_undone(path: Path) -> None:
    """Check that rows can be read: that no growth was broken off by a kill.

    Raises
    ------
    OSError
        If it was. A program that is writing has to bring it to an end within half a second.
    """
    for _ in range(10):
        if not undo_file(path).is_file():
            return
        time.sleep(0.05)
    raise OSError(
        f"{path}: a kill broke off the growth of its indexes ({undo_file(path).name} is there), so "
        "that not all rows can be read; go on with the run, or make a copy with `pnn log repair`"
    )


def put_back(path: Path, undo: Path) -> bool:
    """Put the indexes of a record back to before a kill; say whether there was anything to do.

    Parameters
    ----------
    path : path
        A record that nobody writes.
    undo : path
        Its `undo_file`, which need not exist; the caller removes it.
    """
    if not undo.is_file():
        return False
    content = undo.read_bytes()
    mark, kept = content[:_MARK_BYTES], content[_MARK_BYTES:]
    with h5py.File(path, "r") as record:
        if mark != _mark(record, kept):
            return False  # the kill came while it was written; or it is of another record
    with path.open("r+b") as file:
        at = 0
        while at < len(kept):
            address, size = _KEPT.unpack_from(kept, at)
            at += _KEPT.size + size
            file.seek(address)
            file.write(kept[at - size : at])
    return True


def _mark(record: h5py.File, kept: bytes) -> bytes:
    return sha256(str(record.attrs.get("run_id")).encode() + kept).digest()


def _root(file: BinaryIO, header: int) -> int | None:
    """Return the address of an index, from the header of its array (IV.A.1: version 1).

    None if there is none yet, or one of another kind.
    """
    file.seek(header)
    version, _, _, _, size = struct.unpack("<BBHII", file.read(12))
    blocks = [(header + 16, size)] if version == 1 else []
    for start, length in blocks:  # further ones are found in them
        file.seek(start)
        messages, at = file.read(length), 0
        while at + 8 <= length:
            kind, size = struct.unpack_from("<HH", messages, at)
            body = messages[at + 8 : at + 8 + size]
            at += 8 + size
            if kind == _CONTINUED:
                blocks.append(struct.unpack_from("<QQ", body))
            elif kind == _LAYOUT and body[:2] == b"\x03\x02":  # version 3, chunked
                (address,) = struct.unpack_from("<Q", body, 3)
                return None if address == _UNDEFINED else address
    return None
