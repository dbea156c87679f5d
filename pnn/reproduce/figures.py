"""Pictures of a reproduction: learning curves, and accuracy under each condition."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from devices.extras import MissingExtraError, require
from pnn.compare.curves import Curve, draw_curve
from pnn.reproduce.systems import CONDITIONS, RULES

__all__ = ["draw"]


def draw(folder: Path, systems: dict[str, Any]) -> list[str]:
    """Write a picture for each system and return the names of the files.

    Without matplotlib there are none, and stderr says so.
    """
    try:
        figure_module = require("matplotlib.figure", "plot")
    except MissingExtraError as error:
        print(f"no pictures: {error}", file=sys.stderr)
        return []
    names = []
    for name, system in systems.items():
        figure = figure_module.Figure(figsize=(14, 4.6), layout="constrained")
        axes: Any = figure.subplots(1, 1 + len(CONDITIONS), sharey=True)
        for ax, condition in zip(axes, CONDITIONS, strict=False):
            _curves(ax, system, condition)
        _bars(axes[-1], system)
        for ax in axes:
            ax.axhline(100 * system["linear"], color="0.5", ls="--", lw=1, label="linear model")
            ax.grid(alpha=0.3)
        axes[0].set_ylabel("test accuracy in %")
        axes[0].set_ylim(0, 102)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
        figure.suptitle(f"{name}: {system['dataset']}, mean and standard deviation over seeds")
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        names.append(path.name)
    return names


def _curves(ax: Any, system: dict[str, Any], condition: str) -> None:
    """Draw accuracy against queries; a star is the test after the training."""
    for k, rule in enumerate(RULES):
        entry = _of(system, condition, rule)
        if entry["accuracy"] is None:
            continue
        style = {"color": f"C{k}", "label": rule}
        if entry["curve"] is not None:
            numbers = {key: np.array(values) for key, values in entry["curve"].items()}
            draw_curve(ax, Curve(rule=rule, device="", budget=0, **numbers), marker=".", **style)
            style.pop("label")
        ax.plot(entry["queries"], 100 * entry["accuracy"], "*", ms=10, **style)
    ax.set_xscale("log")
    ticker = require("matplotlib.ticker", "plot")
    ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.set_xlabel("training queries")
    ax.set_title(f"medium: {'still' if condition == 'still' else 'changes ' + condition}")


def _bars(ax: Any, system: dict[str, Any]) -> None:
    """Draw the test accuracy under each condition side by side."""
    width = 0.8 / len(RULES)
    for k, rule in enumerate(RULES):
        entries = [_of(system, condition, rule) for condition in CONDITIONS]
        at = np.arange(len(CONDITIONS)) + (k - len(RULES) / 2 + 0.5) * width
        heights = [100 * (entry["accuracy"] or 0.0) for entry in entries]
        errors = [100 * (entry["spread"] or 0.0) for entry in entries]
        ax.bar(at, heights, width, yerr=errors, color=f"C{k}", error_kw={"lw": 0.8})
    ax.set_xticks(range(len(CONDITIONS)), [name.replace(" ", "\n") for name in CONDITIONS])
    ax.set_title("after the training")


def _of(system: dict[str, Any], condition: str, rule: str) -> dict[str, Any]:
    return next(
        entry
        for entry in system["results"]
        if (entry["condition"], entry["rule"]) == (condition, rule)
    )
