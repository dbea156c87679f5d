"""A record file: made by one command, or re-opened after it; closed in every case."""

from __future__ import annotations

import errno
import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py

from devices.errors import DamagedFile
from devices.hdf5.attributes import put_in_place, read_attributes, slot_size, slot_text
from devices.hdf5.group import RecordGroup
from devices.hdf5.session import RecordFull, Session
from devices.hdf5.superblock import read_superblock, record_end
from devices.hdf5.tables import tables
from devices.hdf5.undo import put_back, undo_file
from devices.provenance import provenance

__all__ = ["ROOT_SLOTS", "SCHEMA", "RecordFile", "recover", "schema_of"]

#: Version of the layout, written into every file.
SCHEMA = 1

#: Texts at the root that change while a file is written, and their bytes.
ROOT_SLOTS = {"status": 32, "ended": 40, "error": 4096, "sessions": 8192}


class RecordFile(RecordGroup):
    """An HDF5 file written by one command; closed in every case with its status.

    Parameters
    ----------
    path : path
        A file that does not exist yet; missing folders are made.
    kind : str
        What the file records: ``train``, ``recording`` ...
    live : bool
        True for a file that other programs read while it grows (``h5py.File(path, swmr=True)``).
        It needs a repair after a kill, which a plain file does not.
    **attributes
        Written at the root at once, beside what every file says: run id, times, versions, revision
        of the code, host and command.

    Raises
    ------
    FileExistsError
        If there is a file already: a record is never overwritten.
    OSError
        If the place cannot be written; raised before anything is driven.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from devices.hdf5 import Column, RecordFile
    >>> path = f"{tempfile.mkdtemp()}/rows.h5"
    >>> with RecordFile(path, kind="demo") as file:
    ...     log = file.rows({"answers": Column(dims={"output": 2}, unit="V")})
    ...     log.append(answers=np.zeros((3, 2)))
    >>> with RecordFile.reopen(path, kind="demo") as file:
    ...     log = file.rows({"answers": Column(dims={"output": 2}, unit="V")})
    ...     log.append(answers=np.ones((1, 2)))
    ...     log.count
    4
    """

    path: Path
    file: h5py.File

    def __init__(
        self, path: str | Path, *, kind: str, live: bool = False, **attributes: Any
    ) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"cannot make the folder of the record {self.path}: {error.strerror}; choose "
                "another place"
            ) from error
        if self.path.is_dir():
            raise FileExistsError(f"{self.path} is a folder; give the name of a file to write")
        # Superblock 3, which readers of a growing file need, only where it is asked for: a file
        # that has it does not open after a kill.
        libver = ("v110", "v110") if live else ("earliest", "v108")
        try:
            self.file = h5py.File(self.path, "x", libver=libver)
        except FileExistsError:
            raise FileExistsError(
                f"{self.path} exists already and is not overwritten; choose another file"
            ) from None
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            raise OSError(
                f"cannot write the record {self.path}: {reason}; choose another place"
            ) from error
        undo_file(self.path).unlink(missing_ok=True)  # of a record that is gone
        super().__init__(self.file, Session(self.file, self.path, live=live))
        try:
            for name, size in ROOT_SLOTS.items():
                self.slot(name, size)
            self.set(
                schema=SCHEMA,
                kind=kind,
                run_id=uuid.uuid4().hex,
                status="running",
                started=_now(),
                started_monotonic=time.monotonic(),
            )
            self.set(**provenance() | attributes)
            self.flush()
        except BaseException as error:
            self.close("failed", error)
            raise

    @classmethod
    def reopen(cls, path: str | Path, *, kind: str) -> Self:
        """Open the file of a run that ended, however it ended, to append to it.

        Tables are cut to the rows that are whole in all columns; the status is ``running`` again
        and the session before is kept in the attribute ``sessions``.

        Parameters
        ----------
        path : path
            A record file.
        kind : str
            That the file must have.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no record file of that kind and layout.
        OSError
            If it is open in another program, cannot be written, or is damaged.
        """
        path = Path(path)
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise FileNotFoundError(f"{path} {what}; give a file to go on with")
        try:
            recover(path)
            with h5py.File(path, "r"):
                block = read_superblock(path)
            if block is not None and block.unrecorded:
                record_end(path)  # the library would cut off what lies behind
            file = h5py.File(path, "r+")
        except OSError as error:
            raise _refusal(path, error) from error
        try:
            found = read_attributes(file)
            if found.get("kind") != kind or schema_of(file) != SCHEMA:
                raise ValueError(
                    f"{path} is of the kind {found.get('kind')!r} and layout {schema_of(file)}, "
                    f"not {kind!r} and {SCHEMA}; `pnn log migrate` brings older files up to date"
                )
            self = cls.__new__(cls)
            self.path, self.file = path, file
            RecordGroup.__init__(self, file, Session(file, path))
            for table in list(tables(file)):
                if table.ragged:
                    table.cut()
            before = {k: found.get(k) for k in ("resumed", "ended", "status", "error")}
            before = {k: str(v)[:200] for k, v in before.items() if v}
            sessions = [*found.get("sessions", []), before | {"until": _now()}]
            while len(str(sessions)) > slot_size(file, "sessions") // 2:
                del sessions[1]
            self.set(status="running", ended="", error="", sessions=sessions)
            self.flush()
        except BaseException:
            file.close()
            raise
        return self

    def close(self, status: str = "done", error: BaseException | None = None) -> None:
        """Write the waiting rows and close the file with its status; nothing on a closed file.

        Raises
        ------
        RecordFull
            If rows are left that the disk has no room for.
        """
        if not self.file:
            return
        full: RecordFull | None = None
        with self._session.closing():
            text = "" if error is None else f"{type(error).__name__}: {error}"
            lost = 0
            for log in self._session.logs:
                try:
                    log.flush()
                except RecordFull as caught:
                    lost += log.waiting
                    full = caught if log.waiting else full
            if lost:
                text = f"{text}; {lost} rows did not fit any more".removeprefix("; ")
                status = "failed" if status == "done" else status
            self._end(error=slot_text(text, ROOT_SLOTS["error"]))
            self._session.hand_over()
            self._end(status=status, ended=_now())
            self._session.hand_over(sync=True)
        if full is not None and error is None:
            raise full

    def _end(self, **texts: str) -> None:
        """Write what the file ends with, even where somebody has put a longer text in the slot."""
        for name, text in texts.items():
            if not put_in_place(self.file, name, text):
                self.file.attrs[name] = text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
            self.close("interrupted" if interrupted else "failed", error)


def schema_of(file: h5py.File) -> int | None:
    """Return the version of a file's layout; None for a file that is none of ours.

    Files of before the layout was fixed say 1 as well, and have no slot ``sessions``: these are
    of version 0.
    """
    if "schema" not in file.attrs or "kind" not in file.attrs:
        return None
    version = int(file.attrs["schema"])
    return 0 if version == 1 and "sessions" not in file.attrs else version


def recover(path: str | Path) -> None:
    """Put a record back to before a change that a kill broke off; nothing if none was.

    To be called before a record is gone on with that is looked into first; `RecordFile.reopen`
    does it as well.

    Raises
    ------
    OSError
        If it is open in another program, or may not be written.
    """
    path = Path(path)
    undo = undo_file(path)
    if not undo.is_file():
        return
    try:
        with h5py.File(path, "r"):
            pass
    except OSError as error:  # that it does not open is what can be mended
        refusal = _refusal(path, error)
        if isinstance(refusal, (BlockingIOError, PermissionError)):
            raise refusal from error
    put_back(path, undo)
    undo.unlink()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _refusal(path: Path, error: OSError) -> OSError:
    """Say why a file cannot be opened for writing, and what to do."""
    text = str(error)
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return PermissionError(f"{path} cannot be written: {error}; copy it to another place")
    if "already open" in text and "h5clear" not in text:
        return BlockingIOError(f"{path} is open in this program; close it first ({error})")
    if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK) or "unable to lock" in text:
        return BlockingIOError(f"{path} is open in another program; close it there first ({error})")
    return DamagedFile.because(path, error)
