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
#: Values that name a Python file, or a recording, by a path from the rig file's folder.
_FUNCTION = re.compile(r"""(["'])([^"':]+\.py):""")
_PATH = re.compile(r"""^(\s*path\s*=\s*["'])([^"']+)""", re.MULTILINE)


def with_addresses(
    source: str | Path, target: str | Path, addresses: Mapping[str, str], *, token: str = ""
) -> None:
    """Copy a rig file; each ``[instruments.NAME]`` gets its address from `addresses`.

    Where a `token` is given, it gets that too: ``env:NAME`` for an environment variable.

    Raises
    ------
    ValueError
        If an instrument is not written as a table of its own, or the copy is to take the place of
        its source.
    OSError
        If a file cannot be read or written.
    """
    origin, there = Path(source).resolve(), Path(target).resolve()
    if origin == there:
        raise ValueError(f"{target} is the rig file itself: write the copy under another name")
    if there.is_dir():
        raise IsADirectoryError(f"{target} is a folder: name a file")
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
    if origin.parent != there.parent:  # what stands beside the rig file is found from anywhere

        def whole(found: re.Match[str], end: str = "") -> str:
            file = origin.parent / found[2]
            return f"{found[1]}{file.as_posix()}{end}" if file.is_file() else found[0]

        text = _PATH.sub(whole, _FUNCTION.sub(lambda found: whole(found, ":"), text))
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
