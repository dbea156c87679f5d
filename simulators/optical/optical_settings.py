"""Named settings: values for the arguments that were left at None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices.checks import one_of

__all__ = ["filled"]


def filled(
    owner: str, setting: str, settings: Mapping[str, Mapping[str, Any]], **given: Any
) -> dict[str, Any]:
    """Return `given` with the setting's value for each argument that is None.

    Raises
    ------
    ValueError
        If there is no such setting.
    """
    values = settings[one_of(owner, "setting", setting, tuple(settings))]
    return {name: values[name] if value is None else value for name, value in given.items()}
