"""The verbs of ``pnn``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pnn.cli.analyse import analyse
from pnn.cli.bench import bench
from pnn.cli.calibration import add_calibration
from pnn.cli.compare import add_compare
from pnn.cli.errors import EXIT_CODES, reported
from pnn.cli.log import log
from pnn.cli.options import Json
from pnn.cli.reproduce import reproduce
from pnn.cli.rig import rig as rig_verbs
from pnn.cli.sweep import sweep
from pnn.cli.train import train
from pnn.cli.twin import twin

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train physical neural networks: any instrument that answers a drive is a layer.",
    epilog="Exit codes: " + "; ".join(f"{code} {text}" for code, text in EXIT_CODES.items()) + ".",
)
app.add_typer(log, name="log")
app.add_typer(rig_verbs, name="rig")
app.add_typer(bench, name="bench")
app.add_typer(twin, name="twin")
app.add_typer(reproduce, name="reproduce")
app.command()(train)
add_calibration(app)
app.command()(sweep)
add_compare(app)
app.command()(analyse)


def main() -> None:
    """Run the command line."""
    app()


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from pnn import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run file.")],
    data: Annotated[str, typer.Argument(help="A data set's name, or a file of rows.")],
    seed: Annotated[int | None, typer.Option(help="Whose network; the first seed's.")] = None,
    device: Annotated[str | None, typer.Option(help="Another device than the run's.")] = None,
    as_json: Json = False,
) -> None:
    """Measure rows through the device of a run and print what its network says, row by row."""
    with reported():
        import numpy as np

        from pnn.data.unlabelled import read_features
        from pnn.run_file import load, read_attributes

        attributes = read_attributes(run)
        options = dict(attributes["config"]["data"])
        if data != options.pop("source"):
            options = {}
        X, labels = read_features(data, attributes["n_features"], **options)
        estimator = load(run, seed=seed, device=device)
        names = np.array(attributes["classes"])
        predicted = estimator.predict(X)
        values = names[predicted].tolist() if len(names) else predicted.tolist()
        correct = None
        if labels is not None and len(names):
            correct = float(np.mean(np.array(values) == labels.astype(str)))
        if as_json:
            print(json.dumps({"predictions": values, "accuracy": correct, "run": str(run)}))
            return
        print("\n".join(str(value) for value in values))
        if correct is not None:
            print(f"{100 * correct:.2f} % of {len(values)} labels match", file=sys.stderr)


@app.command()
def presets(
    as_json: Json = False,
    keys: Annotated[
        bool, typer.Option("--keys", help="Describe every key of a configuration instead.")
    ] = False,
) -> None:
    """List the shipped configurations."""
    with reported():
        import tomllib

        from pnn.config import presets, reference

        if keys:
            print(reference(), end="")
            return
        rows = {
            name: tomllib.loads(path.read_text(encoding="utf-8"))["description"]
            for name, path in presets().items()
        }
        _table(rows, as_json)


@app.command()
def devices(as_json: Json = False) -> None:
    """List the devices that can be named."""
    with reported():
        from devices.registry import available_devices, summary_of

        _table({name: summary_of(name) for name in available_devices()}, as_json)


def _table(rows: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    width = max(len(name) for name in rows)
    for name, text in rows.items():
        print(f"{name.ljust(width)}  {text}")
