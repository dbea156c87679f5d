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
        from pnn.compare.plan import plan_comparison, with_enough_seeds
        from pnn.compare.run import compare as run_comparison
        from pnn.compare.run import resume as resume_comparison
        from pnn.data import load

        if sum(one is not None for one in (config, resume, show)) != 1:
            raise ValueError("give a configuration, or --resume FILE, or --show FILE: one of them")

        def data_of(settings: Any) -> Any:
            return load(**settings.data.model_dump())

        if show is not None:
            _finish(show, markdown, plots, as_json)
            return
        if resume is not None:
            _finish(resume_comparison(resume, data_of, _progress), markdown, plots, as_json)
            return
        settings = load_compare(config or "")
        changes = {"seeds": seeds, "jobs": jobs, "out": out}
        run = settings.run.model_copy(update={k: v for k, v in changes.items() if v is not None})
        run = type(run).model_validate(run.model_dump(exclude_unset=True))
        settings = settings.model_copy(update={"run": run})
        dataset = data_of(settings)
        settings = with_enough_seeds(settings, dataset)
        plan = plan_comparison(settings, dataset)
        print(_plan_text(settings, plan), file=sys.stderr)
        if dry_run:
            if as_json:
                print(json.dumps(plan.as_dict()))
            return
        try:
            path = run_comparison(settings, dataset, plan, _progress)
        except KeyboardInterrupt:
            print(
                "\nwhat is done is in the file; go on with pnn compare --resume FILE",
                file=sys.stderr,
            )
            raise
        _finish(path, markdown, plots, as_json)


def estimate(
    config: Annotated[str, typer.Argument(help="A preset, or a TOML file of a run or comparison.")],
    as_json: Json = False,
) -> None:
    """Tell queries, time and energy of a run or a comparison; nothing is driven."""
    with reported():
        from pnn.compare.config import load_compare
        from pnn.compare.plan import plan_comparison, with_enough_seeds
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
            print(json.dumps(found.as_dict()) if as_json else _plan_text(settings, found))
            return
        single = load_config(config)
        dataset = load_data(single)
        single = enough_for_run(single, dataset)
        intended = plan(single, dataset)
        print(json.dumps(vars(intended)) if as_json else plan_text(intended, single.run.seeds))


def rules(
    classes: Annotated[int, typer.Option(min=2, help="Classes of the task, for the costs.")] = 10,
    page: Annotated[bool, typer.Option("--page", help="Print the page of all rules.")] = False,
    as_json: Json = False,
) -> None:
    """List the learning rules with their class and their cost in queries."""
    with reported():
        import inspect

        from pnn.rules import RULES
        from pnn.rules.page import rules_page

        if page:
            print(rules_page(), end="")
            return
        rows: list[dict[str, Any]] = [
            {
                "rule": name,
                "class": rule.rule_class.name,
                "trains": list(rule.can_train),
                "tasks": list(rule.tasks),
                "queries_per_update": made.rows_per_update(classes),
                "queries_per_prediction": made.rows_per_sample(classes),
                "measures_once": rule.measures_once,
                "online": rule.online,
                "works_on": rule.works_on,
                "reported": rule.reported,
                "summary": (inspect.getdoc(rule) or "").partition("\n")[0],
            }
            for name, rule in RULES.items()
            for made in (rule(),)
        ]
        if as_json:
            print(json.dumps(rows))
            return
        head = ("rule", "class", "trains", "update", "predict", "")
        lines = [
            (
                f"{row['rule']}{' (online)' if row['online'] else ''}",
                str(row["class"]),
                ", ".join(row["trains"]),
                f"{row['queries_per_update']}{' once' if row['measures_once'] else ''}",
                str(row["queries_per_prediction"]),
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
            "(online): goes on learning from a stream, row by row"
        )


def _progress(done: int, total: int, cell: Any) -> None:
    end = "\r" if sys.stderr.isatty() and done < total else "\n"
    if end == "\r" or done % max(1, total // 10) == 0 or done == total:
        print(f"{done} of {total} trainings done", end=end, file=sys.stderr, flush=True)


def _plan_text(settings: Any, plan: Any) -> str:
    from pnn.report import duration

    time = "the devices do not state their seconds per query"
    if plan.device_seconds is not None:
        time = f"about {duration(plan.device_seconds)} on the devices"
    if plan.joules is not None:
        time += f", {plan.joules:.3g} J"
    elif plan.device_seconds is not None:
        time += "; energy not known: a device does not state its watts"
    else:
        time += "; energy not known"
    lines = [
        f"compare  {len(settings.rules)} rules x {len(settings.devices)} devices x "
        f"{len(settings.budgets)} budgets x {settings.run.seeds} seeds: "
        f"{len(plan.cells)} trainings",
        f"queries  at most {plan.queries}, tests included; {time}",
    ]
    said = [
        f"refused  {settings.rules[rule].label} on {settings.devices[device].label}: {reason}"
        for (rule, device, _), reason in plan.refused.items()
    ]
    lines += dict.fromkeys(said)
    if not plan.parallel and settings.run.jobs > 1:
        lines.append("note     one process: a device is not simulated, and there is only one of it")
    return "\n".join(lines)


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
