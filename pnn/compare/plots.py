"""Plots of a comparison: score against queries, seconds, joules and multiply-adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from devices.extras import require
from pnn.compare.table import Comparison, Line

__all__ = ["plot_comparison"]


def plot_comparison(comparison: Comparison, folder: str | Path | None = None) -> list[Path]:
    """Write one PNG for each device and return their paths.

    Parameters
    ----------
    comparison : Comparison
    folder : path, optional
        Where to; beside the comparison's file if not given.

    Raises
    ------
    MissingExtraError
        If the extra plot is not installed.
    """
    figure_module = require("matplotlib.figure", "plot")

    paths = []
    scale = 100 if comparison.score == "accuracy" else 1
    for device in dict.fromkeys(line.device for line in comparison.lines):
        lines = [line for line in comparison.lines if line.device == device and line.seeds]
        amounts = {
            "queries for training and validation": lambda line: line.queries,
            "seconds in the device": lambda line: line.device_seconds,
            "seconds, all in all": lambda line: line.seconds,
            "multiply-adds of training": lambda line: line.multiply_adds,
            "joules": _joules,
        }
        drawn = {
            text: amount for text, amount in amounts.items() if any(amount(line) for line in lines)
        }
        if not drawn:
            continue
        figure = figure_module.Figure(figsize=(4.2 * len(drawn) + 2.6, 4.2), layout="constrained")
        axes: Any = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
        rules = list(dict.fromkeys(line.rule for line in lines))
        for ax, (text, amount) in zip(axes, drawn.items(), strict=True):
            for k, rule in enumerate(rules):
                of = sorted((line for line in lines if line.rule == rule), key=amount)
                ax.errorbar(
                    [max(amount(line), 1e-9) for line in of],
                    [scale * line.score for line in of],
                    [scale * np.nan_to_num(line.spread) for line in of],
                    color=f"C{k % 10}",
                    marker="osD^vP"[k // 10 % 6],
                    label=rule,
                    capsize=2,
                    lw=1,
                )
            ax.axhline(scale * comparison.linear, color="0.5", ls="--", lw=1, label="linear model")
            ax.set_xscale("log")
            ax.set_xlabel(text)
            ax.grid(alpha=0.3)
        for line in comparison.lines:
            refused = line.error.startswith("does not apply")
            if refused and (line.device, line.budget) == (device, comparison.lines[0].budget):
                axes[0].plot([], [], " ", label=f"{line.rule}: does not apply")
        axes[0].set_ylabel("test accuracy in %" if scale == 100 else "test R2")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize="small")
        figure.suptitle(f"{comparison.dataset} through {device}")
        name = "".join(c if c.isalnum() else "-" for c in device).strip("-")
        path = Path(folder or comparison.path.parent) / f"{comparison.path.stem}-{name}.png"
        figure.savefig(path, dpi=110)
        paths.append(path)
    return paths


def _joules(line: Line) -> float:
    return sum(
        value or 0.0 for part, value in line.joules.items() if part != "digital inference, each row"
    )
