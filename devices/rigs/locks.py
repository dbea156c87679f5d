"""One process at a time on an instrument."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from devices.errors import InUse
from devices.rigs.addresses import canonical_address

__all__ = ["RigLock"]


class RigLock:
    """An exclusive lock on an address, which the system releases when its process ends.

    The lock is on the instrument, not on the file that describes the rig, nor on the spelling of
    its address: a copy of that file drives the same instrument. It lies in the folder for
    temporary files, ``PNN_LOCK_DIR`` if that is set, with the number of the process that holds it
    beside it.

    Parameters
    ----------
    address : str
        Of the instrument.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        name = hashlib.sha256(canonical_address(address).encode()).hexdigest()[:16]
        self._file = _folder() / f"{name}.lock"
        self._owner = _folder() / f"{name}.pid"
        self._lock = FileLock(self._file, timeout=0, mode=0o666, is_singleton=False)

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        InUse
            If another process, or another rig in this one, has it.
        """
        try:
            self._lock.acquire()
        except Timeout as error:
            owner = "unknown"
            with contextlib.suppress(OSError):
                owner = self._owner.read_text(encoding="ascii").strip()
            raise InUse(
                f"{self._address} is in use by process {owner}; end that one first, or wait for it"
            ) from error
        with contextlib.suppress(OSError):  # only for the message above
            self._owner.write_text(str(os.getpid()), encoding="ascii")
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _folder() -> Path:
    folder = Path(os.environ.get("PNN_LOCK_DIR") or Path(tempfile.gettempdir()) / "pnn-locks")
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            folder.chmod(0o1777)
    return folder
