"""Packages that only some users need: imported on use, and named with their remedy if missing."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["MissingExtraError", "require"]


class MissingExtraError(ImportError):
    """An optional package is missing; the message says which extra installs it."""


def require(module: str, extra: str) -> Any:
    """Import and return `module`, which the extra `extra` of this package installs.

    Raises
    ------
    MissingExtraError
        If it cannot be imported; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        # The cause is shown too: a package may be there and broken, which no extra mends.
        raise MissingExtraError(
            f"{module} cannot be imported ({error}); "
            f"it needs the extra: pip install 'pnn-toolkit[{extra}]'",
            name=module,
        ) from error
