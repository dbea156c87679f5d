"""``pnn sweep``: vary, measure, keep; pause and go on."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from pnn.cli.errors import reported
from pnn.cli.options import DeviceName, DryRun, Json, Mode, RigName
from pnn.cli.rig import rig_device

__all__ = ["sweep"]


def sweep(
    config: Annotated[
        str | None, typer.Argument(help="A TOML file; not needed with --resume.")
    ] = None,
    device: DeviceName = None,
    rig: RigName = None,
    mode: Mode = "real",
    out: Annotated[str | None, typer.Option(help="File to write.")] = None,
    repeats: Annotated[int | None, typer.Option(help="How often each point is measured.")] = None,
    order: Annotated[str | None, typer.Option(help="random or grid.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of order, samples and drives.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="File of a sweep that ended early: measure what is missing.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Resume although device, limits or code differ.")
    ] = False,
    dry_run: DryRun = False,
    keys: Annotated[
        bool, typer.Option("--keys", help="Describe every key of a configuration instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Vary parameters, drives or the device, and measure at every point."""
    with reported():
        from pnn.cli.progress import StatusLine
        from pnn.sweeps.config import load_sweep, sweep_reference
        from pnn.sweeps.file import extremes
        from pnn.sweeps.pause import SweepPaused
        from pnn.sweeps.sweep import prepare

        if keys:
            print(sweep_reference(), end="")
            return
        if rig is not None:
            device = rig_device(rig, mode, device)
        changes: dict[str, Any] = {
            "out": out, "repeats": repeats, "order": order, "seed": seed, "device": device
        }  # fmt: skip
        changes = {key: value for key, value in changes.items() if value is not None}
        late = [f"--{key}" for key in changes if key != "device"]
        if config is None and late:
            raise ValueError(f"{', '.join(late)}: a sweep that is resumed has its plan in the file")
        given = None if config is None else load_sweep(config, **changes)
        intended = prepare(given, device=device, resume=resume)
        if intended.finished:
            print(f"nothing is missing: {intended.path} is complete", file=sys.stderr)
        else:
            print(_plan_text(intended.summary()), file=sys.stderr)
        if dry_run and not intended.finished:
            print(
                json.dumps(intended.summary())
                if as_json
                else "dry run: everything checks out, nothing was driven"
            )
            return
        line = StatusLine()
        try:
            run = intended.run(
                accept=accept,
                progress=line.show,
                told=lambda: print(
                    "\nfinishing this point; Ctrl-C again ends at once", file=sys.stderr
                ),
            )
        except SweepPaused as pause:
            line.close()
            print(pause, file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            line.close()
        content = intended.summary()
        content |= {
            "status": run.status,
            "done": content["points"],
            "metrics": extremes(intended.path, intended.plan, intended.metrics),
        }
        for key in ("queries_left", "seconds_left"):
            del content[key]
        print(json.dumps(content) if as_json else _result_text(content))


def _plan_text(plan: dict[str, Any]) -> str:
    axes = ", ".join(f"{name} {n}" for name, n in plan["axes"].items())
    axes += f", repeat {plan['repeats']}" if plan["repeats"] > 1 else ""
    lines = [
        f"sweep   {plan['name']}: {plan['points']} points ({axes}), {plan['drives']} drives each",
        f"device  {textwrap.shorten(plan['device'], 160, placeholder=' ...')}",
    ]
    if plan["done"]:
        lines.append(f"resumed {plan['done']} points are measured")
    seconds = plan["seconds_left"]
    took = "" if seconds is None else f", about {seconds:.3g} s in the device"
    return "\n".join([*lines, f"queries {plan['queries_left']}{took}", f"file    {plan['run']}"])


def _result_text(content: dict[str, Any]) -> str:
    lines = [f"{content['points']} points, {content['queries']} queries, {content['status']}"]
    for name, ends in content["metrics"].items():
        for which in ("lowest", "highest"):
            at = ", ".join(f"{axis} = {_short(value)}" for axis, value in ends[which]["at"].items())
            lines.append(f"  {name}, {which:<8}{ends[which]['value']:>12.6g}  at {at}")
    return "\n".join([*lines, f"written: {content['run']}"])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
