"""A twin as one picture: what it predicts against what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.extras import require
from pnn.twin import TwinFit

__all__ = ["plot_twin"]

_BLUE, _GREY = "#1f5fa8", "#9aa0a6"
_MOST_POINTS = 20_000


def plot_twin(fit: TwinFit, drives: NDArray[Any], answers: NDArray[Any], path: str | Path) -> Path:
    """Draw predicted against measured answers, and the R2 of each output, into a PNG file.

    Parameters
    ----------
    fit : TwinFit
        With test rows.
    drives, answers : ndarray
        All rows that it was fitted on; its test rows are shown.

    Raises
    ------
    MissingExtraError
        If matplotlib is missing.
    FileExistsError
        If there is such a file.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists already and is not overwritten; choose another file")
    figure = require("matplotlib.figure", "plot").Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    spec, report = fit.device.spec, fit.report
    rows = fit.test
    predicted = fit.law(drives[rows])
    measured = answers[rows]
    if spec.is_complex:
        measured = np.hstack([measured.real, measured.imag])
    x, y = measured.ravel(), predicted.ravel()
    some = np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    left.plot(ends, ends, color=_GREY, linewidth=1)
    left.plot(x[some], y[some], ".", color=_BLUE, markersize=2, alpha=0.3)
    unit = "" if spec.output_unit == "1" else f" ({spec.output_unit})"
    left.set(
        xlabel=f"measured{unit}",
        ylabel=f"predicted{unit}",
        title=f"{len(rows)} rows that the fit has not seen: R2 {report.r2:.4f}",
    )
    each = report.r2_by_output
    right.axhline(report.r2, color=_GREY, linestyle="--", linewidth=1, label="pooled")
    right.plot(np.arange(len(each)), each, "o", color=_BLUE, markersize=4, label="of each output")
    right.set(xlabel="output", ylabel="R2", title=f"{report.kind} law, output by output")
    right.xaxis.set_major_locator(require("matplotlib.ticker", "plot").MaxNLocator(integer=True))
    right.legend(frameon=False)
    figure.suptitle(spec.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
