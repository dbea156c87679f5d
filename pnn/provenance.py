"""Where a result comes from: versions, machine, command."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["provenance"]

PACKAGES = ("pnn-toolkit", "numpy", "scipy", "torch", "h5py", "scikit-learn")


def provenance() -> dict[str, Any]:
    """Return what a run file says about its origin."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "versions": versions,
        "platform": platform.platform(),
        "host": platform.node(),
        "cores": os.cpu_count() or 0,
        "command": sys.argv,
    }
