"""``rig.toml``: reading, checking, and what its tables mean."""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devices.rigs.addresses import canonical_address
from devices.rigs.catalogue import DRIVERS, RIGS
from devices.safety import LabLimits

__all__ = ["RigConfig", "build", "load_rig"]

_TABLES = ("rig", "instruments", "monitors", "limits", "sim", "replay")


@dataclass(frozen=True, kw_only=True)
class RigConfig:
    """The tables of a rig file.

    Attributes
    ----------
    path : Path
        Where it was read.
    kind : str
        ``waveform``, ``metasurface``, ``optical`` or ``board``.
    rig : dict
        The table ``[rig]`` without its kind.
    instruments, monitors : dict of str to dict
        In the order of the file, which is that of opening.
    limits : dict
        The laboratory's.
    sim, replay : dict
        What stands in for the instruments in these modes; only their key ``device`` is used
        here, the rest is the virtual bench's.
    """

    path: Path
    kind: str
    rig: dict[str, Any]
    instruments: dict[str, dict[str, Any]]
    monitors: dict[str, dict[str, Any]] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    sim: dict[str, Any] = field(default_factory=dict)
    replay: dict[str, Any] = field(default_factory=dict)


def load_rig(path: str | Path) -> RigConfig:
    """Read a rig file and check the names in it; nothing is made or opened.

    Raises
    ------
    ValueError
        If the file cannot be read, a table or key is unknown or missing, or two instruments have
        one address; the message names the file, the table and the key.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"rig file {path}: {error}") from error
    for key in tables:
        if key not in _TABLES:
            raise ValueError(f"rig file {path}: unknown table [{key}]{_hint(key, _TABLES)}")
    for key, table in tables.items():
        inner = table.values() if key in ("instruments", "monitors") else ()
        if not isinstance(table, dict) or not all(isinstance(one, dict) for one in inner):
            raise ValueError(f"rig file {path}: [{key}] must be a table, such as [{key}.NAME]")
    rig = dict(tables.get("rig", {}))
    kind = rig.pop("kind", None)
    if kind not in RIGS:
        raise ValueError(
            f"rig file {path}: [rig] kind={kind!r} is not one of {', '.join(RIGS)}"
            + _hint(str(kind), RIGS)
        )
    rest = {key: dict(tables.get(key, {})) for key in _TABLES[1:]}
    seen: dict[str, str] = {}
    for group in ("instruments", "monitors"):
        for name, table in rest[group].items():
            driver = table.get("driver", "callable-monitor" if group == "monitors" else None)
            if driver not in DRIVERS:
                raise ValueError(
                    f"rig file {path}: [{group}.{name}] driver={driver!r} is not one of "
                    f"{', '.join(DRIVERS)}" + _hint(str(driver), DRIVERS)
                )
            if not DRIVERS[driver].shares and isinstance(table.get("address"), str):
                here, same = f"[{group}.{name}]", canonical_address(table["address"])
                if (first := seen.setdefault(same, here)) != here:
                    raise ValueError(
                        f"rig file {path}: {first} and {here} have one address, "
                        f"{table['address']}; an instrument has one table only"
                    )
    return RigConfig(path=path, kind=kind, rig=rig, **rest)


def build(
    config: RigConfig, *, addressed: bool = True
) -> tuple[dict[str, Any], dict[str, Any], LabLimits]:
    """Make instruments, monitors and limits from the tables; constructors do no I/O.

    With ``addressed=False`` a missing address is none that is complained about.

    Raises
    ------
    ValueError
        With file, table and key, if a setting is unknown or out of its range.
    """
    limits = call(config, "[limits]", LabLimits, config.limits)
    made: list[dict[str, Any]] = []
    for group, tables, default in (
        ("instruments", config.instruments, ""),
        ("monitors", config.monitors, "callable-monitor"),
    ):
        made.append({})
        for name, table in tables.items():
            arguments = {"name": name} | table
            driver = DRIVERS[arguments.pop("driver", default)]
            where, factory = f"[{group}.{name}]", driver.load()
            if not addressed and "address" in inspect.signature(factory).parameters:
                arguments.setdefault("address", "loop:nowhere")
            made[-1][name] = call(config, where, factory, arguments, relative=True)
    return made[0], made[1], limits


def call(
    config: RigConfig,
    where: str,
    factory: Callable[..., Any],
    arguments: Mapping[str, Any],
    *inner: Any,
    relative: bool = False,
) -> Any:
    """Call a factory with the keys of a table; every complaint names file and table."""
    parameters = inspect.signature(factory).parameters
    names = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    names += [
        p.name for p in list(parameters.values())[len(inner) :] if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    try:
        inspect.signature(factory).bind(*inner, **arguments)
    except TypeError as error:
        bad = next((k for k in arguments if k not in names), "")
        raise ValueError(
            f"rig file {config.path}: {where} {error}{_hint(bad, names)}; its keys are "
            f"{', '.join(sorted(names))}"
        ) from error
    folder = config.path.parent
    if relative:  # "file.py:name" is looked for beside the rig file first
        arguments = {k: _beside(folder, v) for k, v in arguments.items()}
    try:
        return factory(*inner, **arguments)
    except (ValueError, TypeError) as error:
        raise ValueError(f"rig file {config.path}: {where} {error}") from error


def _beside(folder: Path, value: Any) -> Any:
    if isinstance(value, str) and ".py:" in value:
        file, _, name = value.rpartition(":")
        if (folder / file).is_file():
            return f"{folder / file}:{name}"
    return value


def _hint(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {near[0]!r}?" if near else ""
