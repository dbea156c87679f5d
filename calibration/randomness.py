"""Random numbers of the procedures' own."""

from __future__ import annotations

import numpy as np

__all__ = ["generator"]


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return a generator for one purpose, as ``"delay"``, of a procedure.

    A simulator's or a wrapper's noise, too, is drawn from a generator with a small seed. Were
    drives drawn with nothing but that seed, the noise would repeat them, and a procedure would
    find its own drives in what is noise alone.
    """
    return np.random.default_rng([seed, *purpose.encode()])
