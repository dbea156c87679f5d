"""What a comparison says: one line per rule, device and budget, with spread and gain."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.hdf5 import valid_rows
from pnn.compare.config import CompareConfig
from pnn.compare.run import opened
from pnn.config import validated
from pnn.gain import Gain, gain, gain_in_time
from pnn.rules import RULES

__all__ = ["Comparison", "Line", "read_comparison", "table_text"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Control:
    """What a control gave in a device's place.

    Attributes
    ----------
    score : float
        Mean over seeds.
    gain : Gain or None
        Of the device over it, paired over seeds.
    """

    score: float
    gain: Gain | None


@dataclass(frozen=True)
class Line:
    """One rule on one device under one budget, over the seeds that are done.

    Attributes
    ----------
    score, spread : float
        Mean test accuracy (R2 for regression) and its standard deviation over seeds; nan where
        there are none, or one.
    scores : dict
        The score of each seed.
    gain, difference : Gain or None
        Over the linear model on the raw input, and to the rule that is the reference; paired over
        seeds.
    controls : dict
        By the control's name; None where it failed.
    queries, seconds, device_seconds, joules, multiply_adds : float
        Per seed: training and validation queries, wall time, time in the device, energy of
        device, converters and (where its price is known) digital part, digital multiply-adds of
        training; without the controls'.
    reported : str
        What the rule's source reports.
    error : str
        Why there is no score.
    """

    rule: str
    rule_class: str
    device: str
    budget: int
    seeds: int = 0
    score: float = float("nan")
    spread: float = float("nan")
    scores: dict[int, float] = field(default_factory=dict)
    gain: Gain | None = None
    difference: Gain | None = None
    controls: dict[str, Control | None] = field(default_factory=dict)
    queries: float = float("nan")
    seconds: float = float("nan")
    device_seconds: float = float("nan")
    joules: dict[str, float | None] = field(default_factory=dict)
    multiply_adds: float = float("nan")
    reported: str = ""
    error: str = ""

    @property
    def known_joules(self) -> float | None:
        """Sum of the parts that are known, inference apart; None where none is."""
        parts = [
            value
            for part, value in self.joules.items()
            if part != "digital inference, each row" and value is not None
        ]
        return sum(parts) if parts else None


@dataclass(frozen=True)
class Comparison:
    """A comparison read back from its file.

    Attributes
    ----------
    name, dataset, score : str
        `score` is "accuracy" or "r2".
    lines : tuple of Line
    linear : float
        Mean score of the linear model on the raw input.
    reference : str or None
        Label of the rule that the others are compared with.
    missing : int
        Cells that are not done.
    controls : tuple of str
        Names of the controls that were asked for.
    """

    name: str
    dataset: str
    score: str
    lines: tuple[Line, ...]
    linear: float
    reference: str | None
    missing: int
    path: Path
    controls: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"path": str(self.path)}


def read_comparison(path: str | Path) -> Comparison:
    """Read the file of a comparison, finished or not.

    Raises
    ------
    ValueError
        If it is none.
    """
    with opened(path) as (file, attributes):
        config = validated(CompareConfig, attributes["config"], str(path))
        cells = file["cells"][()]
        results, n = file["results"], valid_rows(file["results"], "result") or 0
        axes = ("result", "test_row", "look", "look_field")
        columns = {name: results[name][:n] for name in results if name not in axes}
        linear = file["references/linear"][()]
        in_time = attributes.get("in_time", False)
    lines, merits = [], []
    refused = {(r, d, b): reason for r, d, b, reason in attributes["refused"]}
    for r in range(len(config.rules)):
        for d, device in enumerate(config.devices):
            for b, budget in enumerate(config.budgets):
                of = (cells[columns["cell"]][:, :3] == (r, d, b)).all(axis=1)
                chosen = {name: values[of] for name, values in columns.items()}
                seeds = cells[chosen["cell"]][:, 3]
                merits.append(dict(zip(seeds.tolist(), chosen["merit"], strict=True)))
                lines.append(
                    _line(config, r, device.label, budget, seeds, chosen, linear, in_time)
                    if (cells[:, :3] == (r, d, b)).all(axis=1).any()
                    else _empty(config, r, device.label, budget, refused[r, d, b])
                )
    return Comparison(
        name=config.name,
        dataset=attributes["dataset"],
        score="accuracy" if attributes["task"] == "classification" else "r2",
        lines=tuple(_against(lines, merits, config.reference, in_time)),
        linear=float(_scores(linear).mean()),
        reference=config.reference,
        missing=len(cells) - n,
        path=Path(path),
        controls=config.run.controls,
    )


def _line(
    config: CompareConfig,
    rule: int,
    device: str,
    budget: int,
    seeds: Array,
    chosen: dict[str, Array],
    linear: Array,
    in_time: bool,
) -> Line:
    every = _scores(chosen["merit"])
    whole = np.flatnonzero(~np.isnan(every))
    errors = [text.decode() for text in chosen["error"] if text]
    if not len(whole):
        return _empty(config, rule, device, budget, errors[0] if errors else "not done yet")
    seeds, merits = seeds[whole], chosen["merit"][whole]
    scores = every[whole]
    means = {
        name: float(np.mean(values[whole])) for name, values in chosen.items() if name in _MEAN
    }
    price = config.run.joules_per_multiply_add
    digital = None if price is None else price * means["multiply_adds"]
    inference = None if price is None else price * means["multiply_adds_per_row"]
    return replace(
        _empty(config, rule, device, budget, "; ".join(dict.fromkeys(errors))),
        seeds=len(scores),
        score=float(scores.mean()),
        spread=float(scores.std(ddof=1)) if len(scores) > 1 else float("nan"),
        scores=dict(zip(seeds.tolist(), scores.tolist(), strict=True)),
        gain=_paired(merits, linear[seeds - config.run.seed], in_time),
        controls={
            name: _control(merits, chosen[f"merit_{name}"][whole], in_time)
            for name in config.run.controls
        },
        queries=means["train"] + means["validation"],
        seconds=means["seconds"],
        device_seconds=means["device_seconds"],
        joules={
            "device": means["device_joules"] or None,
            "conversion": means["conversion_joules"] or None,
            "digital training": digital,
            "digital inference, each row": inference,
        },
        multiply_adds=means["multiply_adds"],
    )


def _against(
    lines: list[Line], merits: list[dict[int, Array]], reference: str | None, in_time: bool
) -> list[Line]:
    """Add the differences to the reference's scores on the same device, budget and seeds."""
    found = {
        (line.device, line.budget): (line.scores, own)
        for line, own in zip(lines, merits, strict=True)
        if line.rule == reference
    }
    out = []
    for line, own in zip(lines, merits, strict=True):
        scores, theirs = found.get((line.device, line.budget), ({}, {}))
        seeds = [seed for seed in line.scores if seed in scores]
        ours = np.array([own[seed] for seed in seeds])
        difference = _paired(ours, np.array([theirs[seed] for seed in seeds]), in_time)
        out.append(replace(line, difference=None if line.rule == reference else difference))
    return out


def _scores(merits: Array) -> Array:
    """Return the mean over what was measured of each row; nan where there is nothing."""
    known = ~np.isnan(merits)
    counts = known.sum(axis=1)
    found = np.where(known, merits, 0.0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(counts > 0, found, np.nan)


def _control(merits: Array, control: Array, in_time: bool) -> Control | None:
    scores = _scores(control)
    known = ~np.isnan(scores)
    if not known.any():
        return None
    found = _paired(merits[known], control[known], in_time)
    return Control(float(scores[known].mean()), found)


def _paired(merits: Array, others: Array, in_time: bool) -> Gain | None:
    """Pair the scores of seeds, or the steps of a sequence, which are the same for all seeds."""
    if in_time and len(merits):
        return gain_in_time(merits, others)
    return gain(_scores(merits), _scores(others), "seeds") if len(merits) > 1 else None


_MEAN = (
    "train",
    "validation",
    "seconds",
    "device_seconds",
    "device_joules",
    "conversion_joules",
    "multiply_adds",
    "multiply_adds_per_row",
)


def _empty(config: CompareConfig, rule: int, device: str, budget: int, error: str) -> Line:
    entry = config.rules[rule]
    known = RULES.get((entry.rule or {}).get("name", ""))
    return Line(
        entry.label,
        known.rule_class.name if known else "?",
        device,
        budget,
        reported=known.reported if known else "",
        error=error,
    )


# The column beside it is about a linear model that has all training rows, whatever the budget.
_CONTROL_HEADS = {"linear": "gain over linear on the same rows"}


def table_text(comparison: Comparison, *, markdown: bool = False) -> str:
    """Return the table, best first within each device and budget; as Markdown if asked for."""
    percent = comparison.score == "accuracy"
    head = [
        "rule",
        "class",
        "device",
        "budget",
        f"{comparison.score}{' %' if percent else ''}",
        "gain over linear",
        *(_CONTROL_HEADS.get(name, f"gain over {name}") for name in comparison.controls),
        "queries",
        "s",
        "s in device",
        "multiply-adds",
    ]
    if comparison.reference is not None:
        head.insert(6, f"against {comparison.reference}")
    energy = any(line.known_joules is not None for line in comparison.lines)
    if energy:
        head.append("joules")
    if markdown:
        head.append("reported by its source")
    rows = []
    order = sorted(
        comparison.lines,
        key=lambda line: (line.device, line.budget, -np.nan_to_num(line.score, nan=-9.0)),
    )
    for line in order:
        known = [line.rule, line.rule_class, line.device, str(line.budget)]
        if not line.seeds:
            said = "does not apply" if line.error.startswith("does not apply") else "-"
            rows.append([*known, said, *[""] * (len(head) - 5)])
            continue
        scale, digits = (100, 2) if percent else (1, 4)
        spread = "" if np.isnan(line.spread) else f" +- {scale * line.spread:.{digits}f}"
        row = [
            *known,
            f"{scale * line.score:.{digits}f}{spread}",
            _interval(line.gain, scale, digits),
            *(
                _interval(found.gain if found else None, scale, digits)
                for found in map(line.controls.get, comparison.controls)
            ),
            f"{line.queries:.0f}",
            f"{line.seconds:.1f}",
            f"{line.device_seconds:.2f}",
            f"{line.multiply_adds:.1e}",
        ]
        if comparison.reference is not None:
            row.insert(6, _interval(line.difference, scale, digits))
        if energy:
            row.append("" if line.known_joules is None else f"{line.known_joules:.3g}")
        if markdown:
            row.append(line.reported)
        rows.append(row)
    several = len({line.budget for line in order}) > 1
    notes = [_note(line, several) for line in order if line.error]
    if markdown:
        body = [head, ["---"] * len(head), *rows]
        text = "\n".join("| " + " | ".join(row) + " |" for row in body)
    else:
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        text = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [head, *rows]
        )
    linear = 100 * comparison.linear if percent else comparison.linear
    told = "not all fitted yet" if np.isnan(linear) else f"{linear:.2f}"
    lines = [text, "", f"Linear model on the raw input: {told}."]
    if comparison.missing:
        lines.append(f"{comparison.missing} trainings are not done yet.")
    lines += [f"* {note}" if markdown else note for note in dict.fromkeys(notes)]
    return "\n".join(lines)


def _note(line: Line, several: bool) -> str:
    """Say what went wrong with a line, and at which of several budgets."""
    named = line.error.startswith(("does not apply", "budget="))
    at = f" at budget {line.budget}" if several and not named else ""
    return f"{line.rule} on {line.device}{at}: {line.error}"


def _interval(found: Gain | None, scale: int, digits: int) -> str:
    if found is None:
        return ""
    mean, low, high = (scale * value for value in (found.mean, found.low, found.high))
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
