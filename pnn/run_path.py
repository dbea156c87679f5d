"""Where a run file goes that was given no name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

__all__ = ["default_path"]


def default_path(name: str) -> Path:
    """Return ``runs/NAME-TIME.h5``, numbered if that is there."""
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    path, n = Path("runs") / f"{stem}.h5", 1
    while path.exists():
        path, n = Path("runs") / f"{stem}-{n}.h5", n + 1
    return path
