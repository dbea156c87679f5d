"""``pnn log``: look at record files, mend them, hand them on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pnn.cli.errors import reported
from pnn.cli.log_import import import_recording
from pnn.cli.options import Json

__all__ = ["log"]

log = typer.Typer(no_args_is_help=True, help="Look at run files, mend them, hand them on.")
log.command("import")(import_recording)

File = Annotated[Path, typer.Argument(help="A file of this toolkit: run, sweep, recording ...")]
Out = Annotated[Path | None, typer.Option(help="The copy to write; beside the file if not given.")]
Group = Annotated[str | None, typer.Option(help="The group, where there are several.")]


@log.command()
def show(run: File, as_json: Json = False) -> None:
    """Print what happened in a run."""
    with reported():
        from pnn.log_tools import describe
        from pnn.log_tools.show import show_text

        content = describe(run)
        print(json.dumps(content) if as_json else show_text(content))


@log.command()
def check(run: File, as_json: Json = False) -> None:
    """Say whether a file is whole; ends with 4 if it needs a repair."""
    with reported():
        from pnn.log_tools import check as look

        found = look(run)
        if as_json:
            print(json.dumps(found.as_dict()))
        else:
            layout = "" if found.schema is None else f", layout {found.schema}"
            state = "whole" if found.good else "damaged"
            print(f"{run}: {state}; {found.kind or 'no record'}{layout}, {found.status or '-'}")
            _print_rows(found.rows)
            for text in found.problems:
                print(f"problem  {text}")
            for text in found.notes:
                print(f"note     {text}")
        if not found.good:
            raise typer.Exit(4)


@log.command()
def repair(run: File, out: Out = None, as_json: Json = False) -> None:
    """Make a copy in which everything that is left can be read; the file stays as it is."""
    with reported():
        from pnn.log_tools import repair as mend

        result = mend(run, out)
        if as_json:
            print(json.dumps(result.as_dict()))
            return
        print(f"written: {result.copy}")
        _print_rows(result.rows)
        for text in result.done or ["nothing was wrong"]:
            print(f"done     {text}")
        for text in result.lost:
            print(f"lost     {text}")


@log.command()
def migrate(run: File, out: Out = None, as_json: Json = False) -> None:
    """Write a copy of an older file in the layout of this version."""
    with reported():
        from pnn.log_tools import migrate as bring

        copy = bring(run, out)
        print(json.dumps({"file": str(copy)}) if as_json else f"written: {copy}")


@log.command()
def export(
    run: File,
    out: Annotated[Path, typer.Argument(help="The file to write: .csv, .npz or .nc.")],
    group: Group = None,
    dim: Annotated[str | None, typer.Option(help="CSV: what gets a line each.")] = None,
    as_json: Json = False,
) -> None:
    """Write the arrays of a group as CSV, NPZ or netCDF."""
    with reported():
        from pnn.log_tools import export as hand_on

        result = hand_on(run, out, group, dim)
        if as_json:
            print(json.dumps(result))
            return
        print(f"written: {result['file']}, from {result['group']}")
        for name, shape in result["arrays"].items():
            print(f"  {name}: {' x '.join(map(str, shape)) or 'one value'}")


@log.command()
def tail(
    run: File,
    group: Group = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=0, help="Rows to begin with.")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new rows until the run ends.")
    ] = False,
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per row.")] = False,
) -> None:
    """Print the last rows of a table, also while they are being measured."""
    with reported():
        from pnn.log_tools import tail as last
        from pnn.log_tools.tail import row_text

        try:
            for row in last(run, group, rows=rows, follow=follow, interval_s=interval):
                print(json.dumps(row) if as_json else row_text(row), flush=True)
        except KeyboardInterrupt:
            print(file=sys.stderr)  # leaving is the usual end of it


def _print_rows(tables: dict[str, int]) -> None:
    for name, rows in tables.items():
        if rows or name.endswith("/row"):  # of the others, many are empty and may be
            print(f"rows     {name}: {rows}")
