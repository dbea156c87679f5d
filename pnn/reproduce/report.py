"""The report: what ran, what came out, where the paper is followed and where it is left open."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from devices.provenance import provenance
from pnn.compare import Comparison, read_comparison
from pnn.compare.curves import Curve, read_curves
from pnn.compare.table import Line
from pnn.reproduce import paper
from pnn.reproduce.figures import draw
from pnn.reproduce.recordings import TwinNote
from pnn.reproduce.systems import CONDITIONS, RULES, SYSTEMS

__all__ = ["write_report"]


def write_report(
    folder: Path,
    files: Mapping[Path, tuple[str, ...]],
    notes: Mapping[str, TwinNote],
    skipped: Mapping[str, str],
    *,
    quick: bool,
) -> dict[str, Any]:
    """Write report.json, report.md and, where matplotlib is there, pictures.

    Parameters
    ----------
    folder : Path
    files : mapping of Path to names
        The comparisons, and the systems in each.
    notes, skipped : mapping
        Twins, and systems that were left out.
    quick : bool
        Whether this is a look, and not a result.

    Returns
    -------
    dict
        The content of ``report.json``.
    """
    systems: dict[str, Any] = {}
    for path, names in files.items():
        comparison, curves = read_comparison(path), read_curves(path)
        for name in names:
            systems[name] = _system(name, comparison, curves)
            if name in notes:
                systems[name]["twin"] = notes[name].as_dict()
    content = {
        "paper": paper.PAPER,
        "quick": quick,
        "systems": systems,
        "skipped": dict(skipped),
        "settings": [list(row) for row in paper.SETTINGS],
        "followed": list(paper.FOLLOWED),
        "open": list(paper.OPEN),
        "figures": [list(row) for row in paper.FIGURES],
        **provenance(),
    }
    content["pictures"] = draw(folder, systems)
    (folder / "report.json").write_text(json.dumps(content, indent=1, default=str), "utf-8")
    (folder / "report.md").write_text(_markdown(content), "utf-8")
    content["folder"] = str(folder)
    return content


def _system(name: str, comparison: Comparison, curves: list[Curve]) -> dict[str, Any]:
    """Return the results on one system as plain values."""
    results = []
    for condition in CONDITIONS:
        label = f"{name}, {condition}"
        lines = {line.rule: line for line in comparison.lines if line.device == label}
        by_rule = {curve.rule: curve for curve in curves if curve.device == label}
        for rule in RULES:
            entry = _entry(lines[rule])
            entry["curve"] = by_rule[rule].as_dict() if rule in by_rule else None
            pace = SYSTEMS[name].seconds_per_query
            entry["bench_hours"] = lines[rule].queries * pace / 3600 if pace else None
            results.append({"condition": condition} | entry)
    return {
        "dataset": comparison.dataset,
        "device": SYSTEMS[name].device.get("name", "twin"),
        "change": SYSTEMS[name].change,
        "linear": comparison.linear,
        "missing": comparison.missing,
        "results": results,
        "file": comparison.path.name,
    }


def _entry(line: Line) -> dict[str, Any]:
    known = {key: _or_none(value) for key, value in line.joules.items()}
    return {
        "rule": line.rule,
        "class": line.rule_class,
        "seeds": line.seeds,
        "accuracy": _or_none(line.score),
        "spread": _or_none(line.spread),
        "gain_over_linear": None if line.gain is None else vars(line.gain),
        "queries": _or_none(line.queries),
        "multiply_adds": _or_none(line.multiply_adds),
        "seconds": _or_none(line.seconds),
        "device_seconds": _or_none(line.device_seconds),
        "joules": known,
        "error": line.error,
    }


def _or_none(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


# -- Markdown --------------------------------------------------------------------------------------


def _markdown(content: dict[str, Any]) -> str:
    parts = [
        "# Backpropagation-free training of deep physical neural networks, on our devices",
        f"After {content['paper']}.",
    ]
    if content["quick"]:
        parts.append("**A quick look: few epochs, two seeds. No figure here is a result.**")
    parts += [
        "Every rule meets the same medium: one that stays as it is, one that becomes another half "
        "way through the training and stays so for the test, and one that becomes another between "
        "training and test. Accuracies are in percent on test rows, mean and standard deviation "
        "over seeds; queries, multiply-adds and seconds are those of one training.",
        "## What ran",
        _bullets(_ran(name, system) for name, system in content["systems"].items()),
    ]
    if content["skipped"]:
        parts.append(_bullets(f"{k}: not run. {v}" for k, v in content["skipped"].items()))
    for name, system in content["systems"].items():
        parts += [f"## {name}", results_table(system), _linear(system), *_failures(system)]
        parts += [f"![{path}]({path})" for path in content["pictures"] if path == f"{name}.png"]
    parts += ["## The published code's settings beside ours", _table(content["settings"])]
    parts += ["## Where the published code is followed", _bullets(content["followed"])]
    parts += ["## What is left open, and what was done", _bullets(content["open"])]
    parts += [
        "## Figures of others",
        _table([("what", "accuracy", "source"), *content["figures"]]),
        "Accuracies of the paper itself stand in its figures, from other data and real devices; "
        "they are not repeated here, as we have not been able to check them against the article.",
    ]
    return "\n\n".join(parts) + "\n"


def results_table(system: dict[str, Any]) -> str:
    """Return the table of one system: a row for each rule, accuracies by condition."""
    cells = {(entry["condition"], entry["rule"]): entry for entry in system["results"]}
    has_hours = any(entry["bench_hours"] for entry in system["results"])
    has_joules = any(any(entry["joules"].values()) for entry in system["results"])
    head = ["rule", "class", *CONDITIONS, "queries", "multiply-adds", "s"]
    head += ["h on a bench"] * has_hours + ["J"] * has_joules
    rows = []
    for rule in RULES:
        still = cells["still", rule]
        row = [rule, still["class"], *(_accuracy(cells[name, rule]) for name in CONDITIONS)]
        row += [_number(still["queries"], ",.0f"), _number(still["multiply_adds"], ".1e")]
        row.append(_number(still["seconds"], ".1f"))
        if has_hours:
            row.append(_number(still["bench_hours"], ".2f"))
        if has_joules:
            parts = {k: v for k, v in still["joules"].items() if k != "digital inference, each row"}
            row.append(_number(sum(v or 0.0 for v in parts.values()), ".2g"))
        rows.append(row)
    return _table([head, *rows])


def _accuracy(entry: dict[str, Any]) -> str:
    if entry["accuracy"] is None:
        return "-"
    spread = "" if entry["spread"] is None else f" +- {100 * entry['spread']:.1f}"
    return f"{100 * entry['accuracy']:.1f}{spread}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ran(name: str, system: dict[str, Any]) -> str:
    entry = system["results"][0]
    text = f"{name}: {system['dataset']} through "
    if (twin := system.get("twin")) is None:
        text += f"`{system['device']}`"
    else:
        what = "a recording" if name == "acoustic-recorded" else "`sim:acoustic-cavity`"
        text += (
            f"a twin of {what} (law: {twin['law']}, fitted to {twin['rows']} rows; R2 "
            f"{twin['r2']:.3f} on others, of an affine map {twin['affine_share']:.3f})"
        )
    return (
        f"{text}; {entry['seeds']} seeds; where the medium changes, c = {system['change']}; "
        f"every training is in `{system['file']}`"
    )


def _linear(system: dict[str, Any]) -> str:
    text = f"Linear model on the raw input, no device: {100 * system['linear']:.1f} %."
    best = max(
        (entry for entry in system["results"] if entry["condition"] == "still"),
        key=lambda entry: entry["accuracy"] or 0.0,
    )
    if (gain := best["gain_over_linear"]) is not None:
        mean, low, high = (100 * gain[key] for key in ("mean", "low", "high"))
        text += (
            f" The best of these rules on the still medium, {best['rule']}, differs from it by "
            f"{mean:+.1f} points ({low:+.1f} to {high:+.1f}, 95 % t interval over seeds)."
        )
    return text


def _failures(system: dict[str, Any]) -> list[str]:
    errors = {f"{e['rule']}: {e['error']}" for e in system["results"] if e["error"]}
    return [_bullets(sorted(errors))] if errors else []


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)


def _table(rows: Iterable[Iterable[str]]) -> str:
    head, *body = (list(row) for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])
