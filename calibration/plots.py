"""A characterisation as one picture."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from calibration.characterise import Characterisation
from calibration.features import Quadratic

__all__ = ["plot_characterisation"]

_BLUE, _GREY, _RED = "#1f5fa8", "#9aa0a6", "#c0392b"
_MOST_POINTS = 3000


def plot_characterisation(found: Characterisation, path: str | Path) -> Path:
    """Draw outputs, influences, dimensions and laws into a PNG file.

    Raises
    ------
    ImportError
        If matplotlib is missing, with the extra that installs it.
    FileExistsError
        If there is such a file.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists already and is not overwritten; choose another file")
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError(
            f"matplotlib cannot be imported ({error}); plots need the extra: "
            "pip install 'pnn-toolkit[plot]'",
            name="matplotlib",
        ) from error
    figure = figures.Figure(figsize=(11, 8.2), layout="constrained")
    axes = figure.subplots(2, 2)
    _outputs(axes[0, 0], found)
    _influence(figure, axes[0, 1], found)
    _dimensions(axes[1, 0], found)
    _laws(axes[1, 1], found)
    ticks = importlib.import_module("matplotlib.ticker").MaxNLocator
    for axis in (axes[0, 0].xaxis, axes[0, 1].xaxis, axes[0, 1].yaxis, axes[1, 0].xaxis):
        axis.set_major_locator(ticks(integer=True))  # channels are counted
    figure.suptitle(f"{found.name}: {found.rows} random drives", fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _outputs(axes: Any, found: Characterisation) -> None:
    spread = found.structure.spread
    quiet = np.isin(np.arange(len(spread)), found.structure.quiet_outputs)
    # A logarithmic axis has no zero: what never moves stands at the bottom.
    shown = np.maximum(spread, 1e-4 * spread.max())
    order = np.arange(len(spread))
    style = {"linestyle": "none", "marker": "o", "markersize": 5 if len(spread) < 100 else 2}
    axes.plot(order[~quiet], shown[~quiet], color=_BLUE, label="loud", **style)
    if quiet.any():
        axes.plot(order[quiet], shown[quiet], color=_RED, label="quiet", **style)
    if found.dimensions is not None and np.isfinite(found.snr_db):
        level = np.median(spread[~quiet] if (~quiet).any() else spread)
        noise = level / np.sqrt(1 + 10 ** (found.snr_db / 10))
        axes.axhline(noise, color=_GREY, linestyle="--", label="noise, median")
    axes.set(yscale="log", xlabel="output", ylabel=f"standard deviation{_unit(found.output_unit)}",
             title="How much each output moves")  # fmt: skip
    axes.legend(frameon=False)


def _influence(figure: Any, axes: Any, found: Characterisation) -> None:
    image = axes.imshow(
        found.structure.influence, aspect="auto", cmap="Blues", vmin=0, interpolation="nearest"
    )
    axes.set(xlabel="input", ylabel="output", title="Share of an output's variance by input")
    figure.colorbar(image, ax=axes)


def _dimensions(axes: Any, found: Characterisation) -> None:
    if found.dimensions is not None:
        # So many rows tell no more directions; further axes are arbitrary.
        told = min(len(found.dimensions.signal_variance), found.dimensions.rows // 2 - 1)
        signal = found.dimensions.signal_variance[:told]
        noise = found.dimensions.noise_variance[:told]
        k = np.arange(1, told + 1)
        kept = signal > 0
        axes.plot(k[kept], signal[kept], "o-", color=_BLUE, markersize=3, label="signal")
        if noise.max() > 0:
            axes.plot(k, noise, color=_GREY, label="noise")
        axes.legend(frameon=False)
    else:
        centred = found.answers - found.answers.mean(axis=0)
        values = np.linalg.svd(centred, compute_uv=False) ** 2 / len(centred)
        values = values[values > 1e-12 * values[0]]
        axes.plot(np.arange(1, len(values) + 1), values, "o-", color=_BLUE, markersize=3)
    axes.axvline(found.participation, color=_RED, linestyle="--")
    axes.annotate(
        f"participation ratio {found.participation:.1f}", (found.participation, 0.95),
        xycoords=("data", "axes fraction"), xytext=(6, 0), textcoords="offset points",
        color=_RED, va="top",
    )  # fmt: skip
    axes.set(yscale="log", xlabel="direction", ylabel="variance", title="Dimensions of the answers")


def _laws(axes: Any, found: Characterisation) -> None:
    """Compare what two laws say with what was measured, at the loudest output."""
    loud = [k for k in range(len(found.structure.spread)) if k not in found.structure.quiet_outputs]
    spread = found.structure.spread
    law = found.magnitude
    among = list(law.outputs) if law is not None else loud or list(range(len(spread)))
    k = max(among, key=lambda i: spread[i])
    rows = np.linspace(0, found.rows - 1, min(found.rows, _MOST_POINTS)).astype(int)
    measured = found.answers[rows, k]
    affine = Quadratic.learned(found.drives, 1)
    weights, constant = affine.fit(found.drives, found.answers[:, [k]])
    fitted = (affine(found.drives[rows]) @ weights + constant)[:, 0]
    style = {"linestyle": "none", "marker": ".", "markersize": 3, "alpha": 0.6}
    share = found.laws.affine_by_output[k]
    axes.plot(measured.real, fitted.real, color=_GREY, label=f"affine, R2 {share:.3f}", **style)
    if law is not None:
        column = law.outputs.index(k)
        axes.plot(measured, law(found.drives[rows])[:, column], color=_BLUE,
                  label=f"{law.formula}, R2 {law.r2[column]:.3f}", **style)  # fmt: skip
    ends = [measured.real.min(), measured.real.max()]
    axes.plot(ends, ends, color="black", linewidth=0.8)
    axes.set(xlabel=f"measured{_unit(found.output_unit)}", ylabel="law",
             title=f"Output {k}: law against measurement")  # fmt: skip
    axes.legend(frameon=False, markerscale=3)


def _unit(unit: str) -> str:
    return "" if unit in ("", "1") else f" ({unit})"
