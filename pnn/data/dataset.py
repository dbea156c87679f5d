"""What a data set is: features, targets, and what must be known to split and record them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "Task"]

#: What is learned: a class, or a number.
Task = Literal["classification", "regression"]


# Field-wise equality would compare whole arrays; two data sets are the same if `digest` is.
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Rows of features with one target each, checked when it is made.

    Parameters
    ----------
    name : str
        What messages and records call the data set.
    X : ndarray of shape (rows, features), float64
        The features as their source gives them; an encoder scales them to legal drives.
    y : ndarray of shape (rows,)
        Codes 0 ... C-1, int64, for classification; the values, float64, for regression.
    task : {"classification", "regression"}
        What is learned.
    classes : tuple of C str
        Name of each code; empty for regression.
    feature_names : tuple of str
        One for each feature, or empty.
    groups : ndarray of shape (rows,) or None
        Rows that belong together, such as a speaker's: a split never separates them.
    shape : tuple of int or None
        Shape of one row as an image, (8, 8) for one, where the rows are images.
    washout : int or None
        Where rows are steps in the order of time: how many at the beginning of each part are
        driven but not scored. None for rows that have no order.
    source : str
        One sentence: where the data come from.

    Raises
    ------
    ValueError
        If the fields do not fit together; the message names the field, the row and the value.

    Examples
    --------
    >>> Dataset(
    ...     name="xor", X=[[0, 0], [1, 1], [0, 1], [1, 0]], y=[0, 0, 1, 1], classes=("even", "odd")
    ... )
    Dataset('xor': 4 rows, 2 features, 2 classes)
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[Any]
    task: Task = "classification"
    classes: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    groups: NDArray[Any] | None = None
    shape: tuple[int, ...] | None = None
    washout: int | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ValueError(
                f"{self.name}: task={self.task!r} is not one of {', '.join(get_args(Task))}"
            )
        for field in ("classes", "feature_names"):
            names = tuple(str(v) for v in getattr(self, field))
            if len(set(names)) < len(names):
                raise ValueError(f"{self.name}: {field}={names!r} has a name twice")
            self._set(field, names)
        self._set("X", self._features())
        self._set("y", self._codes() if self.task == "classification" else self._values())
        if self.groups is not None:
            self._set("groups", self._groups())
        if self.shape is not None:
            self._set("shape", tuple(int(n) for n in self.shape))
            if math.prod(self.shape) != self.X.shape[1]:
                raise ValueError(
                    f"{self.name}: shape={self.shape} has {math.prod(self.shape)} pixels, "
                    f"but X has {self.X.shape[1]} features"
                )

    def digest(self) -> str:
        """Return 16 hex digits of the SHA-256 of X and y, for the record of a run."""
        sha = hashlib.sha256()
        for array, kind in ((self.X, "<f8"), (self.y, "<i8" if self.classes else "<f8")):
            sha.update(str(array.shape).encode())
            sha.update(np.ascontiguousarray(array, kind).data)
        return sha.hexdigest()[:16]

    def pooled(self, k: int) -> Dataset:
        """Return the data set with each k x k block of pixels replaced by its mean.

        Raises
        ------
        ValueError
            If the rows are not images of two axes, or `k` does not divide both.
        """
        if self.shape is None or len(self.shape) != 2:
            raise ValueError(
                f"{self.name}: pooling by {k} needs rows that are images of two axes, "
                f"but shape={self.shape}; leave pool out"
            )
        height, width = self.shape
        if isinstance(k, bool) or not isinstance(k, int) or k < 1 or height % k or width % k:
            raise ValueError(
                f"{self.name}: pool={k!r} must be a whole number that divides both sides of the "
                f"{height} x {width} image, one of {_divisors(math.gcd(height, width))}"
            )
        if k == 1:
            return self
        blocks = self.X.reshape(-1, height // k, k, width // k, k)
        return replace(
            self,
            X=blocks.mean(axis=(2, 4)).reshape(len(self.X), -1),
            shape=(height // k, width // k),
            feature_names=(),
            source=f"{self.source.rstrip('.')}; mean over {k} x {k} pixels.",
        )

    def __repr__(self) -> str:
        what = f"{len(self.classes)} classes" if self.classes else self.task
        rows, features = self.X.shape
        return f"Dataset({self.name!r}: {rows} rows, {features} features, {what})"

    # -- checks --------------------------------------------------------------------------------

    def _set(self, field: str, value: Any) -> None:
        object.__setattr__(self, field, value)

    def _features(self) -> NDArray[np.float64]:
        X = self._numbers("X")
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(
                f"{self.name}: X has shape {X.shape}, expected (rows, features), at least one each"
            )
        if self.feature_names and len(self.feature_names) != X.shape[1]:
            raise ValueError(
                f"{self.name}: {len(self.feature_names)} feature names for {X.shape[1]} features"
            )
        finite = np.isfinite(X)
        if not finite.all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            called = f" ({self.feature_names[column]})" if self.feature_names else ""
            raise ValueError(
                f"{self.name}: X is {X[row, column]} at row {row}, column {column}{called}, and "
                f"not finite in {int((~finite).sum())} places; leave these rows out or fill them"
            )
        return X

    def _codes(self) -> NDArray[np.int64]:
        y, C = np.asarray(self.y), len(self.classes)
        self._check_length("y", y)
        if C < 2:
            raise ValueError(
                f"{self.name}: {C} classes ({', '.join(self.classes)}), expected at least 2"
            )
        if y.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name}: y is {y.dtype}, expected whole numbers 0 ... {C - 1} for "
                "classification"
            )
        outside = (y < 0) | (y >= C)
        if outside.any():
            row = int(np.argmax(outside))
            raise ValueError(
                f"{self.name}: y is {y[row]} at row {row}, expected a code in 0 ... {C - 1}"
            )
        counts = np.bincount(y, minlength=C)
        if counts.min() < 2:
            code = int(np.argmin(counts))
            raise ValueError(
                f"{self.name}: class {self.classes[code]!r} has {counts[code]} rows, expected at "
                "least 2, one to train on and one to test; add rows or leave the class out"
            )
        return y.astype(np.int64, copy=False)

    def _values(self) -> NDArray[np.float64]:
        if self.classes:
            raise ValueError(f"{self.name}: classes={self.classes!r} are given for a regression")
        y = self._numbers("y")
        self._check_length("y", y)
        if not np.isfinite(y).all():
            row = int(np.argmin(np.isfinite(y)))
            raise ValueError(f"{self.name}: y is {y[row]} at row {row}, expected a finite number")
        if len(y) < 2:
            raise ValueError(f"{self.name}: {len(y)} rows, expected at least 2")
        return y

    def _groups(self) -> NDArray[Any]:
        groups = as_text(np.asarray(self.groups))
        self._check_length("groups", groups)
        if groups.dtype.kind not in "biuU" and not (
            groups.dtype.kind == "f" and np.isfinite(groups).all()
        ):
            raise ValueError(
                f"{self.name}: groups are {groups.dtype}, expected a name or a finite number for "
                "every row"
            )
        return groups

    def _numbers(self, field: str) -> NDArray[np.float64]:
        values = np.asarray(getattr(self, field))
        if values.dtype.kind not in "biuf":
            raise ValueError(f"{self.name}: {field} is {values.dtype}, expected real numbers")
        return values.astype(np.float64, copy=False)

    def _check_length(self, field: str, values: NDArray[Any]) -> None:
        if values.shape != (len(self.X),):
            raise ValueError(
                f"{self.name}: {field} has shape {values.shape}, expected ({len(self.X)},), one "
                "for each row of X"
            )


def as_text(values: NDArray[Any]) -> NDArray[Any]:
    """Return texts that came as bytes or Python objects as an array of texts; others as is."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "O" and all(isinstance(v, str) for v in values.flat):
        return values.astype(str)
    return values


def _divisors(n: int) -> str:
    return ", ".join(str(k) for k in range(1, n + 1) if n % k == 0)
