"""A device built anew with other arguments, in the same stack of wrappers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from devices import Device
from devices.device import _rebuild
from pnn.config import ConfigError

__all__ = ["rebuilt"]


def rebuilt(
    device: Device, changes: Mapping[tuple[int | None, str], Any], *, programmed: bool
) -> Device:
    """Return the same stack of devices, closed, with some arguments changed.

    Parameters
    ----------
    device : Device
        It is not changed.
    changes : mapping
        From (wrapper, argument) to value; wrappers count from 0, the innermost, None is the
        device within them.
    programmed : bool
        Whether the programmable parameters keep their values; else they start as the arguments
        say.

    Raises
    ------
    ConfigError
        If there is no such wrapper or argument.
    ValueError
        If a constructor refuses a value.
    """
    stack = [device]
    while (inner := getattr(stack[-1], "inner", None)) is not None:
        stack.append(inner)
    for wrapper, key in changes:
        if wrapper is not None and wrapper > len(stack) - 2:
            raise ConfigError(
                f"wrap.{wrapper}.{key}: the device has {len(stack) - 1} wrappers, counted from 0: "
                f"{device!r}"
            )
    new: Device | None = None
    for level, one in enumerate(reversed(stack), -1):
        mine = {k: v for (wrapper, k), v in changes.items() if (wrapper is None) == (level < 0)
                and wrapper in (None, level)}  # fmt: skip
        new = _again(one, mine, new, one._settings() if programmed else None)
    assert new is not None
    return new


def _again(one: Device, changes: Mapping[str, Any], inner: Device | None, settings: Any) -> Device:
    bound = one._bound()
    parameters = bound.signature.parameters
    for name, value in bound.arguments.items():
        if value is getattr(one, "inner", parameters):
            bound.arguments[name] = inner
    for key, value in changes.items():
        rest = next((p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD), None)
        if key in parameters:
            bound.arguments[key] = value
        elif rest is not None:
            bound.arguments[rest] = {**bound.arguments.get(rest, {}), key: value}
        else:
            names = [name for name in parameters if name != "device"]
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(
                f"{type(one).__name__} has no argument {key}; {hint}it has {', '.join(names)}"
            )
    return _rebuild(type(one), bound.args, bound.kwargs, settings)
