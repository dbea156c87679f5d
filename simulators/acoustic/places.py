"""Positions of loudspeakers, microphones and scatterers in a box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.checks import whole

__all__ = ["places"]

Array = NDArray[Any]


def places(
    owner: str,
    name: str,
    value: int | ArrayLike,
    least: int,
    box: Array,
    seed: np.random.SeedSequence,
) -> Array:
    """Return positions in m, (count, 2): those given, or as many as asked for, drawn.

    Drawn positions keep 5 % of the box away from its walls; more of them only add to the first.

    Raises
    ------
    ValueError
        If `value` is neither a whole number of at least `least` nor as many positions inside.
    """
    if isinstance(value, (int, np.integer)):
        count = whole(owner, name, value, least)
        return np.random.default_rng(seed).uniform(0.05, 0.95, (count, 2)) * box
    try:
        given: Array = np.asarray(value, float)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.ndim != 2 or given.shape[1] != 2 or len(given) < least:
        raise ValueError(
            f"{owner}: {name}={value!r} must be a whole number of at least {least}, or "
            "positions in m of shape (count, 2)"
        )
    inside = ((given >= 0) & (given <= box)).all(axis=1)
    if not inside.all():
        raise ValueError(
            f"{owner}: {name} has a position {given[np.argmin(inside)].tolist()} m outside "
            f"the box of {box.tolist()} m"
        )
    return given
