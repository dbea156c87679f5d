"""A twin judged on several splits, and then fitted to all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import DeviceSpec
from devices.checks import whole
from pnn.twin import Kind, TwinFit, fit_twin
from simulators.twins import LAWS, Twin

__all__ = ["JudgedTwin", "fit_twin_on_splits"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class JudgedTwin:
    """A twin of all rows, and the fits to parts of them that say how good it is.

    Attributes
    ----------
    fit : TwinFit
        Of all rows; its report has the means over the splits, and the costs of all fits.
    splits : tuple of TwinFit
        Each with its own test rows.
    """

    fit: TwinFit
    splits: tuple[TwinFit, ...]

    @property
    def r2_by_split(self) -> Array:
        """Pooled R2 on the test rows of each split."""
        return np.array([split.report.r2 for split in self.splits])


def fit_twin_on_splits(
    drives: Array,
    answers: Array,
    *,
    spec: DeviceSpec | None = None,
    kind: Kind = "auto",
    seed: int = 0,
    splits: int = 5,
    holdout: float = 0.2,
    **options: Any,
) -> JudgedTwin:
    """Fit twins to several splits of the rows, take the law that won most often, fit it to all.

    Every split has the next seed, its own test rows, and its own choice of the law; the R2 that
    is reported is the mean over splits of what their choices reach on their test rows.

    Parameters
    ----------
    splits : int
        How many; at least 1.
    drives, answers, spec, kind, seed, holdout, **options
        Of `fit_twin`.

    Raises
    ------
    ValueError
        As `fit_twin`.
    """
    whole("fit_twin_on_splits", "splits", splits, 1)
    rest: dict[str, Any] = {"spec": spec, **options}
    fits = tuple(
        fit_twin(drives, answers, kind=kind, seed=seed + i, holdout=holdout, **rest)
        for i in range(splits)
    )
    won = Counter(fit.report.kind for fit in fits)
    chosen: Any = max(won, key=lambda law: (won[law], -list(LAWS).index(law)))  # simpler of equals
    final = fit_twin(drives, answers, kind=chosen, seed=seed, holdout=0.0, **rest)
    reports = [fit.report for fit in fits]
    names = [law for law in LAWS if all(law in one.validation_r2 for one in reports)]
    report = replace(
        final.report,
        r2=float(np.mean([one.r2 for one in reports])),
        r2_by_output=_mean([one.r2_by_output for one in reports]),
        affine_share=float(np.mean([one.affine_share for one in reports])),
        validation_r2={
            law: float(np.mean([one.validation_r2[law] for one in reports])) for law in names
        },
        left_out=reports[0].left_out,
        test_rows=reports[0].test_rows,
        residual=_mean([one.residual for one in reports]),
        multiply_adds_fit=sum(fit.multiply_adds_fit for fit in (*fits, final)),
    )
    # What it adds as noise is what it misses in rows that it has not seen.
    twin = Twin(replace(final.device.model, spread=report.spread))
    return JudgedTwin(fit=replace(final, device=twin, report=report), splits=fits)


def _mean(values: Sequence[Array]) -> Array:
    mean: Array = np.mean(values, axis=0)
    return mean
