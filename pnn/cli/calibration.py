"""The verbs of ``pnn`` that measure what a device does."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pnn.cli.errors import reported

__all__ = ["add_calibration"]


def add_calibration(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(characterise)
    app.command()(calibrate)


def characterise(
    source: Annotated[
        str,
        typer.Argument(
            help="A device (NAME?key=value&..., or a TOML file), a recording (.h5), or the drives "
            "of one (.csv)."
        ),
    ],
    answers: Annotated[
        str | None, typer.Argument(help="The answers of a recording, where the drives are a .csv.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Different random drives; each is measured twice.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drives.")] = 0,
    out: Annotated[
        str | None, typer.Option(help="HDF5 file to write; the plot goes beside it, as .png.")
    ] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Whether to draw.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it costs; drive nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout.")
    ] = False,
) -> None:
    """Say what a device is good for, before any training: from random drives or a recording."""
    with reported():
        import calibration
        from calibration.characterisation_file import write_characterisation
        from calibration.plots import plot_characterisation
        from calibration.verdict import summary, verdict
        from devices import build_device
        from devices.extras import require
        from pnn.provenance import provenance

        if plots:
            require("matplotlib", "plot")
        path = Path(out) if out is not None else None
        for one in [path, path.with_suffix(".png") if plots else None] if path else []:
            if one is not None and one.exists():
                raise FileExistsError(f"{one} exists already and is not overwritten")
        recorded = answers is not None or Path(source).suffix in (".csv", ".h5", ".hdf5", ".nc")
        if recorded:
            if rows is not None:
                raise ValueError(f"--rows {rows} is for devices; a recording has the rows it has")
            found = calibration.characterise_recording(
                calibration.read_recording(source, answers), seed
            )
        else:
            device = build_device(source)
            cost = 2 * calibration.characterise_rows(device.spec, rows)
            seconds = cost * device.spec.seconds_per_query
            text = f"characterise {device.spec.name}: {cost} queries"
            print(text + (f", about {seconds:.3g} s" if seconds else ""), file=sys.stderr)
            if dry_run:
                return
            with device:
                found = calibration.characterise(device, rows, seed)
        path = path or Path("runs") / f"characterise-{found.name}-{datetime.now():%Y%m%d-%H%M%S}.h5"
        write_characterisation(found, path, provenance=provenance(), source=source, seed=seed)
        files = [path]
        if plots:
            files.append(plot_characterisation(found, path.with_suffix(".png")))
        if as_json:
            print(json.dumps(summary(found) | {"files": [str(file) for file in files]}))
            return
        print(verdict(found))
        print("written: " + ", ".join(str(file) for file in files), file=sys.stderr)


def calibrate(
    source: Annotated[str, typer.Argument(help="A device: NAME?key=value&..., or a TOML file.")],
    folder: Annotated[Path, typer.Option(help="Where the calibration files go.")] = Path(
        "calibrations"
    ),
    only: Annotated[
        str | None, typer.Option(help="Procedures, as offset,linearity; all that make sense.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it costs; drive nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout.")
    ] = False,
) -> None:
    """Measure a device procedure by procedure, in order, and keep a file of each."""
    with reported():
        import calibration
        from calibration.sequence import ORDER
        from devices import build_device

        device = build_device(source)
        kinds = [kind.strip() for kind in only.split(",")] if only else None
        chosen = calibration.procedures_for(device, kinds)
        total = sum(one.queries(device.spec) for one in chosen)
        for one in chosen:
            print(one.announcement(device.spec), file=sys.stderr)
        print(f"in all: {total} queries", file=sys.stderr)
        if dry_run:
            return
        # What a device cannot be measured with, or was not asked for, is no need of the others.
        others = [kind for kind in ORDER if kind not in {one.kind for one in chosen}]
        with device:
            made = calibration.calibrate(device, chosen, folder, not_needed=others)
        files = {one.kind: str(folder / f"{one.kind}-{one.id}.h5") for one in made}
        if as_json:
            print(json.dumps({"queries": total, "files": files}))
            return
        for kind, file in files.items():
            print(f"{kind:<22}{file}")
