"""A copy of a rig file with other addresses; everything else stays, comments too."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

__all__ = ["with_addresses"]

_TABLE = re.compile(r"\s*\[\s*instruments\s*\.\s*(?:\"([^\"]+)\"|'([^']+)'|([\w-]+))\s*\]")
_ADDRESS = re.compile(r"\s*(address|token)\s*=")


def with_addresses(
    source: str | Path, target: str | Path, addresses: Mapping[str, str], *, token: str = ""
) -> None:
    """Copy a rig file; each ``[instruments.NAME]`` gets its address from `addresses`.

    Where a `token` is given, it gets that too: ``env:NAME`` for an environment variable.

    Raises
    ------
    ValueError
        If an instrument is not written as a table of its own.
    OSError
        If a file cannot be read or written.
    """
    lines, here = [], ""
    for line in Path(source).read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("["):
            found = _TABLE.match(line)
            here = next((name for name in found.groups() if name), "") if found else ""
            lines.append(line)
            if here in addresses:
                # JSON's strings are TOML's.
                lines.append(f"address = {json.dumps(addresses[here])}")
                lines += [f"token = {json.dumps(token)}"] if token else []
        elif not (here in addresses and _ADDRESS.match(line)):
            lines.append(line)
    text = "\n".join(lines) + "\n"
    written = tomllib.loads(text).get("instruments", {})
    for name, address in addresses.items():
        if written.get(name, {}).get("address") != address:
            raise ValueError(
                f"{source}: instrument {name!r} must be a table of its own, [instruments.{name}], "
                "for an address to be put in"
            )
    # In one step: a program that waits for this file never sees half of it.
    fresh = Path(f"{target}.new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, target)
