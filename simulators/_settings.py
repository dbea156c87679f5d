"""Named settings: defaults that belong together, for the arguments left at None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices.checks import one_of

__all__ = ["settle"]


def settle(
    owner: str, setting: str, settings: Mapping[str, Mapping[str, Any]], **given: Any
) -> dict[str, Any]:
    """Return the `given` arguments, None replaced by the value of the named setting.

    Raises
    ------
    ValueError
        If there is no such setting.
    """
    chosen = settings[one_of(owner, "setting", setting, tuple(settings))]
    return {name: chosen[name] if value is None else value for name, value in given.items()}
