"""``pnn train``: a configuration with its changes, or the file of a run that was broken off."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnn.cli.errors import reported
from pnn.cli.options import DeviceName, DryRun, Json, Mode, RigName
from pnn.cli.resume import check_options, check_same, finished_summary, missing
from pnn.cli.rig import rig_device

if TYPE_CHECKING:
    from pnn.config import Config
    from pnn.data import Dataset

__all__ = ["settings_from", "train"]


def train(
    config: Annotated[
        str | None, typer.Argument(help="A preset (see `pnn presets`) or a TOML file.")
    ] = None,
    device: DeviceName = None,
    rig: RigName = None,
    mode: Mode = "real",
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
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train through a device, test, and report with controls."""
    with reported():
        from devices.hdf5 import recover
        from pnn import experiment
        from pnn.config import load_config
        from pnn.report import plan_text
        from pnn.run_file import config_of

        check_options(config, resume, accept=accept, out=out)
        if resume is not None:
            recover(resume)
        settings = settings_from(
            load_config(config) if config is not None else config_of(str(resume)),
            device=device if rig is None else rig_device(rig, mode, device),
            rule=rule,
            data=data,
            data_path=data_path,
            training={"epochs": epochs},
            run={"seed": seed, "seeds": seeds, "out": out, "threads": threads, "record": record},
            controls=controls,
        )
        dataset = experiment.load_data(settings)
        settings = experiment.with_enough_seeds(settings, dataset)
        if resume is not None:
            check_same(resume, config_of(resume), settings)
            if (content := finished_summary(resume)) is not None:
                print(f"nothing is missing: {resume} is complete", file=sys.stderr)
                _show(content, as_json)
                return
        intended = experiment.plan(settings, dataset)
        print(plan_text(intended, settings.run.seeds), file=sys.stderr)
        if resume is not None:
            if dry_run:
                experiment.check_resume(resume, dataset, accept=accept)
            print(missing(resume, settings), file=sys.stderr)
        if not dry_run:
            content = _run(settings, dataset, resume, accept=accept)
            for note in content["notes"]:
                if note not in intended.notes:
                    print(f"note     {note}", file=sys.stderr)
            _show(content, as_json)
        elif as_json:
            print(json.dumps(vars(intended)))
        else:
            print("dry run: everything checks out, nothing was driven")


def settings_from(
    before: Config,
    *,
    device: str | None = None,
    rule: str | None = None,
    data: str | None = None,
    data_path: str | None = None,
    controls: bool | None = None,
    **tables: Mapping[str, Any],
) -> Config:
    """Return a configuration with the options of the command line; None leaves a value alone.

    Parameters
    ----------
    before : Config
    device, rule, data : str, optional
        Take the place of a whole table, unless they name what is there.
    data_path : str, optional
    controls : bool, optional
        All of them, or none.
    **tables : mapping
        Single keys of ``run`` and ``training``.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """
    changes: dict[str, Any] = {
        table: {key: value for key, value in keys.items() if value is not None}
        for table, keys in tables.items()
    }
    if controls is not None:
        from pnn.controls import CONTROLS

        changes.setdefault("run", {})["controls"] = tuple(CONTROLS) if controls else ()
    if data is not None and data != before.data.source:
        # Another source has other options; what the preset says of its own does not apply.
        before = before.with_(data=data)
    if data_path is not None:
        changes["data"] = {"path": data_path}
    if rule is not None and rule != before.rule.name:
        changes["rule"] = rule
    if device is not None:
        changes["device"] = device
    return before.with_(**changes)


def _run(
    settings: Config, dataset: Dataset, resume: Path | None, *, accept: bool
) -> dict[str, Any]:
    """Train, or go on with training, and return the summary."""
    from pnn import experiment
    from pnn.cli.progress import ProgressLine
    from pnn.report import summary

    seeds = range(settings.run.seed, settings.run.seed + settings.run.seeds)
    line = ProgressLine(list(seeds), ["device", *settings.run.controls])
    try:
        if resume is None:
            return summary(experiment.run(settings, dataset, line))
        return summary(experiment.resume(resume, dataset, line, accept=accept))
    finally:
        line.close()


def _show(content: dict[str, Any], as_json: bool) -> None:
    from pnn.report import result_text

    print(json.dumps(content) if as_json else result_text(content))
