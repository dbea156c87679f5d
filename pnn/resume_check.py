"""What a run stands on, and in what that differs when somebody goes on with it."""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from calibration.identity import identity_of, innermost
from devices import Device

__all__ = ["DifferentError", "agree", "differences", "standing"]

_SHOWN = 100  # characters of a value


class DifferentError(ValueError):
    """What a run stands on has changed since; the message lists every difference."""


def standing(origin: Mapping[str, Any], devices: Sequence[Device]) -> dict[str, Any]:
    """Return what must be the same for the same results, as plain values.

    Parameters
    ----------
    origin : mapping
        What `devices.provenance.provenance` returned.
    devices : sequence of Device
        Open, so that it is known which instruments answer.
    """
    return {
        "versions": origin["versions"],
        "code": _code(),
        "devices": [
            identity_of(device)
            | {
                "allowed": _allowed(device),
                "built": re.sub(r" at 0x[0-9a-fA-F]+|address='[^']*'", "", repr(device)),
                "calibrations": [one for d in _stack(device) if (one := _calibration(d))],
                "files": dict(_files(device)),
            }
            for device in devices
        ],
    }


def differences(then: Any, now: Any, name: str = "") -> list[str]:
    """Return one line for each value in which two nested records differ: ``name: then -> now``."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        keys = [*then, *(key for key in now if key not in then)]
        lines = [differences(then.get(k), now.get(k), f"{name}.{k}".lstrip(".")) for k in keys]
        return [line for group in lines for line in group]
    if _is_list(then) and _is_list(now) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{name}[{i}]")]
    return [] if then == now else [f"{name}: {' -> '.join(_told(then, now))}"]


def agree(what: str, then: Mapping[str, Any], now: Mapping[str, Any], *, accept: bool) -> list[str]:
    """Return the differences if they are accepted.

    Raises
    ------
    DifferentError
        If there are differences, and they are not.
    """
    found = differences(then, now)
    if found and not accept:
        raise DifferentError(
            f"{what}: not everything is as it was then; --accept goes on all the same, and the "
            "file will say so:\n" + "\n".join(f"  {line}" for line in found)
        )
    return found


def _stack(device: Device | None) -> Iterator[Device]:
    while device is not None:
        yield device
        device = getattr(device, "inner", None)


def _calibration(device: Device) -> str:
    return str(getattr(device, "calibration_id", ""))


def _allowed(device: Device) -> dict[str, Any]:
    """Say what may be driven, readably; `identity_of` has the hash of it."""
    low, high = device.spec.limits
    unit = device.spec.input_unit
    found: dict[str, Any] = {"drives": f"{low.min():g} to {high.max():g} {unit}".removesuffix(" 1")}
    laboratory = getattr(innermost(device), "limits", None)
    if is_dataclass(laboratory) and not isinstance(laboratory, type):
        found |= asdict(laboratory)
    return found


def _files(device: Device) -> Iterator[tuple[str, str]]:
    """Yield the files that make a device, each with its hash.

    Those that arguments name, ``bench.py:measure`` as well, and those of classes of others.
    """
    for one in _stack(device):
        module = Path(getattr(sys.modules.get(type(one).__module__), "__file__", None) or "")
        if module.is_file() and not any(package in module.parents for package in _packages()):
            yield module.name, _hash(module)
        for value in one.recipe().values():
            text = str(value) if isinstance(value, (str, Path)) else ""
            path = Path(text.rpartition(":")[0] if ".py:" in text else text)
            if text and path.is_file():
                yield path.name, _hash(path)


def _packages() -> list[Path]:
    root = Path(__file__).parents[1]
    return [root / name for name in ("pnn", "calibration", "simulators", "devices")]


@functools.cache
def _code() -> str:
    """Return a hash of the toolkit's own code: a revision says nothing of what was edited since."""
    found = hashlib.sha256()
    for package in _packages():
        for path in sorted(package.rglob("*.py")):
            found.update(path.relative_to(package.parent).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _told(*values: Any) -> list[str]:
    """Write values in a line; long ones from shortly before the first difference."""
    texts = ["nothing" if value in (None, "", [], {}) else str(value) for value in values]
    if max(map(len, texts)) <= _SHOWN:
        return texts
    same = next((i for i, both in enumerate(zip(*texts, strict=False)) if len({*both}) > 1), 0)
    start = max(0, same - _SHOWN // 3)
    return [
        ("..." if start else "") + text[start : start + _SHOWN]
        + ("..." if len(text) > start + _SHOWN else "")
        for text in texts
    ]  # fmt: skip
