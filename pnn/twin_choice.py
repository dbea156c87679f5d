"""Picking the law of a twin by rows that the fits have not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.features import held_out_r2
from pnn.twin_laws import UnfitError, check_law, expected_cost, fit_law
from simulators.twins import LAWS

__all__ = ["choose_law"]

Array = NDArray[Any]

#: Most multiply-adds (some ten seconds on one core) that are spent on trying one law.
_BUDGET = 10**11


def choose_law(
    drives: Array, channels: Array, options: dict[str, Any]
) -> tuple[str, dict[str, float], dict[str, str], int]:
    """Return the law to take, the validation R2 of each, why others were left out, the cost.

    The rows are in random order; the last fifth of them decides.
    """
    cut = len(drives) - max(2, len(drives) // 5)
    fitted, judged = slice(None, cut), slice(cut, None)
    errors: dict[str, Array] = {}
    validation, left_out, spent = {}, {}, 0
    for kind in LAWS:
        expected = expected_cost(kind, cut, drives.shape[1], channels.shape[1], **options)
        try:
            check_law(kind, drives[fitted], channels[fitted])
        except UnfitError as error:
            left_out[kind] = str(error)
            continue
        if expected > _BUDGET:
            left_out[kind] = f"it would take {expected:.1g} multiply-adds; ask for it by its name"
            continue
        law, cost = fit_law(kind, drives[fitted], channels[fitted], **options)
        spent += cost
        predicted = law(drives[judged])
        errors[kind] = np.sum((channels[judged] - predicted) ** 2, axis=1)
        validation[kind] = held_out_r2(channels[judged], predicted)[0]
    if not errors:
        raise UnfitError("; ".join(left_out.values()))
    best = min(errors, key=lambda kind: errors[kind].mean())
    for kind in LAWS:
        if kind in errors:
            worse = errors[kind] - errors[best]
            if worse.mean() <= worse.std() / np.sqrt(len(worse)):
                return kind, validation, left_out, spent
    return best, validation, left_out, spent
