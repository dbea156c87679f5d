"""Where a result comes from: versions, machine, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
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
        "git": git_revision(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cores": os.cpu_count() or 0,
        "command": sys.argv,
    }


def git_revision() -> str:
    """Return the revision of this checkout, ``-dirty`` if files were changed; "" outside of one."""
    folder = Path(__file__).parents[1]
    if not (folder / ".git").exists():  # an installed package, or a copy: whose history is it?
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
