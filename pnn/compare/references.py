"""What needs no device: the linear model on the raw input, on the same splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pnn.compare.config import CompareConfig
from pnn.controls import LAGS, fit_linear, lagged
from pnn.data import Dataset, split, split_rows
from pnn.training import limit_threads

__all__ = ["linear_merit"]


@limit_threads(1)  # beside another busy process, more are many times slower
def linear_merit(config: CompareConfig, dataset: Dataset, seed: int) -> NDArray[np.float64]:
    """Return the merit of every test row of a seed, (test rows,)."""
    regression = dataset.task == "regression"
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
    if regression:
        return np.asarray(1.0 - (predicted - truth) ** 2 / np.var(truth))
    return (predicted == truth).astype(np.float64)
