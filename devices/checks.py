"""Checks of arguments: a bad one is named with its value and its allowed range."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["did_you_mean", "flag", "number", "one_of", "table", "whole"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message that names the closest match, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def whole(owner: str, name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return a whole number in [low, high], or raise `ValueError`."""
    good = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not good or value < low or (high is not None and value > high):
        allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{owner}: {name}={value!r} must be a whole number {allowed}")
    return int(value)


def number(
    owner: str,
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """Return a finite number in [low, high]; `above`, `below` leave that end out."""
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if (
        not real
        or not math.isfinite(value)
        or not low <= value <= high
        or (above and value == low)
        or (below and value == high)
    ):
        allowed = ""
        if math.isfinite(low):
            allowed += f" {'above' if above else 'of at least'} {low:g}"
        if math.isfinite(high):
            allowed += f" and {'below' if below else 'at most'} {high:g}"
        raise ValueError(f"{owner}: {name}={value!r} must be a finite number{allowed}")
    return float(value)


def one_of(owner: str, name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of the choices, or raise `ValueError`."""
    if value not in choices:
        raise ValueError(f"{owner}: {name}={value!r} is not one of {', '.join(choices)}")
    return str(value)


def flag(owner: str, name: str, value: Any) -> bool:
    """Return True or False, or raise `ValueError`: a text such as "no" would count as True."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{owner}: {name}={value!r} must be True or False")
    return bool(value)


def table(
    owner: str, name: str, value: Any, rows: int = 1, columns: int | None = None
) -> NDArray[Any]:
    """Return a finite array of two axes with at least so many rows, or raise `ValueError`."""
    array = np.asarray(value)
    if array.dtype.kind not in "biufc" or array.ndim != 2 or len(array) < rows:
        raise ValueError(
            f"{owner}: {name} is {array.dtype} of shape {array.shape}; it must be numbers of shape "
            f"(rows, channels) with at least {rows} rows"
        )
    if columns is not None and array.shape[1] != columns:
        raise ValueError(f"{owner}: {name} has {array.shape[1]} columns, it must have {columns}")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{owner}: {name} has {array[row, column]} at row {row}, column {column}")
    return array if array.dtype.kind in "fc" else array.astype(np.float64)
