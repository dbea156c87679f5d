"""Finding and opening record files for reading."""

from __future__ import annotations

from pathlib import Path

import h5py

from devices.errors import DamagedFile
from devices.hdf5 import check_undone
from devices.hdf5.superblock import read_superblock

__all__ = ["beside", "existing", "opened"]


def existing(path: str | Path) -> Path:
    """Return the path of a file that is there.

    Raises
    ------
    OSError
        If it is a folder, or there is nothing.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a file")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path


def beside(path: Path, word: str, out: str | Path | None) -> Path:
    """Return `out`, or ``NAME.WORD.h5`` beside a file; it must not be there yet.

    Raises
    ------
    FileExistsError
        If it is.
    """
    out = path.with_name(f"{path.stem}.{word}{path.suffix}") if out is None else Path(out)
    if out.exists():
        raise FileExistsError(f"{out} exists already and is not overwritten; choose another name")
    return out


def opened(path: str | Path) -> h5py.File:
    """Open a record for reading, also while it is being written.

    Raises
    ------
    OSError
        If it is not there or does not open; the message says what to do.
    ValueError
        If it is no HDF5 file.
    """
    path = existing(path)
    if read_superblock(path) is None:
        raise ValueError(f"cannot open {path} as a run file: it is no HDF5 file")
    check_undone(path)
    first: OSError | None = None
    # Without a lock; as this program has it open already; as a file that lets readers follow.
    for way in ({"locking": False}, {}, {"swmr": True}):
        try:
            return h5py.File(path, "r", **way)
        except (OSError, ValueError) as error:
            first = first or DamagedFile.because(path, error)
    assert first is not None
    raise first
