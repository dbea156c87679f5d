"""What a run stands on, and in what that differs when somebody goes on with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from calibration.identity import identity_of
from devices import Device

__all__ = ["DifferentError", "agree", "differences", "standing"]


class DifferentError(ValueError):
    """What a run stands on has changed since; the message lists every difference."""


def standing(origin: Mapping[str, Any], devices: Sequence[Device]) -> dict[str, Any]:
    """Return what must be the same for the same results, as plain values.

    Parameters
    ----------
    origin : mapping
        What `pnn.provenance.provenance` returned.
    devices : sequence of Device
        Open, so that it is known which instruments answer.
    """
    return {
        "versions": origin["versions"],
        "git": origin["git"],
        "devices": [
            identity_of(device)
            | {
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
    return [] if then == now else [f"{name}: {_told(then)} -> {_told(now)}"]


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


def _files(device: Device) -> Iterator[tuple[str, str]]:
    """Yield the files that arguments name, ``bench.py:measure`` as well, each with its hash."""
    for one in _stack(device):
        for value in one.recipe().values():
            text = str(value) if isinstance(value, (str, Path)) else ""
            path = Path(text.rpartition(":")[0] if ".py:" in text else text)
            if text and path.is_file():
                yield path.name, hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _told(value: Any) -> str:
    text = "nothing" if value in (None, "", [], {}) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."
