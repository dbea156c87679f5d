"""Which device a calibration belongs to, and which software made it."""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from devices import Cached, Device, Recorded, Wrapper
from devices.resumed import Resumed

__all__ = ["differences", "identity_of", "innermost", "versions"]


def innermost(device: Device) -> Device:
    """Return the device within all wrappers."""
    while isinstance(device, Wrapper):
        device = device.inner
    return device


def identity_of(device: Device) -> dict[str, Any]:
    """Return what makes a device the one that was calibrated.

    Name, widths and units; ``limits``, a hash of the legal drives and of the laboratory's limits;
    ``recipe``, a hash of how it is built, of a rig that is its rig file, wrappers included except
    those that only look on (`Recorded`, `Resumed`, `Cached`). Addresses do not count: who answers
    there does, in ``instruments``, the identities of a rig's instruments (or of the innermost
    device, where it has an attribute ``identity``). These are known while the device is open.
    """
    spec, inner = device.spec, innermost(device)
    low, high = spec.limits
    limits = np.ascontiguousarray(np.stack([low, high])).tobytes()
    laboratory = getattr(inner, "limits", None)
    if laboratory is not None:
        limits += repr(laboratory).encode()
    found: dict[str, Any] = {
        "name": spec.name,
        "n_inputs": int(spec.n_inputs),
        "n_outputs": int(spec.n_outputs),
        "units": [spec.input_unit, spec.output_unit],
        "limits": hashlib.sha256(limits).hexdigest()[:16],
        "recipe": hashlib.sha256(json.dumps(_told(device)).encode()).hexdigest()[:16],
    }
    if instruments := _instruments(inner):
        found["instruments"] = instruments
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two identities differ; instruments only where both are known.

    A name is for people: a rig file that was renamed is still of the same rig.
    """
    keys = (one.keys() | other.keys()) - {"name"}
    if not ("instruments" in one and "instruments" in other):
        keys -= {"instruments"}
    return sorted(key for key in keys if one.get(key) != other.get(key))


def _instruments(inner: Device) -> Any:
    own = getattr(inner, "identity", None)
    if own is not None:
        return own() if callable(own) else own
    parts = getattr(inner, "instruments", {}) if inner.is_open else {}
    named = {name: str(getattr(one, "identity", "")) for name, one in parts.items()}
    return {name: identity for name, identity in named.items() if identity}


def _told(value: Any) -> Any:
    """Say how something is built in plain values that are the same after a new start."""
    while isinstance(value, (Recorded, Resumed, Cached)):
        value = value.inner
    if isinstance(value, Wrapper) and hasattr(value, "calibration_id"):
        return ["calibrated", _told(value.inner), value.calibration_id]  # wherever its file lies
    if isinstance(value, Device):
        cls, args, kwargs, _ = value.__reduce__()[1]
        bound = inspect.signature(cls).bind(*args, **kwargs)
        return [cls.__qualname__, _told(bound.arguments)]
    if isinstance(value, Mapping):
        return {str(k): _told(v) for k, v in value.items() if k != "name"}
    if isinstance(value, (list, tuple)):
        return [_told(one) for one in value]
    if isinstance(value, np.ndarray):
        return [str(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    return re.sub(r" at 0x[0-9a-fA-F]+|address='[^']*'", "", repr(value))


def versions() -> dict[str, str]:
    """Return the versions of Python and of what a calibration is computed with."""
    found = {"python": platform.python_version()}
    for package in ("pnn-toolkit", "numpy", "scipy", "h5py"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
