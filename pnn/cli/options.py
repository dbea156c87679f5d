"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DeviceName", "DryRun", "Json", "Mode", "RigName"]

DeviceName = Annotated[
    str | None, typer.Option(help="Another device: NAME?key=value&..., or a TOML file.")
]
RigName = Annotated[str | None, typer.Option(help="A rig file (rig.toml) instead of --device.")]
Mode = Annotated[str, typer.Option(help="With --rig: real, sim or replay.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and estimate; drive nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
