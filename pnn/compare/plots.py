"""Plots of a comparison: score against queries, seconds, joules and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable
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
    ticker = require("matplotlib.ticker", "plot")

    paths = []
    scale = 100 if comparison.score == "accuracy" else 1
    for device in dict.fromkeys(line.device for line in comparison.lines):
        lines = [line for line in comparison.lines if line.device == device and line.seeds]
        amounts: dict[str, Callable[[Line], float]] = {
            "queries for training and validation": lambda line: line.queries,
            "seconds in the device": lambda line: line.device_seconds,
            "seconds, all in all": lambda line: line.seconds,
            "multiply-adds of training": lambda line: line.multiply_adds,
            "joules": lambda line: line.known_joules or 0.0,
        }
        drawn = {
            text: amount for text, amount in amounts.items() if any(amount(line) for line in lines)
        }
        if not drawn:
            continue
        rules = list(dict.fromkeys(line.rule for line in lines))
        rows, columns = -(-len(drawn) // 2), min(2, len(drawn))
        height = max(4.2 * rows, 0.19 * len(rules))  # the legend has a line for each rule
        figure = figure_module.Figure(figsize=(5.0 * columns + 2.8, height), layout="constrained")
        axes: Any = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for ax in axes[len(drawn) :]:
            ax.set_axis_off()
        for ax, (text, amount) in zip(axes, drawn.items(), strict=False):
            for k, rule in enumerate(rules):
                of = sorted((line for line in lines if line.rule == rule), key=amount)
                ax.errorbar(
                    [amount(line) for line in of],
                    [scale * line.score for line in of],
                    [scale * np.nan_to_num(line.spread) for line in of],
                    color=f"C{k % 10}",
                    marker="osD^vP"[k // 10 % 6],
                    label=rule,
                    capsize=2,
                    lw=1,
                )
            ax.axhline(scale * comparison.linear, color="0.5", ls="--", lw=1, label="linear model")
            ax.set_xlabel(text)
            # What costs nothing has a place on the axis, too: a decade before the cheapest.
            costs = [amount(line) for line in lines if amount(line) > 0]
            if len(costs) < len(lines):
                ax.set_xscale("symlog", linthresh=min(costs), linscale=0.5)
            else:
                ax.set_xscale("log")
            ax.xaxis.set_minor_formatter(ticker.NullFormatter())
            ax.grid(alpha=0.3)
        for line in comparison.lines:
            refused = line.error.startswith("does not apply")
            if refused and (line.device, line.budget) == (device, comparison.lines[0].budget):
                axes[0].plot([], [], " ", label=f"{line.rule}: does not apply")
        figure.supylabel("test accuracy in %" if scale == 100 else "test R2", fontsize="medium")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize="small")
        figure.suptitle(f"{comparison.dataset} through {device}")
        name = "".join(c if c.isalnum() else "-" for c in device).strip("-")
        path = Path(folder or comparison.path.parent) / f"{comparison.path.stem}-{name}.png"
        figure.savefig(path, dpi=110)
        paths.append(path)
    return paths
