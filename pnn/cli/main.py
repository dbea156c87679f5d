"""The verbs of ``pnn``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pnn.cli.analyse import analyse
from pnn.cli.bench import bench
from pnn.cli.calibration import add_calibration
from pnn.cli.compare import add_compare
from pnn.cli.errors import EXIT_CODES, reported
from pnn.cli.log import log
from pnn.cli.rig import rig as rig_verbs
from pnn.cli.rig import rig_device
from pnn.cli.sweep import sweep
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
add_calibration(app)
app.command()(sweep)
add_compare(app)
app.command()(analyse)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


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
def train(
    config: Annotated[
        str | None, typer.Argument(help="A preset (see `pnn presets`) or a TOML file.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Another device: NAME?key=value&..., or a TOML file.")
    ] = None,
    rig: Annotated[
        str | None, typer.Option(help="A rig file (rig.toml) instead of --device.")
    ] = None,
    mode: Annotated[str, typer.Option(help="With --rig: real, sim or replay.")] = "real",
    rule: Annotated[str | None, typer.Option(help="Another rule; `pnn rules` lists them.")] = None,
    seed: Annotated[int | None, typer.Option(help="First seed.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training rows.")] = None,
    data: Annotated[str | None, typer.Option(help="Another data set: a name or a file.")] = None,
    data_path: Annotated[str | None, typer.Option(help="Where the data's files are.")] = None,
    out: Annotated[str | None, typer.Option(help="Run file to write.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of torch and BLAS.")] = None,
    controls: Annotated[
        bool | None,
        typer.Option("--controls/--no-controls", help="Whether to run the controls."),
    ] = None,
    record: Annotated[
        bool | None,
        typer.Option(
            "--record/--no-record",
            help="Keep every drive and answer in the run file; by default those of a device that "
            "cannot be had again, which a simulator's can.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a run that was broken off, from its file.")
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="With --resume: although code, packages or devices differ."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and estimate; drive nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train through a device, test, and report with controls."""
    with reported():
        from pnn import experiment
        from pnn.cli.progress import ProgressLine
        from pnn.cli.resume import check_options, check_same, finished_summary
        from pnn.config import load_config
        from pnn.report import plan_text, result_text, summary
        from pnn.run_file import config_of

        check_options(config, resume, accept=accept, out=out)
        settings = load_config(config) if config is not None else config_of(str(resume))
        if rig is not None:
            device = rig_device(rig, mode, device)
        changes: dict[str, Any] = {
            "run": {"seed": seed, "seeds": seeds, "out": out, "threads": threads, "record": record},
            "training": {"epochs": epochs},
        }
        if controls is False:
            changes["run"]["controls"] = ()
        elif controls:
            from pnn.controls import CONTROLS

            changes["run"]["controls"] = tuple(CONTROLS)
        changes = {
            table: {key: value for key, value in keys.items() if value is not None}
            for table, keys in changes.items()
        }
        if data is not None and data != settings.data.source:
            # Another source has other options; what the preset says of its own does not apply.
            settings = settings.with_(data=data)
        if data_path is not None:
            changes["data"] = {"path": data_path}
        if rule is not None and rule != settings.rule.name:
            changes["rule"] = rule
        if device is not None:
            changes["device"] = device
        settings = settings.with_(**changes)
        if resume is not None:
            check_same(resume, config_of(resume), settings)
            if (content := finished_summary(resume)) is not None:
                print(f"nothing is missing: {resume} is complete", file=sys.stderr)
                print(json.dumps(content) if as_json else result_text(content))
                return
        dataset = experiment.load_data(settings)
        if resume is None:
            settings = experiment.with_enough_seeds(settings, dataset)
        intended = experiment.plan(settings, dataset)
        print(plan_text(intended, settings.run.seeds), file=sys.stderr)
        if dry_run:
            if as_json:
                print(json.dumps(vars(intended)))
            else:
                print("dry run: everything checks out, nothing was driven")
            return
        numbers = list(range(settings.run.seed, settings.run.seed + settings.run.seeds))
        line = ProgressLine(numbers, ["device", *settings.run.controls])
        try:
            if resume is None:
                result = experiment.run(settings, dataset, line)
            else:
                result = experiment.resume(resume, dataset, line, accept=accept)
        finally:
            line.close()
        content = summary(result)
        print(json.dumps(content) if as_json else result_text(content))


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
