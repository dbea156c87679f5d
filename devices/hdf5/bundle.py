"""Checkpoints of arrays whose names and shapes are not known when the file is laid out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.hdf5.chunk_index import ChunkIndex
from devices.hdf5.session import Session

__all__ = ["Bundle", "read_bundle"]

_BUFFERS = ("a", "b")
_CHUNK = 2**16


class Bundle:
    """Two growing buffers of bytes in the NPZ format; a kill while one is written leaves the other.

    Growing is no change of structure, so that what a network has learned can be kept in a file
    that was laid out before it learned anything.
    """

    def __init__(self, group: h5py.Group, session: Session) -> None:
        self._group, self._session = group, session

    def write(self, arrays: Mapping[str, ArrayLike]) -> None:
        """Write all arrays over the older buffer and bring them to the disk.

        Raises
        ------
        RecordFull
            If there is no room.
        """
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **{name: np.asarray(a) for name, a in arrays.items()})
        data = np.frombuffer(stream.getvalue(), np.uint8)
        with self._session.lock:
            self._session.flush()
            newest = max(_BUFFERS, key=lambda name: _whole(self._group[name])[0])
            target = self._group["b" if newest == "a" else "a"]
            sequence = 1 + max(int(self._group[name].attrs["sequence"]) for name in _BUFFERS)
            before = len(target)
            if len(data) > before:
                self._session.check_room(len(data) - before + _CHUNK, "a checkpoint")
                target.dims[0][0].resize(len(data), axis=0)
                target.resize(len(data), axis=0)
            target[: len(data)] = data
            target.attrs.modify("checksum", np.bytes_(_checksum(data, sequence)))
            target.attrs.modify("length", np.int64(len(data)))
            target.attrs.modify("sequence", np.int64(sequence))
            self._session.hand_over([(ChunkIndex(target), before, len(target))], sync=True)

    def clear(self) -> None:
        """Forget what was written. Its space stays with the bundle.

        Giving it back may make the file shorter, which the library does before it writes that the
        file is shorter: a kill in between leaves a file that does not open.
        """
        for name in _BUFFERS:
            self._group[name].attrs.modify("sequence", np.int64(0))
            self._group[name].attrs.modify("length", np.int64(0))
        self._session.flush()


def read_bundle(group: h5py.Group, name: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that were written last and are whole, or None if there are none.

    Parameters
    ----------
    group : h5py.Group
        Where the bundle was reserved.
    name : str
        Of the bundle.
    """
    if name not in group:
        return None
    sequence, data = max((_whole(group[name][b]) for b in _BUFFERS), key=lambda found: found[0])
    if not sequence:
        return None
    with np.load(io.BytesIO(data.tobytes()), allow_pickle=False) as arrays:
        return dict(arrays)


def reserve(group: h5py.Group) -> None:
    """Make both buffers, empty."""
    for name in _BUFFERS:
        dim = group.create_dataset(
            f"byte_{name}", (0,), np.float32, maxshape=(None,), chunks=(_CHUNK,)
        )
        # The netCDF way to say "a dimension without coordinate values"; nothing is stored.
        dim.make_scale(f"This is a netCDF dimension but not a netCDF variable. {0:10d}")
        buffer = group.create_dataset(name, (0,), np.uint8, maxshape=(None,), chunks=(_CHUNK,))
        ChunkIndex.make(buffer)
        buffer.dims[0].attach_scale(dim)
        buffer.attrs["long_name"] = "checkpoint, bytes of an NPZ file"
        buffer.attrs.create("sequence", np.int64(0))
        buffer.attrs.create("length", np.int64(0))
        buffer.attrs.create("checksum", np.bytes_(b""), dtype="S64")


def _whole(buffer: h5py.Dataset) -> tuple[int, NDArray[np.uint8]]:
    """Return the sequence number and the bytes of a buffer; 0 if a write was cut off."""
    try:
        data = np.asarray(buffer[: int(buffer.attrs["length"])])
    except (OSError, RuntimeError):  # it lies behind the recorded end
        return 0, np.zeros(0, np.uint8)
    sequence = int(buffer.attrs["sequence"])
    good = bytes(buffer.attrs["checksum"]) == _checksum(data, sequence)
    return (sequence if good else 0), data


def _checksum(data: NDArray[np.uint8], sequence: int) -> bytes:
    return sha256(b"%d " % sequence + data.tobytes()).hexdigest().encode()
