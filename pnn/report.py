"""What a run says at its end: scores, spread, and what the device adds, with its uncertainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from textwrap import shorten
from typing import Any

import numpy as np

from devices import PURPOSES
from pnn.controls import CONTROLS, SANITY
from pnn.drift_report import drift_lines, drift_summary
from pnn.gain import Gain, gain, gain_in_time
from pnn.result import Plan, Result

__all__ = [
    "doubts",
    "duration",
    "gains",
    "plan_text",
    "result_text",
    "summary",
    "verdict",
]


def gains(result: Result) -> dict[str, Gain]:
    """Return the gain of the device over each control."""
    seeds = result.seeds
    found: dict[str, Gain] = {}
    for name in result.config.run.controls:
        if result.dataset.washout is not None:
            merits = (
                np.stack([seed.arms[arm].merit for seed in seeds]) for arm in ("device", name)
            )
            found[name] = gain_in_time(*merits)
        elif len(seeds) > 1:
            device, control = (
                np.array([seed.arms[arm].score for seed in seeds]) for arm in ("device", name)
            )
            found[name] = gain(device, control, "seeds")
        else:
            arms = seeds[0].arms
            found[name] = gain(arms["device"].merit, arms[name].merit, "test rows")
    return found


def verdict(found: dict[str, Gain], unit: str = "points") -> str:
    """Say in one sentence what the device adds over each control.

    A gain counts where its interval lies above zero, a loss where it lies below. Where the drive
    itself, or the device's own affine map, does as well in the device's place, the detour through
    the device has added nothing, however well the digital part does.
    """
    found = {name: g for name, g in found.items() if name not in SANITY}
    if not found:
        return "No controls were run: nothing can be said about what the device adds."
    scale = 100 if unit == "points" else 1

    def amounts(name: str) -> tuple[str, str]:
        mean, low, high = (scale * getattr(found[name], end) for end in ("mean", "low", "high"))
        return f"{mean:+.2f} {unit}", f"{low:+.2f} to {high:+.2f}"

    def in_brackets(names: list[str]) -> str:
        return ", ".join(f"{CONTROLS[name]} ({', '.join(amounts(name))})" for name in names)

    def not_gained(names: list[str]) -> list[str]:
        worse = [name for name in names if found[name].high < 0]
        equal = [name for name in names if name not in worse]
        lost = []
        for name in worse:
            mean, interval = amounts(name)
            lost.append(f"{CONTROLS[name]} by {mean.removeprefix('-')} ({interval})")
        said = [f"is worse than {', '.join(lost)}"] if worse else []
        return said + ([f"adds nothing measurable over {in_brackets(equal)}"] if equal else [])

    better = [name for name in found if found[name].low > 0]
    no_better = [name for name in found if name not in better]
    substitutes = [name for name in no_better if name in ("bypassed", "affine")]
    if substitutes or not better:
        instead = substitutes or no_better
        text = f"The device {' and '.join(not_gained(instead))}"
        others = [name for name in found if name not in instead]
        return text + (f"; the others: {in_brackets(others)}." if others else ".")
    gained = []
    for name in better:
        mean, interval = amounts(name)
        gained.append(f"{mean} over {CONTROLS[name]} ({interval})")
    parts = [f"The device adds {', '.join(gained)}", *not_gained(no_better)]
    return "; it ".join(parts) + "."


#: Flags of rows that are not what they should be, and why.
_DISTORTED = {
    "saturated": "an answer at the end of its range says only that it is beyond",
    "clipped": "what was driven is not what was asked for",
}
_MANY = 0.01  # of the rows: fewer are counted, and not worth a doubt


def doubts(result: Result) -> list[str]:
    """Say what speaks against the measurement.

    Rows that were distorted; and sanity controls that do better than chance, which is the most
    frequent class's share. Without the answers of the device there is nothing to learn from: what
    is learned then comes another way, such as a digital skip.
    """
    flags, queries = _flags(result), sum(seed.ledger["queries"]["total"] for seed in result.seeds)
    found = [
        f"{flags[name]} of {queries} rows were {name}: {why}"
        for name, why in _DISTORTED.items()
        if flags[name] > _MANY * queries
    ]
    for name in [one for one in SANITY if one in result.config.run.controls]:
        scores = np.array([seed.arms[name].score for seed in result.seeds])
        rows = sum(len(seed.arms[name].merit) for seed in result.seeds)
        chance, score = result.chance, float(scores.mean())
        spread = max(chance * (1 - chance), 1 / rows) / rows
        if score > chance + 4 * spread**0.5:
            found.append(
                f"with {CONTROLS[name]} in the device's place the score is still {score:.3f} "
                f"(chance {chance:.3f}): something is learned around the device"
            )
    return found


def summary(result: Result) -> dict[str, Any]:
    """Return the result as plain numbers; the keys are documented in the README."""
    seeds, name = result.seeds, _score_name(result)
    scores = np.array([seed.arms["device"].score for seed in seeds])
    found = gains(result)
    by_seed = [seed.ledger["queries"] for seed in seeds]
    return {
        name: float(scores.mean()),
        f"{name}_std": float(scores.std(ddof=1)) if len(scores) > 1 else None,
        f"{name}_by_seed": scores.tolist(),
        "seeds": [seed.seed for seed in seeds],
        "controls": {
            control: float(np.mean([seed.arms[control].score for seed in seeds]))
            for control in found
        },
        "gains": {
            control: {"mean": g.mean, "low": g.low, "high": g.high, "paired_over": g.paired_over}
            for control, g in found.items()
        },
        "verdict": verdict(found, "points" if name == "accuracy" else "in R2"),
        "chance": result.chance,
        "doubts": doubts(result),
        "queries": {key: float(np.mean([q[key] for q in by_seed])) for key in by_seed[0]},
        "queries_by_seed": by_seed,
        "estimate": result.plan.queries,
        "arms": {
            arm: {
                "width": one.width,
                "parameters": one.parameters,
                "multiply_adds": one.multiply_adds,
                "training_multiply_adds": one.training_multiply_adds,
                "training_joules": one.training_joules,
                "inference_joules": one.inference_joules,
            }
            for arm, one in seeds[0].arms.items()
        },
        "rule": result.plan.rule,
        "device": result.plan.device,
        "dataset": result.dataset.name,
        "rows": result.plan.rows,
        "encoders": result.plan.encoders,
        "notes": result.notes,
        "seconds": result.seconds,
        "device_seconds": sum(seed.ledger["seconds"]["total"] for seed in seeds),
        "joules": sum(seed.ledger["joules"] for seed in seeds),
        "energy": {
            "device": sum(seed.ledger["joules"] for seed in seeds) or None,
            "conversion": sum(seed.ledger["conversion_joules"] for seed in seeds) or None,
            "digital training": _known(seed.arms["device"].training_joules for seed in seeds),
            "digital inference": _known(seed.arms["device"].inference_joules for seed in seeds),
        },
        "alignment": _mean([seed.alignment for seed in seeds]),
        "retries": sum(seed.ledger["retries"] for seed in seeds),
        "flags": dict(_flags(result)),
        **drift_summary(result),
        "run": str(result.path),
    }


def plan_text(plan: Plan, n_seeds: int) -> str:
    """Say before a run what it will do and cost."""
    queries = ", ".join(f"{plan.queries[p]} {p}" for p in PURPOSES if plan.queries.get(p))
    times = f" x {n_seeds} seeds" if n_seeds > 1 else ""
    known = plan.joules is not None
    energy = f", {plan.joules:.3g} J in the device" if known else ", energy not known"
    if not known and plan.device_seconds is not None:
        energy += " (no watts stated)"
    if plan.device_seconds is None:
        time = "the device does not state its seconds per query"
    else:
        time = f"about {duration(plan.device_seconds)} on the device"
    lines = [
        f"device   {shorten(plan.device, 240, placeholder=' ...')}",
        f"rule     {plan.rule} (class {plan.rule_class})",
        f"encoder  {'; then '.join(plan.encoders)}",
        f"rows     {', '.join(f'{n} {kind}' for kind, n in plan.rows.items())}",
        f"queries  at most {plan.queries['total']} ({queries}){times}; {time}{energy}",
        *(f"note     {note}" for note in plan.notes),
    ]
    return "\n".join(lines)


def result_text(content: dict[str, Any]) -> str:
    """Return the block that a run ends with, from its summary."""
    name = "accuracy" if "accuracy" in content else "r2"
    seeds = content["seeds"]
    spread = content[f"{name}_std"]
    over = f"+- {_score(name, spread)} over {len(seeds)} seeds" if spread is not None else "1 seed"
    paired = next((g["paired_over"] for g in content["gains"].values()), "")
    if spread is not None and paired == "blocks of test steps":
        over += " on the same steps"
    rows = [("arm", name, "gain (95 % interval)", "width", "trained", "multiply-adds")]
    for arm, size in content["arms"].items():
        value = content[name] if arm == "device" else content["controls"][arm]
        change = ""
        if arm != "device":
            g = content["gains"][arm]
            mean, low, high = (_change(name, g[part]) for part in ("mean", "low", "high"))
            change = f"{mean} ({low} to {high})"
        rows.append(
            (
                arm,
                _score(name, value),
                change,
                str(size["width"]),
                str(size["parameters"]),
                str(size["multiply_adds"]),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    table = [
        "  "
        + "  ".join(
            cell.ljust(width) if i in (0, 2) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    queries = ", ".join(
        f"{content['queries'][p]:.0f} {p}" for p in PURPOSES if content["queries"][p]
    )
    lines = [
        "",
        f"{content['dataset']}, {content['rule']}: {name} {_score(name, content[name])} ({over})",
        "",
        *table,
        "",
        content["verdict"],
        *(f"Beware: {doubt}." for doubt in content.get("doubts", ())),
        *([f"(Intervals are paired over {paired}.)"] if paired not in ("", "seeds") else []),
        "",
        f"queries  {content['queries']['total']:.0f} per seed: {queries}",
        f"time     {duration(content['seconds'])}, of which {duration(content['device_seconds'])}"
        " in the device",
        *_faults_line(content.get("flags", {})),
        *_energy_line(content.get("energy", {})),
        *_alignment_line(content.get("alignment")),
        *drift_lines(content.get("drift")),
        f"file     {content['run']}",
    ]
    return "\n".join(lines)


def _flags(result: Result) -> Counter[str]:
    """Return how many rows were saturated, retried ..., over all seeds."""
    found: Counter[str] = Counter()
    for seed in result.seeds:  # one that an older version finished has none
        found.update(seed.ledger.get("flags", {}))
    return found


def _faults_line(flags: Mapping[str, int]) -> list[str]:
    faults = ", ".join(f"{n} {name}" for name, n in flags.items() if n)
    return [f"faults   {faults} rows"] if faults else []


def _known(values: Iterable[float | None]) -> float | None:
    """Return the sum, or None where a part is not known."""
    parts = list(values)
    return None if None in parts else sum(part or 0.0 for part in parts)


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is known, or None where nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _alignment_line(value: float | None) -> list[str]:
    if value is None:
        return []
    return [
        f"alignment  {value:.2f} (cosine of the feedback and the true gradient: 0 is chance, 1 "
        "backpropagation)"
    ]


def _energy_line(parts: Mapping[str, float | None]) -> list[str]:
    known = [f"{part} {joules:.3g} J" for part, joules in parts.items() if joules is not None]
    return [f"energy   {', '.join(known)}"] if known else []


def _score_name(result: Result) -> str:
    return "r2" if result.dataset.task == "regression" else "accuracy"


def _score(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name == "accuracy" else f"{value:.4f}"


def _change(name: str, value: float) -> str:
    return f"{100 * value:+.2f}" if name == "accuracy" else f"{value:+.4f}"


def duration(seconds: float) -> str:
    """Return a length of time in words."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
