"""From the labels in a file to class codes, or to the values of a regression."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn.data.dataset import Task, as_text

__all__ = ["encode"]


def encode(
    name: str, labels: ArrayLike, task: Task | None = None
) -> tuple[NDArray[Any], tuple[str, ...], Task]:
    """Return the targets, the names of the classes, and the task.

    Texts and whole numbers are classes, in sorted order; other numbers are values to regress on.
    `task` decides otherwise. A text that reads as a number is one.

    Parameters
    ----------
    name : str
        What messages call the data set.
    labels : array_like of shape (rows,)
        Texts, bytes or real numbers.
    task : {"classification", "regression"} or None
        None: decided by the labels.

    Raises
    ------
    ValueError
        If a label is empty or not finite, or no number where one is needed.
    """
    if task is not None and task not in get_args(Task):
        raise ValueError(f"{name}: task={task!r} is not one of {', '.join(get_args(Task))}")
    values = as_text(np.asarray(labels))
    if values.ndim != 1 or not values.size or values.dtype.kind not in "biufU":
        raise ValueError(
            f"{name}: the labels are {values.dtype} of shape {values.shape}, expected one text or "
            "one real number for each row"
        )
    if values.dtype.kind == "U":
        empty = np.char.strip(values) == ""
        if empty.any():
            raise ValueError(f"{name}: the label of row {int(np.argmax(empty))} is empty")
    numbers = _as_numbers(values)
    if numbers is None:
        if task == "regression":
            word = next(str(v) for v in values if _as_numbers(np.array([v])) is None)
            raise ValueError(
                f"{name}: the label {word!r} is not a number, which task='regression' needs"
            )
        distinct, codes = np.unique(values, return_inverse=True)
        return codes, tuple(str(v) for v in distinct), "classification"
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise ValueError(f"{name}: the label of row {row} is {numbers[row]}, not a finite number")
    whole = bool((numbers == np.round(numbers)).all())
    if task == "regression" or (task is None and not whole):
        return numbers, (), "regression"
    distinct, codes, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if task is None and counts.min() < 2:
        raise ValueError(
            f"{name}: the labels are whole numbers, so they are taken as classes, but "
            f"{distinct[np.argmin(counts)]:g} stands in one row only; add rows of it, or set "
            "task='regression' if the label is a quantity"
        )
    return codes, tuple(str(int(v)) if whole else str(v) for v in distinct), "classification"


def _as_numbers(values: NDArray[Any]) -> NDArray[np.float64] | None:
    try:
        return values.astype(np.float64)
    except ValueError:
        return None
