"""Where a record comes from: versions, revision, machine, command."""

from __future__ import annotations

import functools
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
    """Return what every record file says about its origin."""
    return {
        "versions": dict(_versions()),
        "git": git_revision(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cores": os.cpu_count() or 0,
        "command": sys.argv,
    }


@functools.cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


@functools.cache
def git_revision() -> str:
    """Return the revision of this checkout, ``-dirty`` if files were changed; "" outside of one.

    It is that of the first call in this process: what is imported later is hardly another one.
    """
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
