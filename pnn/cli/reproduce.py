"""``pnn reproduce``: a published comparison as one command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnn.cli.errors import reported
from pnn.cli.options import Json

if TYPE_CHECKING:
    from pnn.reproduce import Reproduction

__all__ = ["reproduce"]

reproduce = typer.Typer(
    no_args_is_help=True, help="Reproduce a published comparison on our devices."
)


@reproduce.callback()
def _root() -> None:
    """Reproduce a published comparison on our devices."""


@reproduce.command()
def momeni2023(
    out: Annotated[
        Path | None,
        typer.Option(help="Folder; results in it are gone on with. runs/momeni2023-TIME if none."),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            help="Recorded acoustic cavity: a file of `pnn log import`, or a folder with "
            "drives.csv and answers.csv."
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(help="acoustic, acoustic-recorded, microwave, optical; all if not given."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="First seed.")] = 0,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds; 10 for vowels and 3 for digits if not given.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    joules_per_multiply_add: Annotated[
        float | None, typer.Option(help="Energy of the digital part, where it is known.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few epochs, two seeds: a look, no result.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate queries and time; drive nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """PhyLL beside its references, on acoustic, microwave and optical networks.

    After Momeni et al., Science 382, 1297 (2023): with and without labels, beside physics-aware,
    in-silico and ideal training, in a medium that stays or changes. Writes report.md, report.json,
    pictures and the results of every training into a folder.
    """
    with reported():
        from pnn.reproduce import prepare
        from pnn.reproduce.systems import SYSTEMS
        from pnn.run_path import default_path

        intended = prepare(
            out or default_path("momeni2023").with_suffix(""),
            recording=recording,
            systems=tuple(system) if system else tuple(SYSTEMS),
            seed=seed,
            seeds=seeds,
            jobs=jobs,
            quick=quick,
            joules_per_multiply_add=joules_per_multiply_add,
        )
        estimate = _estimate(intended, jobs, quick)
        print(_estimate_text(estimate), file=sys.stderr)
        if dry_run:
            if as_json:
                print(json.dumps(estimate))
            return
        content = intended.run(_progress)
        print(json.dumps(content, default=str) if as_json else _text(content))


def _estimate(intended: Reproduction, jobs: int, quick: bool) -> dict[str, Any]:
    """Return what the whole will take."""
    from pnn.reproduce.systems import expected_seconds

    parts = intended.parts(planned_only=True)
    seconds = sum(len(part.plan.cells) * expected_seconds(part.task) for part in parts)
    return {
        "folder": str(intended.folder),
        "systems": list(intended.systems),
        "skipped": intended.skipped,
        "trainings": sum(len(part.plan.cells) for part in parts),
        "queries": sum(part.plan.queries for part in parts),
        "seconds": None if quick else seconds / min(jobs, os.cpu_count() or 1),
    }


def _estimate_text(estimate: dict[str, Any]) -> str:
    from pnn.report import duration

    time = "about a minute"
    if estimate["seconds"] is not None:
        time = f"about {duration(estimate['seconds'])} on a machine that does nothing else"
    lines = [
        f"momeni2023  {', '.join(estimate['systems'])}: {estimate['trainings']} trainings",
        f"queries     at most {estimate['queries']}, tests included, learning curves not; {time}",
        f"folder      {estimate['folder']}",
    ]
    return "\n".join(lines + [f"skipped     {k}: {v}" for k, v in estimate["skipped"].items()])


def _progress(part: str) -> Any:
    def told(done: int, total: int, cell: Any) -> None:
        if done % max(1, total // 10) == 0 or done == total:
            print(f"{part}: {done} of {total} trainings done", file=sys.stderr, flush=True)

    return told


def _text(content: dict[str, Any]) -> str:
    from pnn.reproduce.report import results_table

    lines = []
    for name, system in content["systems"].items():
        lines += [f"{name}, {system['dataset']}", "", results_table(system)]
        lines += [f"linear model, no device: {100 * system['linear']:.1f} %", ""]
    lines += [f"skipped  {name}: {why}" for name, why in content["skipped"].items()]
    pictures = "".join(f", {name}" for name in content["pictures"])
    return "\n".join([*lines, f"folder   {content['folder']}: report.md, report.json{pictures}"])
