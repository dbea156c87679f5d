"""``pnn compare``, ``pnn estimate`` and ``pnn rules``."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from pnn.cli.errors import reported
from pnn.cli.options import DryRun, Json

__all__ = ["add_compare"]


def add_compare(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(compare)
    app.command()(estimate)
    app.command()(rules)


def compare(
    config: Annotated[
        str | None, typer.Argument(help="A TOML file with rules, devices and budgets.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Do what the file of an interrupted comparison lacks.")
    ] = None,
    show: Annotated[Path | None, typer.Option(help="Print the table of a file again.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    out: Annotated[str | None, typer.Option(help="File to write.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    plots: Annotated[bool, typer.Option(help="Write plots beside the file.")] = True,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train rules on devices over seeds under budgets of queries; a table, plots and one file."""
    with reported():
        from pnn.compare.config import load_compare
        from pnn.compare.duration import expected_seconds
        from pnn.compare.plan import plan_comparison, with_enough_seeds
        from pnn.compare.report import missing_text
        from pnn.compare.report import plan_text as comparison_text
        from pnn.compare.run import compare as run_comparison
        from pnn.compare.run import resume as resume_comparison
        from pnn.compare.run import unfinished
        from pnn.data import load

        if sum(one is not None for one in (config, resume, show)) != 1:
            raise ValueError("give a configuration, or --resume FILE, or --show FILE: one of them")
        options = {"--seeds": seeds, "--out": out, "--jobs": jobs if show is not None else None}
        _check_options("--resume" if show is None else "--show", resume or show, options)

        def data_of(settings: Any) -> Any:
            return load(**settings.data.model_dump())

        if show is not None:
            _finish(show, markdown, plots, as_json)
            return
        if resume is not None:
            if dry_run:
                lacks = unfinished(resume, data_of)
                found = {"missing": [vars(cell) for cell in lacks.cells]}
                print(json.dumps(found) if as_json else missing_text(lacks))
                return
            path = resume_comparison(resume, data_of, _progress, _say, jobs=jobs)
            _finish(path, markdown, plots, as_json)
            return
        settings = load_compare(config or "")
        changes = {"seeds": seeds, "jobs": jobs, "out": out}
        run = settings.run.model_copy(update={k: v for k, v in changes.items() if v is not None})
        run = type(run).model_validate(run.model_dump(exclude_unset=True))
        settings = settings.model_copy(update={"run": run})
        dataset = data_of(settings)
        settings = with_enough_seeds(settings, dataset)
        plan = plan_comparison(settings, dataset)
        wall = expected_seconds(settings, dataset, plan)
        print(comparison_text(settings, plan, wall), file=sys.stderr)
        if dry_run:
            if as_json:
                print(json.dumps(plan.as_dict() | {"wall_seconds": wall and wall.seconds}))
            return
        path = run_comparison(settings, dataset, plan, _progress, _say)
        _finish(path, markdown, plots, as_json)


def estimate(
    config: Annotated[str, typer.Argument(help="A preset, or a TOML file of a run or comparison.")],
    as_json: Json = False,
) -> None:
    """Tell queries, time and energy of a run or a comparison; no instrument is driven."""
    with reported():
        from pnn.compare.config import load_compare
        from pnn.compare.duration import expected_seconds, expected_seconds_of_run
        from pnn.compare.plan import plan_comparison, with_enough_seeds
        from pnn.compare.report import plan_text as comparison_text
        from pnn.compare.report import time_text
        from pnn.config import load_config
        from pnn.data import load
        from pnn.experiment import load_data, plan
        from pnn.experiment import with_enough_seeds as enough_for_run
        from pnn.report import plan_text

        path = Path(config)
        if path.is_file() and "rules" in tomllib.loads(path.read_text(encoding="utf-8")):
            settings = load_compare(path)
            dataset = load(**settings.data.model_dump())
            settings = with_enough_seeds(settings, dataset)
            found = plan_comparison(settings, dataset)
            wall = expected_seconds(settings, dataset, found)
            content = found.as_dict() | {"wall_seconds": wall and wall.seconds}
            print(json.dumps(content) if as_json else comparison_text(settings, found, wall))
            return
        single = load_config(config)
        dataset = load_data(single)
        single = enough_for_run(single, dataset)
        intended = plan(single, dataset)
        wall = expected_seconds_of_run(single, dataset, intended)
        if as_json:
            print(json.dumps(vars(intended) | {"wall_seconds": wall and wall.seconds}))
            return
        print(plan_text(intended, single.run.seeds))
        if intended.multiply_adds is not None:
            print(f"digital  at most {intended.multiply_adds:.2g} multiply-adds of training")
        if wall is not None:
            print(f"time     {time_text(wall)}, controls included")


def rules(
    name: Annotated[
        str | None, typer.Argument(help="A rule, to be described with its options.")
    ] = None,
    classes: Annotated[int, typer.Option(min=2, help="Classes of the task, for the costs.")] = 10,
    page: Annotated[bool, typer.Option("--page", help="Print the page of all rules.")] = False,
    as_json: Json = False,
) -> None:
    """List the learning rules with their class and their cost in queries; or describe one."""
    with reported():
        import inspect

        from pnn.rules import RULES, make_rule, options_of
        from pnn.rules.page import costs, rule_text, rules_page

        if page:
            print(rules_page(), end="")
            return
        if name is not None and not as_json:
            print(rule_text(name))
            return
        rows: list[dict[str, Any]] = [
            {
                "rule": rule.name,
                "class": rule.rule_class.name,
                "trains": list(rule.can_train),
                "tasks": list(rule.tasks),
                "queries_per_update": cost.update,
                "queries_per_prediction": cost.predict,
                "queries_once": cost.once,
                "queries_once_in_first_layer": cost.first_once,
                "queries_per_layer": cost.per_layer,
                "queries_growth": cost.growth,
                "measures_once": rule.measures_once,
                "online": rule.online,
                "works_on": rule.works_on,
                "reported": rule.reported,
                "options": options_of(rule),
                "summary": (inspect.getdoc(rule) or "").partition("\n")[0],
            }
            for rule in ([make_rule(name)] if name else [make_rule(one) for one in RULES])
            for cost in (rule.cost(classes),)
        ]
        if as_json:
            print(json.dumps(rows[0] if name else rows))
            return
        head = ("rule", "class", "trains", "update", "predict", "")
        lines = [
            (
                f"{row['rule']}{' (online)' if row['online'] else ''}",
                str(row["class"]),
                ", ".join(row["trains"]),
                *costs(make_rule(row["rule"]), classes),
                str(row["summary"]),
            )
            for row in rows
        ]
        widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
        for line in [head, *lines]:
            print("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())
        print(
            f"\nupdate, predict: queries per sample, layer and mask with {classes} classes;\n"
            "once: in the layer-wise schedule they are spent once and serve all updates\n"
            "a layer: on top for each layer, whatever the samples; n: the numbers searched\n"
            "(online): goes on learning from a stream, row by row"
        )


def _check_options(mode: str, file: Path | None, options: dict[str, Any]) -> None:
    """Raise `ValueError` for options that a file which is there has answered already."""
    given = [name for name, value in options.items() if value is not None]
    if file is not None and given:
        raise ValueError(
            f"{mode} {file} has its own settings; leave {', '.join(given)} out, or begin a new "
            "comparison with a configuration"
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _progress(done: int, total: int, cell: Any) -> None:
    end = "\r" if sys.stderr.isatty() and done < total else "\n"
    if end == "\r" or done % max(1, total // 10) == 0 or done == total:
        print(f"{done} of {total} trainings done", end=end, file=sys.stderr, flush=True)


def _finish(path: Path, markdown: bool, plots: bool, as_json: bool) -> None:
    from devices.extras import MissingExtraError
    from pnn.compare.plots import plot_comparison
    from pnn.compare.table import read_comparison, table_text

    comparison = read_comparison(path)
    drawn: list[Path] = []
    if plots:
        try:
            drawn = plot_comparison(comparison)
        except MissingExtraError as error:
            print(f"no plots: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps(comparison.as_dict() | {"plots": [str(one) for one in drawn]}))
        return
    print(table_text(comparison, markdown=markdown))
    print(f"\nfile     {path}" + "".join(f"\nplot     {one}" for one in drawn))
