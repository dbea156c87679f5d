"""Rows to predict: features, with or without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn.data.load import FILES, load

__all__ = ["read_features"]


def read_features(
    source: str, n_features: int, **options: Any
) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Return features, (rows, n_features), and the labels where the source has them.

    Parameters
    ----------
    source : str
        What `load` takes; or a CSV file of nothing but features, or an NPZ file with X alone.
    n_features : int
        Width that the network was trained on.
    **options
        Of `load`.

    Raises
    ------
    ValueError
        If the content is wrong or of another width.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(source)
    if path.suffix.lower() in FILES and not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    X = None
    if path.suffix.lower() == ".csv":
        X = _bare_csv(path, n_features)
    elif path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as file:
            if "X" in file and "y" not in file:
                X = np.asarray(file["X"], np.float64).reshape(len(file["X"]), -1)
    labels = None
    if X is None:
        dataset = load(source, **options)
        X = dataset.X
        labels = np.array(dataset.classes)[dataset.y] if dataset.classes else dataset.y
    if X.shape[1] != n_features:
        raise ValueError(f"{source} has {X.shape[1]} features, the network takes {n_features}")
    if not np.isfinite(X).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
        raise ValueError(f"{source}: row {row}, feature {column} is {X[row, column]}, not finite")
    return X, labels


def _bare_csv(path: Path, n_features: int) -> NDArray[np.float64] | None:
    """Return a table of exactly `n_features` columns of numbers; None for one of other width."""
    lines = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1)
    rows = [(n, line.split(max(",;\t", key=line.count))) for n, line in lines if line.strip()]
    if not rows or any(len(cells) != n_features for _, cells in rows):
        return None
    X = []
    for n, cells in rows:
        try:
            X.append([float(cell) for cell in cells])
        except ValueError as error:
            names = n == rows[0][0] and not any(_is_number(cell) for cell in cells)
            if not names:  # of the columns
                raise ValueError(f"{path}, line {n}: {error}") from None
    return np.array(X, np.float64).reshape(-1, n_features)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
