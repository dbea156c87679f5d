"""Devices by name: ``sim:scattering-medium?n_outputs=1024&seed=3``, or the same from TOML.

Names come from the entry-point group ``pnn.devices``, so that any installed package adds its
own, and from `register_device`. A name's target is a `Device` class or a function that returns a
device.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from devices.checks import did_you_mean
from devices.device import Device

__all__ = ["available_devices", "build_device", "open_device", "register_device", "summary_of"]

GROUP = "pnn.devices"

Factory = Callable[..., Device]

_registered: dict[str, Factory] = {}


def register_device(name: str, factory: Factory) -> None:
    """Make `factory` known as `name` in this process; a package uses an entry point instead.

    Raises
    ------
    ValueError
        If the name is taken, or contains ``?``.
    """
    if "?" in name or name in available_devices():
        raise ValueError(f"the device name {name!r} is taken, or contains '?'")
    _registered[name] = factory


def available_devices() -> dict[str, str]:
    """Return the known names, each with where it comes from, sorted."""
    found = {
        name: f"{f.__module__}:{getattr(f, '__qualname__', type(f).__qualname__)}"
        for name, f in _registered.items()
    }
    return dict(sorted((found | {e.name: e.value for e in entry_points(group=GROUP)}).items()))


def build_device(
    source: str | Path | Mapping[str, Any] | Device,
    *,
    defaults: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Device:
    """Make a device from its name, without opening it.

    Parameters
    ----------
    source : str, path, mapping or Device
        ``"sim:scattering-medium?n_outputs=1024&seed=3"``: a name with arguments; or the path of
        a TOML file with a table ``[device]``, or of a rig; or such a table: ``name``, the
        arguments, and a list ``wrap`` of further tables, innermost first, whose names are given
        without the leading ``wrap:``. A device is returned as it is.
    defaults : mapping, optional
        Arguments for a device that takes them and is not given them by `source`.
    **overrides
        Arguments that take precedence over those in `source`.

    Raises
    ------
    ValueError
        If the name or an argument is unknown (with the names there are), or the text is
        malformed; whatever the device's constructor raises for a bad value.
    """
    if isinstance(source, Device):
        if overrides:
            raise ValueError(f"{source!r} is made already; arguments {sorted(overrides)} are late")
        return source
    # An argument behind "?" may end like a file's name, as that of "rig?path=rig.toml" does.
    is_file = isinstance(source, str) and source.endswith(".toml") and "?" not in source
    if isinstance(source, Path) or is_file:
        table = _read(Path(str(source)))
    elif isinstance(source, str):
        table = _parse(source)
    else:
        table = dict(source)
    wraps = table.pop("wrap", [])
    if not isinstance(wraps, Sequence) or not all(isinstance(wrap, Mapping) for wrap in wraps):
        raise ValueError(f"wrap={wraps!r} must be a list of tables, each with a name")
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise ValueError(f"a device needs a name, got {name!r}; known: {_known()}")
    if "?" in name:  # a table may carry a full text as its name
        table = _parse(name) | table
        name = table.pop("name")
    parameters = inspect.signature(factory_of(name)).parameters
    fitting = {key: value for key, value in (defaults or {}).items() if key in parameters}
    device = _call(name, fitting | table | overrides)
    for wrap in wraps:
        arguments = dict(wrap)
        device = _call(f"wrap:{arguments.pop('name', None)}", arguments, device)
    return device


def open_device(source: str | Path | Mapping[str, Any] | Device, **overrides: Any) -> Device:
    """Make a device as `build_device` does, and open it; use it in a ``with`` statement.

    Examples
    --------
    >>> with open_device("sim:scattering-medium?n_inputs=4&n_outputs=16&seed=3") as device:
    ...     device.measure([[0.0, 0.1, 0.2, 0.3]]).shape
    (1, 16)
    """
    return build_device(source, **overrides).open()


def summary_of(name: str) -> str:
    """Return the first line of a device's documentation."""
    return (inspect.getdoc(factory_of(name)) or "").partition("\n")[0]


def _call(name: str, arguments: Mapping[str, Any], *inner: Device) -> Device:
    factory = factory_of(name)
    try:
        inspect.signature(factory).bind(*inner, **arguments)
    except TypeError as error:
        names = [
            p.name if p.default is p.empty else f"{p.name}={p.default!r}"
            for p in list(inspect.signature(factory).parameters.values())[len(inner) :]
            if p.kind is not p.VAR_KEYWORD
        ]
        raise ValueError(
            f"device {name!r}: {error}; its arguments are {', '.join(names)}"
        ) from error
    device = factory(*inner, **arguments)
    if not isinstance(device, Device):
        raise ValueError(f"device {name!r}: {factory!r} returned {device!r}, which is no Device")
    return device


def factory_of(name: str) -> Factory:
    if name in _registered:
        return _registered[name]
    entries: tuple[EntryPoint, ...] = tuple(entry_points(group=GROUP, name=name))
    if not entries:
        hint = did_you_mean(name, available_devices())
        raise ValueError(f"there is no device {name!r}.{hint} Known: {_known()}")
    factory: Factory = entries[0].load()
    return factory


def _known() -> str:
    return ", ".join(available_devices())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"device file {path}: {error}") from error
    if "rig" in content and "device" not in content:
        return {"name": "rig", "path": str(path)}
    table = content.get("device")
    if not isinstance(table, dict):
        raise ValueError(f"device file {path}: it has no table [device], or [rig]")
    return table


def _parse(text: str) -> dict[str, Any]:
    name, _, query = text.partition("?")
    table: dict[str, Any] = {"name": name}
    try:
        # A plus is a plus (1e+3), not a space as in a web form.
        pairs = parse_qsl(
            query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=bool(query)
        )
    except ValueError as error:
        raise ValueError(f"device {text!r}: after '?' expected key=value&key=value") from error
    for key, value in pairs:
        if key in table:
            raise ValueError(f"device {text!r}: {key} is given twice")
        table[key] = _literal(value)
    return table


def _literal(text: str) -> Any:
    """Read a number, true, false, none, or a comma-separated list of these; else the text."""
    if "," in text:
        return [_literal(part) for part in text.split(",")]
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
