"""A characterisation in plain words, with what follows from it."""

from __future__ import annotations

import math
import re
import textwrap
from typing import Any, Literal

import numpy as np

from calibration.characterise import Characterisation

__all__ = ["Gain", "expected_gain", "suggestions", "summary", "verdict"]

Gain = Literal["unknown", "none", "masks", "little", "likely"]

# Not affine, as a share of what is not noise: next to nothing, and little.
_NO_BEND, _LITTLE_BEND = 0.05, 0.1
# Usable dimensions for each input from which on a device expands. Those of the table in
# docs/simulators/README.md that beat a linear model have 3.1 and more, the others at most 2.
_EXPANDS = 2.5
_AIM_DB = 20.0
_BLOCKS = 5  # that are listed
_WHY = {
    "readout": "nearly affine: no rule finds much that a linear readout does not, and this one "
    "needs the fewest queries",
    "mono-forward": "non-linear: a local rule that asks for each row once; compare with readout, "
    "and, at one drive for each label, with phyll",
}


def summary(found: Characterisation) -> dict[str, Any]:
    """Return the numbers of a verdict as plain Python values, for JSON; unknown ones are None."""
    s, laws = found.structure, found.laws
    d = found.dimensions
    content = {
        "name": found.name,
        "rows": found.rows,
        "queries": found.queries,
        "n_inputs": found.drives.shape[1],
        "n_outputs": found.answers.shape[1],
        "participation_ratio": found.participation,
        "participation_ratio_standardised": found.participation_standardised,
        "dimensions_above_noise": d.count if d else None,
        "usable_dimensions": d.usable if d else None,
        "affine_share": laws.affine_share,
        "bilinear_share": laws.bilinear_share,
        "quadratic_share": laws.quadratic_share,
        "affine_index": laws.affine_index,
        "explainable": laws.explainable,
        "phasor_share": found.phasor_share,
        "law": found.magnitude.formula if found.magnitude else None,
        "magnitude_r2": found.magnitude.pooled_r2 if found.magnitude else None,
        "magnitude_outputs": list(found.magnitude.outputs) if found.magnitude else [],
        "worst_rows_share": found.magnitude.worst_rows_share if found.magnitude else None,
        "snr_db": found.snr_db,
        "least_snr_db": found.least_snr_db,
        "consistency": found.consistency,
        "dead_inputs": list(s.dead_inputs),
        "untold_outputs": list(s.untold_outputs),
        "still_inputs": list(s.still_inputs),
        "quiet_outputs": list(s.quiet_outputs),
        "blocks": [{"inputs": list(b.inputs), "outputs": list(b.outputs)} for b in s.blocks],
        "expected_gain": expected_gain(found),
        "suggestions": suggestions(found),
        "notes": list(found.notes),
    }
    content["verdict"] = _sentence(found)
    return {key: _plain(value) for key, value in content.items()}


def expected_gain(found: Characterisation) -> Gain:
    """Return what to expect over a linear model on the raw input, by a readout.

    Returns
    -------
    str
        ``unknown``: most of what it answers is noise; ``none``: nearly affine, and no more usable
        dimensions than inputs; ``masks``: not affine, but no more dimensions either, so that one
        mask seldom beats a linear model; ``little``: more dimensions, but nearly affine;
        ``likely``: more dimensions, and not affine.
    """
    if found.laws.explainable < 0.5:
        return "unknown"
    bend = found.laws.affine_index
    if _dimensions(found) < _EXPANDS * max(_alive(found), 1):
        return "none" if bend < _NO_BEND else "masks"
    return "little" if bend < _LITTLE_BEND else "likely"


def suggestions(found: Characterisation) -> dict[str, Any]:
    """Return what to do: rule, masks, averages, channels to drop.

    Returns
    -------
    dict
        ``rule`` and ``why``; ``masks``, so that alive inputs and independent features are as
        many; ``averages`` for a signal 20 dB above the noise, None where the noise is unknown;
        ``drop_outputs`` and ``leave_inputs``.
    """
    s = found.structure
    rule = "readout" if found.laws.affine_index < _LITTLE_BEND else "mono-forward"
    averages: int | None = None
    if not math.isnan(found.snr_db):
        wanted = 10 ** ((_AIM_DB - found.snr_db) / 10)
        averages = int(np.clip(np.ceil(wanted), 1, 1000)) if math.isfinite(wanted) else 1
    return {
        "rule": rule,
        "why": _WHY[rule],
        "masks": int(np.clip(math.ceil(_alive(found) / max(found.participation, 1.0)), 1, 64)),
        "averages": averages,
        "drop_outputs": list(s.quiet_outputs),
        "leave_inputs": list(s.dead_inputs),
    }


def verdict(found: Characterisation) -> str:
    """Return the verdict as text for one screen: a sentence, the numbers, what to do."""
    content, laws = summary(found), found.laws
    lines = [*_wrapped(content["verdict"]), ""]

    def row(what: str, value: str, remark: str = "") -> None:
        text = f"  {what:<24}{value:<18}{remark}".rstrip()
        lines.extend(_wrapped(text, 44))

    cost = f"{found.queries} queries" if found.queries else "from the recording alone"
    row("rows", str(found.rows), cost)
    row("inputs / outputs", f"{content['n_inputs']} / {content['n_outputs']}")
    row(
        "effective dimensions", f"{found.participation:.1f}",
        f"participation ratio; {found.participation_standardised:.1f} with outputs standardised",
    )  # fmt: skip
    if found.dimensions is not None:
        few = found.dimensions.rows // 2 <= content["n_outputs"]
        row("above the noise", str(found.dimensions.count), "directions with signal over noise"
            + ("; at most half as many as rows" if few else ""))  # fmt: skip
    row("affine", _percent(laws.affine_share), _of(laws.explainable))
    for name, share, remark in (
        ("bilinear", laws.bilinear_share, "with products of two inputs"),
        ("quadratic", laws.quadratic_share, "with their squares as well"),
    ):
        row(name, _percent(share), remark if np.isfinite(share) else "too few rows for its terms")
    if np.isfinite(found.phasor_share):
        row("affine in exp(ix)", _percent(found.phasor_share))
    if found.magnitude is not None:
        worst = found.magnitude.worst_rows_share
        row(found.magnitude.formula, _percent(found.magnitude.pooled_r2),
            f"pooled over {_count(len(found.magnitude.outputs), 'output')}"
            + (f"; {100 * worst:.0f} % of the misfit in 1 % of the rows" if worst > 0.3 else "")
            )  # fmt: skip
    if math.isnan(found.snr_db):
        known = math.isfinite(found.least_snr_db)
        row("signal to noise", f"> {found.least_snr_db:.0f} dB" if known else "not known",
            "bounded by the best law's misfit" if known else "")  # fmt: skip
    else:
        row("signal to noise", _decibels(found.snr_db), "median of the outputs that move")
        row("consistency", f"{found.consistency:.4f}", "correlation of repeats")
    row("quiet outputs", str(len(content["quiet_outputs"])), _list(content["quiet_outputs"]))
    row("inputs without effect", str(len(content["dead_inputs"])), _list(content["dead_inputs"]))
    blocks = content["blocks"]
    for k, block in enumerate(blocks[:_BLOCKS]):
        row(f"block {k + 1} of {len(blocks)}", f"{len(block['inputs'])} -> {len(block['outputs'])}",
            f"inputs {_list(block['inputs'], 5)} drive outputs {_list(block['outputs'], 5)}"
            )  # fmt: skip
    advice = content["suggestions"]
    averages = advice["averages"]
    lines += ["", "suggested"]
    row("rule", advice["rule"], advice["why"])
    row("masks", str(advice["masks"]), "alive inputs over effective dimensions")
    row("averages", str(averages) if averages else "not known",
        f"for {_AIM_DB:.0f} dB" if averages else "measure some drives twice")  # fmt: skip
    if advice["drop_outputs"]:
        row("drop outputs", _list(advice["drop_outputs"]))
    if advice["leave_inputs"]:
        row("leave inputs", _list(advice["leave_inputs"]))
    for note in found.notes:
        lines += _wrapped(f"note: {note}", 6)
    return "\n".join(lines)


def _wrapped(text: str, indent: int = 0) -> list[str]:
    """Break at the width of a screen, but not within a number with its unit or a formula."""
    text = re.sub(
        r" (%|dB)|\|.+?\|", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text
    )
    lines = textwrap.wrap(
        text, 96, subsequent_indent=" " * indent, break_on_hyphens=False, drop_whitespace=True
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _sentence(found: Characterisation) -> str:
    laws, s = found.laws, found.structure
    parts = [
        _count(found.answers.shape[1], "output"),
        f"{found.participation:.1f} effective dimensions",
        f"{_percent(laws.affine_share)} affine",
    ]
    if not math.isnan(found.snr_db):
        parts.append(f"SNR {_decibels(found.snr_db)}")
    if s.quiet_outputs:
        floor = "at the noise floor" if found.dimensions is not None else "near-silent"
        parts.append(f"{_count(len(s.quiet_outputs), 'output')} {floor}")
    if s.dead_inputs:
        parts.append(f"{_count(len(s.dead_inputs), 'input')} without effect")
    bent = f"{_percent(min(laws.affine_index, 1.0))} is not affine"
    # Without repeats nobody knows how many of the outputs tell something of their own.
    wide = "" if found.dimensions is not None else "at most "
    wide += f"{_dimensions(found):.0f} usable dimensions for {_count(_alive(found), 'input')}"
    follows = {
        "unknown": "Most of what it answers is noise: average before anything else.",
        "none": "Expect no gain over a linear model, unless drives change sign, are encoded "
        "non-linearly, are strong enough to bend the device, or pass through several masks.",
        "masks": f"{bent}, but with {wide} one mask seldom beats a linear model: compare several.",
        "little": f"Expect little gain over a linear model: {bent}, with {wide}.",
        "likely": f"{bent}, with {wide}: worth comparing with a linear model.",
    }
    return f"{found.name}: {', '.join(parts)}{_law(found)}. {follows[expected_gain(found)]}"


def _alive(found: Characterisation) -> int:
    s = found.structure
    return found.drives.shape[1] - len(s.dead_inputs) - len(s.still_inputs)


def _dimensions(found: Characterisation) -> float:
    """Return how many features a readout gets at one mask; at most so many without repeats."""
    return found.dimensions.usable if found.dimensions else float(found.structure.loud.sum())


def _law(found: Characterisation) -> str:
    """Name the law that explains what an affine one misses, if there is one."""
    laws, law = found.laws, found.magnitude
    if law is not None and law.pooled_r2 > 0.9:
        there = list(law.outputs)
        variance = found.structure.spread[there] ** 2
        affine = np.average(laws.affine_by_output[there], weights=variance)
        if law.pooled_r2 - affine > max(0.005, 0.3 * (laws.explainable - affine)):
            what = "like interfering waves" if law.phases else "like a linear device"
            read = "magnitude" if law.power == 1 else "intensity"
            share = _percent(law.pooled_r2)
            return f". It answers {what} read by {read}: {law.formula} explains {share}"
    missed = laws.explainable - laws.affine_share
    if found.phasor_share - laws.affine_share > max(0.005, 0.7 * missed):
        share = _percent(found.phasor_share)
        return f". It answers like interfering waves read as fields: T exp(ix) + b explains {share}"
    gain = laws.bilinear_share - laws.affine_share
    if missed > 0.05 and gain > 0.7 * missed:
        return (
            ". Inputs multiply each other: a bilinear law, of products of two, explains "
            f"{_percent(laws.bilinear_share)}"
        )
    return ""


def _decibels(ratio: float) -> str:
    return f"{ratio:.1f} dB" if math.isfinite(ratio) else "without noise"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _of(explainable: float) -> str:
    return "" if explainable >= 0.9995 else f"of {_percent(explainable)} that is not noise"


def _percent(share: float) -> str:
    return f"{100 * max(share, 0.0):.1f} %" if np.isfinite(share) else "not known"


def _list(numbers: list[int], most: int = 12) -> str:
    """Write indices shortly: 0-3, 7, 9."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    shown = [f"{r[0]}-{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(shown if len(shown) <= most else [*shown[: most - 1], "..."])


def _plain(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
