"""The rules that hold for a file while rows are appended: structure, space, what is on the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import h5py

from devices.hdf5.chunk_index import ChunkIndex
from devices.hdf5.undo import Part, structure_of, undoable

__all__ = ["RecordFull", "Session", "StructureError"]

SYNC_SECONDS = 10.0
#: Rows wait no longer; with a measurement that hands its rows on twice a second, that is a second.
WAIT_SECONDS = 0.5
#: Bytes kept free, so that waiting rows, status and error can always be written.
RESERVE = 2**20
_METADATA = 2**15  # what HDF5 adds to an extension: headers, an index node or two


class RecordFull(OSError):
    """There is no room for more rows; the file was, or can be, closed in order."""


class StructureError(RuntimeError):
    """Something new was to be created in a file to which rows are being appended."""


#: An index, the rows of its array as they are on the disk, and as they are now.
Growth = tuple[ChunkIndex, int, int]


class _Log(Protocol):
    @property
    def waiting(self) -> int: ...
    def flush(self) -> None: ...


class Session:
    """One file being written: shared by its groups and tables.

    Attributes
    ----------
    lock : threading.RLock
        Held while rows are taken or written, and while the structure changes: rows that wait are
        written by another thread if nothing else does it in time.
    """

    def __init__(self, file: h5py.File, path: Path, *, live: bool = False) -> None:
        self.file, self.path, self.live = file, path, live
        self.lock = threading.RLock()
        self.logs: list[_Log] = []
        self._timer: threading.Timer | None = None
        self._appending = False
        self._restructuring = 0
        self._changed = True  # the structure, since the last flush
        self._synced = time.monotonic()

    # -- structure -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Mark that rows are appended from now on."""
        if not self._appending:
            self._appending = True
            if self.live:
                self.file.flush()
                self.file.swmr_mode = True

    def check_structure(self, what: str) -> None:
        """Raise `StructureError` if nothing may be created now."""
        self._changed = True
        if self._appending and not self._restructuring:
            raise StructureError(
                f"{self.path}: cannot create {what} while rows are appended. Create it before the "
                "first row, or inside `with file.restructuring():`, which makes it safe"
            )

    @contextlib.contextmanager
    def restructuring(self) -> Iterator[None]:
        """Allow new objects; everything before is on the disk first, and they are at the end."""
        if self.live and self._appending:
            raise StructureError(
                f"{self.path}: nothing can be added to a live file once rows are appended; "
                "create it before the first row"
            )
        with self.lock:  # nothing half made is brought to the disk
            if self._appending:
                self.flush(sync=True)
            self._changed = True
            self._restructuring += 1
            try:
                yield
            finally:
                self._restructuring -= 1
                if self._appending:
                    self.flush(sync=True)

    # -- the disk ------------------------------------------------------------------------------

    def flush_soon(self) -> None:
        """See to it that what waits is written, whether or not the caller comes back in time."""
        if self._timer is None:
            self._timer = threading.Timer(WAIT_SECONDS, self._flush_late)
            self._timer.daemon = True
            self._timer.start()

    def _flush_late(self) -> None:
        with self.lock:
            self._timer = None
            if self.file:
                # The rows go on waiting, and the next append, or closing, raises it.
                with contextlib.suppress(OSError, RuntimeError):
                    for log in self.logs:
                        log.flush()

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Close the file at the end of the block, whatever happens in it."""
        if self._timer is not None:
            self._timer.cancel()
        with self.lock:
            try:
                yield
            finally:
                self.file.close()

    def flush(self, *, sync: bool = False) -> None:
        """Hand everything to the operating system, waiting rows included."""
        with self.lock:
            for log in self.logs:
                log.flush()
            self.hand_over(sync=sync)

    def hand_over(self, growing: Iterable[Growth] = (), *, sync: bool = False) -> None:
        """Flush the library's buffers; every ten seconds, or if asked, on to the disk.

        A kill while it does so breaks nothing that was there before.

        Parameters
        ----------
        growing : iterable of (ChunkIndex, int, int)
            Arrays that have grown since the last time, with their rows before and now.
        sync : bool
        """
        parts: list[Part] = []
        if not self.live:  # else the library itself writes in an order that readers can follow
            parts = (
                structure_of(self.file, self.path)
                if self._changed
                else [part for index, *rows in growing for part in index.at_risk(self.path, *rows)]
            )
        with undoable(self.file, self.path, parts) if parts else contextlib.nullcontext():
            self.file.flush()
        self._changed = False
        if sync or time.monotonic() - self._synced >= SYNC_SECONDS:
            if os.name == "posix":  # elsewhere the handle is no descriptor of Python's
                os.fsync(self.file.id.get_vfd_handle())
            self._synced = time.monotonic()

    def spare(self, n_bytes: int) -> tuple[int, bool]:
        """Return what is free after `n_bytes` more and what closing needs; and if that is ample.

        A negative number: they do not fit. Ample: no part of the reserve is touched.
        """
        free, limit = self._free()
        reserve = RESERVE if limit is None else min(RESERVE, limit // 8)
        spare = free - n_bytes - _METADATA - reserve // 2
        return spare, spare >= reserve // 2

    def check_room(self, n_bytes: int, what: str) -> None:
        """Raise `RecordFull` if `what`, of so many bytes, does not fit."""
        if self.spare(n_bytes)[0] < 0:
            raise self.full(f"no room for {what} of {n_bytes} bytes")

    def full(self, what: str) -> RecordFull:
        """Return the error that says how little room is left."""
        free, limit = self._free()
        where = "on the disk" if limit is None else f"under the file-size limit of {limit} bytes"
        return RecordFull(
            f"{self.path}: {what}; {max(free, 0)} bytes are free {where}, of which some are kept "
            "to close the file. Make room and go on, or write to another disk"
        )

    def _free(self) -> tuple[int, int | None]:
        """Return the bytes that the file may grow, and the file-size limit if it is the bound."""
        size = self.file.id.get_filesize()  # with what is allocated and not yet written
        pending = max(0, size - self.path.stat().st_size)
        free = shutil.disk_usage(self.path.parent).free - pending
        if sys.platform != "win32":
            import resource

            limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
            if limit != resource.RLIM_INFINITY and limit - size < free:
                return limit - size, limit
        return free, None
