"""Which device a calibration belongs to, and which software made it."""

from __future__ import annotations

import hashlib
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from devices import Device, Wrapper

__all__ = ["identity_of", "versions"]


def identity_of(device: Device) -> dict[str, Any]:
    """Return what makes a device the one that was calibrated.

    Name, widths and units; a hash of the limits; a hash of how it is built, wrappers included;
    and, where the innermost device has an attribute ``identity`` (instruments with their serial
    numbers, the hash of a rig file), that as well.
    """
    spec = device.spec
    low, high = spec.limits
    limits = np.ascontiguousarray(np.stack([low, high]))
    found: dict[str, Any] = {
        "name": spec.name,
        "n_inputs": int(spec.n_inputs),
        "n_outputs": int(spec.n_outputs),
        "units": [spec.input_unit, spec.output_unit],
        "limits": hashlib.sha256(limits.tobytes()).hexdigest()[:16],
        # Addresses in memory differ from one start to the next.
        "recipe": hashlib.sha256(
            re.sub(r" at 0x[0-9a-fA-F]+", "", repr(device)).encode()
        ).hexdigest()[:16],
    }
    inner = device
    while isinstance(inner, Wrapper):
        inner = inner.inner
    own = getattr(inner, "identity", None)
    if own is not None:
        found["instruments"] = own() if callable(own) else own
    return found


def versions() -> dict[str, str]:
    """Return the versions of Python and of what a calibration is computed with."""
    found = {"python": platform.python_version()}
    for package in ("pnn-toolkit", "numpy", "scipy", "h5py"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
