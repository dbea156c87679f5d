"""What needs no device: the linear model on the raw input, on the same splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pnn.compare.config import CompareConfig
from pnn.controls import LAGS, fit_linear, lagged
from pnn.data import Dataset, split, split_rows

__all__ = ["reference_merits"]


def reference_merits(config: CompareConfig, dataset: Dataset) -> dict[str, NDArray[np.float64]]:
    """Return the merit of every test row, (seeds, test rows), by the name of the reference."""
    merits = []
    regression = dataset.task == "regression"
    for seed in range(config.run.seed, config.run.seed + config.run.seeds):
        train, test = split(dataset, seed, config.run.test)
        groups = None if dataset.groups is None else dataset.groups[train]
        kept, held_out = split_rows(dataset.y[train], groups, seed, 0.2, dataset.task)
        inputs = dataset.X
        if dataset.washout is not None:
            inputs, train = lagged(inputs, LAGS), train[dataset.washout :]
            kept, held_out = np.split(np.arange(len(train)), [round(0.8 * len(train))])
        X, y = inputs[train], dataset.y[train]
        model = fit_linear(X[kept], y[kept], X[held_out], y[held_out], regression=regression)
        predicted, truth = model.predict(inputs[test]), dataset.y[test]
        merits.append(
            1.0 - (predicted - truth) ** 2 / np.var(truth)
            if regression
            else (predicted == truth).astype(np.float64)
        )
    # Splits by groups differ in length; what is missing counts as not measured.
    longest = max(len(merit) for merit in merits)
    padded = np.full((len(merits), longest), np.nan)
    for row, merit in zip(padded, merits, strict=True):
        row[: len(merit)] = merit
    return {"linear": padded}
