"""The index through which the rows of an array are found, and which of its nodes may split.

It is a tree (HDF5 File Format Specification, III.A.1: version 1 B-trees), of which only the last
branch changes while rows are appended.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from devices.hdf5.undo import Part

__all__ = ["ChunkIndex"]

_NODE = struct.Struct("<4sBBHQQ")  # signature, kind, level, entries, left and right neighbour
_ENTRIES = 64  # of a full node: twice the K of 32 of a superblock of version 0
_LAYOUT, _CONTINUED, _UNDEFINED = 0x08, 0x10, 2**64 - 1


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

    def at_risk(self, path: Path, before: int, rows: int) -> list[Part]:
        """Return the nodes that may split as the file is told of `rows` rows, after `before`."""
        if self.chunks(rows) <= self._room:
            return []
        with path.open("rb") as file:
            self._root = self._root or _root(file, h5py.h5o.get_info(self._id).addr)
            branch = list(self._last_branch(file)) if self._root else []
        if not branch:
            return []
        self._room = self.chunks(before) + _ENTRIES - _NODE.unpack_from(branch[-1][1])[3]
        return branch if self.chunks(rows) > self._room else []

    def _last_branch(self, file: BinaryIO) -> Iterator[Part]:
        address, level = self._root or 0, 1
        while level:
            file.seek(address)
            node = file.read(self._node_bytes)
            _, _, level, entries, _, _ = _NODE.unpack_from(node)
            yield address, node
            if level:  # keys and children in turn, and the last key
                last = _NODE.size + entries * (self._key_bytes + 8) - 8
                (address,) = struct.unpack_from("<Q", node, last)


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
