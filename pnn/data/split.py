"""Rows to learn from and rows to be judged by."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, train_test_split

from pnn.data.dataset import Dataset, Task

__all__ = ["led_in", "split", "split_rows"]

Indices = NDArray[np.int64]

# With groups, the share is met as a number of folds out of at most so many.
MAX_FOLDS = 20


def split(dataset: Dataset, seed: int, test: float = 0.2) -> tuple[Indices, Indices]:
    """Return the indices of the rows to train on and of the rows to test on.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        The same seed gives the same split.
    test : float
        Share of the rows to test on, between 0 and 1.

    Returns
    -------
    train, test : ndarray of int64
        Disjoint and shuffled; together they are every row. Steps in the order of time stay in
        it: the later ones are the test, for every seed. Seeds repeat the rule there, not the data.

    Raises
    ------
    ValueError
        As `split_rows`.
    """
    if dataset.washout is not None:
        return _in_time(dataset, test)
    try:
        return split_rows(
            dataset.y, dataset.groups, seed, test, dataset.task, classes=dataset.classes
        )
    except ValueError as error:
        raise ValueError(f"{dataset.name}: {error}") from error


def _in_time(dataset: Dataset, share: float) -> tuple[Indices, Indices]:
    """Return the earlier rows and the later ones, in their order."""
    n = len(dataset.y)
    first = n - round(share * n)
    least = 2 * (dataset.washout or 0) + 2
    if first < least or n - first < 2:
        raise ValueError(
            f"{dataset.name}: test={share:g} of {n} rows leaves {first} to train on; "
            f"{least} are needed beside a washout of {dataset.washout}"
        )
    return np.arange(first), np.arange(first, n)


def led_in(dataset: Dataset, rows: Indices) -> Indices:
    """Return rows of a sequence with the steps before them that are driven but not scored.

    Rows without order are returned as they are.
    """
    lead = min(dataset.washout or 0, int(rows[0]))
    return np.concatenate([np.arange(rows[0] - lead, rows[0]), rows])


def split_rows(
    y: ArrayLike,
    groups: ArrayLike | None,
    seed: int,
    share: float,
    task: Task = "classification",
    *,
    classes: Sequence[str] = (),
) -> tuple[Indices, Indices]:
    """Split rows in two, with the classes in the same proportion and every group on one side.

    Without groups this is scikit-learn's ``train_test_split``, stratified for classification.
    With groups it is a union of folds of its ``StratifiedGroupKFold``; the share is then met as
    nearly as the groups allow. Regression is not stratified.

    Parameters
    ----------
    y : array_like of shape (rows,)
        Targets: for classification anything that tells the classes apart.
    groups : array_like of shape (rows,) or None
        Rows of equal group stay together.
    seed : int
        At least 0.
    share : float
        Share of the rows in the second part, between 0 and 1.
    task : {"classification", "regression"}
    classes : sequence of str
        Names of the codes in `y`, for messages only.

    Returns
    -------
    kept, held_out : ndarray of int64
        Row indices, shuffled: rows are measured in this order, and a device that drifts must not
        meet one class after the other.

    Raises
    ------
    ValueError
        If a class or the groups are too few to stand on both sides.
    """
    targets = np.asarray(y)
    n = targets.size
    _check_seed(seed)
    for name, values in (("y", targets), ("groups", targets if groups is None else groups)):
        if np.shape(values) != (n,):
            raise ValueError(f"{name} has shape {np.shape(values)}, expected ({n},)")
    if not 0 < share < 1:
        raise ValueError(f"the share to hold out is {share!r}, expected between 0 and 1, ends out")
    if n < 2:
        raise ValueError(f"there are {n} rows to split, expected at least 2")
    stratify = targets if task == "classification" else None
    if stratify is not None:
        _check_counts(targets, share, classes)
    if groups is not None:
        kept, held_out = _by_group(stratify, np.asarray(groups), int(seed), share)
    else:
        kept, held_out = train_test_split(
            np.arange(n), test_size=share, random_state=int(seed), stratify=stratify
        )
    if stratify is not None:
        for where, rows in (("kept", kept), ("held-out", held_out)):
            missing = np.setdiff1d(targets, targets[rows])
            if len(missing):
                raise ValueError(
                    f"class {_called(missing[0], classes)} has no row in the {where} part of "
                    f"{len(rows)} rows; {_few(share, groups is not None)}"
                )
    return kept.astype(np.int64), held_out.astype(np.int64)


def _check_seed(seed: Any) -> None:
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed!r} must be a whole number in 0 ... {2**32 - 1}")


def _check_counts(y: NDArray[Any], share: float, classes: Sequence[str]) -> None:
    # A class of fewer rows would be on both sides for some seeds only.
    codes, counts = np.unique(y, return_counts=True)
    least = max(2, int(np.ceil(1 / min(share, 1 - share) - 1e-9)))
    if counts.min() < least:
        few = int(np.argmin(counts))
        raise ValueError(
            f"class {_called(codes[few], classes)} has {counts[few]} rows; to hold out a share of "
            f"{share:g} it needs at least {least}. {_few(share, False)}"
        )


def _by_group(
    y: NDArray[Any] | None, groups: NDArray[Any], seed: int, share: float
) -> tuple[Indices, Indices]:
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            f"all rows are of one group, {_called(groups[0], ())}, and a group is not split; "
            "give more groups or leave the groups out"
        )
    rows = np.arange(len(groups))
    shuffle = np.random.default_rng(seed).permutation
    if y is None:
        # Its share is one of groups, which must not be rounded to all or to none of them.
        held = min(max(round(share * n_groups), 1), n_groups - 1)
        kept, held_out = next(
            GroupShuffleSplit(1, test_size=held, random_state=seed).split(rows, groups=groups)
        )
        return shuffle(kept), shuffle(held_out)
    folds = min(MAX_FOLDS, n_groups, int(np.unique(y, return_counts=True)[1].min()))
    part = Fraction(share).limit_denominator(folds)
    if part in (0, 1):
        part = Fraction(1 if part == 0 else folds - 1, folds)
    kfold = StratifiedGroupKFold(part.denominator, shuffle=True, random_state=seed)
    parts = [held for _, held in kfold.split(rows, y, groups)]
    # Folds differ: one may lack a class of few groups while the next has it in proportion.
    choices = [
        np.concatenate([parts[(start + i) % part.denominator] for i in range(part.numerator)])
        for start in range(part.denominator)
    ]
    held_out = min(choices, key=lambda chosen: _imbalance(y, chosen, share))
    kept = np.setdiff1d(rows, held_out)
    return shuffle(kept), shuffle(held_out)


def _imbalance(y: NDArray[Any], held_out: Indices, share: float) -> tuple[int, float]:
    """Return how many classes are not on both sides, and how far any is from its share."""
    codes = np.unique(y, return_inverse=True)[1]
    held = np.bincount(codes[held_out], minlength=codes.max() + 1) / np.bincount(codes)
    return int(((held == 0) | (held == 1)).sum()), float(np.abs(held - share).max())


def _called(code: object, classes: Sequence[str]) -> str:
    if classes and isinstance(code, np.integer):
        return repr(classes[int(code)])
    return repr(code.item() if isinstance(code, np.generic) else code)


def _few(share: float, grouped: bool) -> str:
    remedy = "Add rows of it, leave the class out, or bring the share nearer to 0.5."
    return f"its rows stand in too few groups. {remedy}" if grouped else remedy
