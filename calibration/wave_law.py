"""Which law of waves the answers follow, if any, and what it says of the wiring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from calibration.magnitude_law import MagnitudeLaw, could_be_magnitudes, fit_magnitude_law
from calibration.structure import Block, Structure, chance_limit, linked
from calibration.wave_fit import least_rows

__all__ = ["find_wave_law", "influence_of", "structure_by_law"]

Array = NDArray[Any]

# So that the search takes seconds: the fit of an output goes with the square of its inputs. Of
# blocks of at most so many inputs, so many outputs are fitted.
_MOST_OUTPUTS = {32: 24, 64: 8, 128: 4}
_TRIAL_FOLDS, _FOLDS = 2, 5


def find_wave_law(
    drives: Array,
    answers: Array,
    structure: Structure,
    *,
    phases: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> MagnitudeLaw | None:
    """Return the law of magnitudes or of intensities that fits better.

    None where none can be fitted, or it explains less than half.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
    structure : Structure
        Each output is fitted over its block, the loudest outputs of each block; over all inputs
        where they are phases, which all interfere, or where rows were too few for products.
    phases : bool
        Whether drives are phases in rad.
    seed : int
        Of the splits.
    progress : callable
        Is given the fits done, and how many there are.
    """
    inputs = tuple(range(drives.shape[1]))
    loud = tuple(int(k) for k in np.flatnonzero(structure.loud))
    wired = [Block(inputs, loud)] if phases or structure.degree == 1 else structure.blocks
    blocks = []
    for block in wired:
        n = len(block.inputs)
        most = next((outputs for limit, outputs in _MOST_OUTPUTS.items() if n <= limit), 0)
        if most and len(drives) // 2 >= least_rows(n + 1):
            loudest = sorted(block.outputs, key=lambda k: -structure.spread[k])[:most]
            blocks.append(Block(block.inputs, tuple(loudest)))
    if not any(block.outputs for block in blocks):
        return None
    if not could_be_magnitudes(answers[:, [k for b in blocks for k in b.outputs]]):
        return None
    # The loudest outputs of a few blocks say whether their magnitude or their square is read.
    few = [Block(block.inputs, block.outputs[:4]) for block in blocks[:3]]
    steps, total = count(1), 2 * (_TRIAL_FOLDS + 1) + _FOLDS + 1

    def fit(wired: list[Block], power: int, folds: int) -> MagnitudeLaw:
        return fit_magnitude_law(
            drives, answers, wired, power=power, phases=phases, folds=folds, seed=seed,
            fitted=lambda: progress(next(steps), total),
        )  # fmt: skip

    # Matrices are small: a second thread gains little, and on a busy machine costs ten times.
    with threadpool_limits(limits=1, user_api="blas"):
        power = max((1, 2), key=lambda one: fit(few, one, _TRIAL_FOLDS).pooled_r2)
        law = fit(blocks, power, _FOLDS)
    return law if law.pooled_r2 > 0.5 else None


def influence_of(law: MagnitudeLaw, drives: Array, seed: int = 0) -> Array:
    """Return the total Sobol index of each input within a law, (fitted outputs, n_inputs).

    Half of the mean square change, over the variance, when an input is drawn anew (Jansen, Comput.
    Phys. Commun. 117, 35 (1999)); the draws are those of other rows.
    """
    wave = np.exp(1j * drives) if law.phases else drives
    fields = wave @ law.matrix.T + law.offset
    answers = np.abs(fields) ** law.power
    other = np.random.default_rng(seed).permutation(len(drives))
    shares = np.empty((len(law.outputs), drives.shape[1]))
    for j, column in enumerate(law.matrix.T):
        moved = fields + np.outer(wave[other, j] - wave[:, j], column)
        shares[:, j] = np.mean((np.abs(moved) ** law.power - answers) ** 2, axis=0) / 2
    found: Array = shares / np.maximum(np.var(answers, axis=0), 1e-300)[:, None]
    return found


def structure_by_law(structure: Structure, law: MagnitudeLaw, drives: Array) -> Structure:
    """Return the structure with the links of the outputs that a law explains to nine tenths."""
    good = np.flatnonzero(law.r2 > 0.9)
    if not len(good):
        return structure
    share = influence_of(law, drives)[good]
    # Two real coefficients of each input come from rows with what the law misses as noise.
    n = drives.shape[1]
    limit = chance_limit(1 - law.r2[good], len(drives) - 2 * n, np.full(n, 2), share.size)
    links = linked(share, limit)
    influence, all_links, told = (
        values.copy() for values in (structure.influence, structure.links, structure.told)
    )
    where = np.array(law.outputs)[good]
    influence[where], all_links[where], told[where] = share, links, True
    return replace(structure, influence=influence, links=all_links, told=told)
