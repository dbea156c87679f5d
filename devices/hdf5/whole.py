"""A record file that is there whole or not at all, for what is written at one go."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devices.hdf5.file import RecordFile

__all__ = ["whole_file"]


@contextlib.contextmanager
def whole_file(path: str | Path, *, kind: str, **attributes: Any) -> Iterator[RecordFile]:
    """Write a record under a name beside its own, which it gets when it is done.

    Parameters
    ----------
    path, kind, **attributes
        Of the `RecordFile`.

    Raises
    ------
    FileExistsError
        If there is a file already.
    OSError
        If the place cannot be written.
    """
    path = Path(path)
    # Another writer beside this one may finish first; the name is looked at before and after.
    _refuse(path)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with RecordFile(fresh, kind=kind, **attributes) as file:
            yield file
        _refuse(path)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _refuse(path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists already and is not overwritten; choose another file")
