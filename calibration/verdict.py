"""A characterisation in plain words, with what follows from it."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from calibration.characterise import Characterisation

__all__ = ["suggestions", "summary", "verdict"]

# A law that explains this share of what can be explained leaves next to nothing for others.
_NEARLY_ALL = 0.9
_AIM_DB = 20.0
_FEW = 4.0
_WHY = {
    "readout": "nearly affine: no rule finds much that a linear readout does not, and this one "
    "needs the fewest queries",
    "mono-forward": "non-linear, of few dimensions: a local rule with a readout per layer, over "
    "several masks",
    "phyll": "non-linear, with dimensions enough for a local forward-only rule; compare with "
    "mono-forward",
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
        "magnitude_r2": found.magnitude.pooled_r2 if found.magnitude else None,
        "magnitude_outputs": list(found.magnitude.outputs) if found.magnitude else [],
        "worst_rows_share": found.magnitude.worst_rows_share if found.magnitude else None,
        "snr_db": found.snr_db,
        "least_snr_db": found.least_snr_db,
        "consistency": found.consistency,
        "dead_inputs": list(s.dead_inputs),
        "quiet_outputs": list(s.quiet_outputs),
        "blocks": [{"inputs": list(b.inputs), "outputs": list(b.outputs)} for b in s.blocks],
        "suggestions": suggestions(found),
        "notes": list(found.notes),
    }
    content["verdict"] = _sentence(found)
    return {key: _plain(value) for key, value in content.items()}


def suggestions(found: Characterisation) -> dict[str, Any]:
    """Return what to do: rule, masks, averages, channels to drop.

    Returns
    -------
    dict
        ``rule`` and ``why``; ``masks``, so that alive inputs and independent features are as
        many; ``averages`` for a signal 20 dB above the noise, None where the noise is unknown;
        ``drop_outputs`` and ``leave_inputs``.
    """
    laws, s = found.laws, found.structure
    alive = found.drives.shape[1] - len(s.dead_inputs)
    share = laws.affine_share / max(laws.explainable, 1e-12)
    if share > _NEARLY_ALL:
        rule = "readout"
    else:
        rule = "mono-forward" if found.participation < _FEW else "phyll"
    averages: int | None = None
    if not math.isnan(found.snr_db):
        wanted = 10 ** ((_AIM_DB - found.snr_db) / 10)
        averages = int(np.clip(np.ceil(wanted), 1, 1000)) if math.isfinite(wanted) else 1
    return {
        "rule": rule,
        "why": _WHY[rule],
        "masks": int(np.clip(math.ceil(alive / max(found.participation, 1.0)), 1, 64)),
        "averages": averages,
        "drop_outputs": list(s.quiet_outputs),
        "leave_inputs": list(s.dead_inputs),
    }


def verdict(found: Characterisation) -> str:
    """Return the verdict as text for one screen: a sentence, the numbers, what to do."""
    content, laws = summary(found), found.laws
    lines = [*textwrap.wrap(content["verdict"], 96), ""]

    def row(what: str, value: str, remark: str = "") -> None:
        lines.append(f"  {what:<24}{value:<18}{remark}".rstrip())

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
    row("quadratic", _percent(laws.quadratic_share), "" if np.isfinite(laws.quadratic_share)
        else "too few rows for its terms")  # fmt: skip
    if found.magnitude is not None:
        fitted = len(found.magnitude.outputs)
        remark = f"pooled over {fitted} outputs"
        if found.magnitude.worst_rows_share > 0.3:
            remark += (
                f"; {100 * found.magnitude.worst_rows_share:.0f} % of the misfit in 1 % of the rows"
            )
        row("|Hx + b|", _percent(found.magnitude.pooled_r2), remark)
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
    for k, block in enumerate(blocks[:6]):
        row(f"block {k + 1} of {len(blocks)}", f"{len(block['inputs'])} -> {len(block['outputs'])}",
            f"inputs {_list(block['inputs'])} drive outputs {_list(block['outputs'])}")  # fmt: skip
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
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join(lines)


def _sentence(found: Characterisation) -> str:
    laws, s = found.laws, found.structure
    parts = [
        f"{found.answers.shape[1]} outputs, {found.participation:.1f} effective dimensions",
        f"{_percent(laws.affine_share)} affine",
    ]
    if not math.isnan(found.snr_db):
        parts.append(f"SNR {_decibels(found.snr_db)}")
    if s.quiet_outputs:
        floor = "at the noise floor" if found.dimensions is not None else "near-silent"
        parts.append(f"{_count(len(s.quiet_outputs), 'output')} {floor}")
    if s.dead_inputs:
        parts.append(f"{_count(len(s.dead_inputs), 'input')} without effect")
    text = f"{found.name}: {', '.join(parts)}"
    share = laws.affine_share / max(laws.explainable, 1e-12)
    if found.magnitude is not None and found.magnitude.pooled_r2 > max(0.95, laws.affine_share):
        text += (
            f". It answers like a linear device read by magnitude: |Hx + b| explains "
            f"{_percent(found.magnitude.pooled_r2)}"
        )
    if laws.explainable < 0.5:
        return text + ". Most of what it answers is noise: average before anything else."
    if share > _NEARLY_ALL:
        return text + (
            ". Expect no gain over a linear model, unless drives change sign, are encoded "
            "non-linearly, or are strong enough to bend the device."
        )
    return text + ". It is non-linear enough to be worth comparing with a linear model."


def _decibels(ratio: float) -> str:
    return f"{ratio:.1f} dB" if math.isfinite(ratio) else "without noise"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _of(explainable: float) -> str:
    return "" if explainable >= 0.9995 else f"of {_percent(explainable)} that is not noise"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "not known"


def _list(numbers: list[int]) -> str:
    """Write indices shortly: 0-3, 7, 9."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    shown = [f"{r[0]}-{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(shown if len(shown) <= 12 else [*shown[:11], f"... ({len(numbers)} in all)"])


def _plain(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
