"""What drives what: dead inputs, quiet outputs, and blocks that have nothing to do with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.features import Quadratic
from devices.checks import number, table

__all__ = ["Block", "Structure", "find_structure"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Block:
    """Inputs and the outputs that they drive; no other input drives these outputs.

    Attributes
    ----------
    inputs, outputs : tuple of int
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What a recording says about the wiring of a device.

    Attributes
    ----------
    influence : ndarray of shape (n_outputs, n_inputs)
        Share of an output's variance in which an input has a part (its total Sobol index, within
        a quadratic law), corrected for chance.
    dead_inputs : tuple of int
        Inputs that no output follows.
    quiet_outputs : tuple of int
        Outputs that hardly move, beside the others or beside their noise.
    blocks : tuple of Block
        Of the inputs that are alive and the outputs that are loud, largest first.
    spread : ndarray of shape (n_outputs,)
        Standard deviation of each output, in output_unit.
    degree : int
        Of the law behind `influence`: 2, or 1 where rows are too few for 2.
    """

    influence: Array
    dead_inputs: tuple[int, ...]
    quiet_outputs: tuple[int, ...]
    blocks: tuple[Block, ...]
    spread: Array
    degree: int


def find_structure(
    drives: Array,
    answers: Array,
    *,
    noise_variance: Array | None = None,
    least_influence: float = 0.01,
    quiet: float = 0.02,
) -> Structure:
    """Find dead inputs, quiet outputs and blocks from drives that are independent inputs.

    A quadratic law in orthogonal polynomials is fitted to each output; squared coefficients are
    shares of its variance, and the terms with input j add up to the total Sobol index of j
    (Sudret, Reliability Engineering & System Safety 93, 964 (2008)). The share that each
    coefficient gets by chance, ``residual variance / rows``, is taken off.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
        Inputs independent of each other, as in uniform random drives.
    answers : ndarray of shape (rows, n_outputs)
    noise_variance : ndarray of shape (n_outputs,), optional
        Where it is known, an output is quiet as well if its signal is below its noise.
    least_influence : float
        Share of an output's variance from which on an input counts as driving it.
    quiet : float
        Standard deviation, over the median of the outputs that are no quieter than a tenth of
        the loudest, below which an output is quiet.

    Raises
    ------
    ValueError
        If the rows are fewer than twice the inputs, or no output moves.
    """
    me = "find_structure"
    drives = table(me, "drives", drives, rows=8)
    answers = table(me, "answers", answers, rows=8)
    number(me, "least_influence", least_influence, 0.0, 1.0, above=True)
    number(me, "quiet", quiet, 0.0, 1.0)
    rows, n = drives.shape
    if len(answers) != rows or rows < 2 * (n + 1):
        raise ValueError(
            f"{me}: {rows} drives of {n} inputs and {len(answers)} answers; as many of both, and "
            f"at least {2 * (n + 1)}, are needed"
        )
    spread = np.std(answers, axis=0)
    if not spread.max() > 0:
        raise ValueError(f"{me}: no output moves")
    loud = spread >= quiet * np.median(spread[spread >= 0.1 * spread.max()])
    if noise_variance is not None:
        loud &= spread**2 - noise_variance > noise_variance
    influence, degree = _influence(drives, answers)
    drives_it = influence > least_influence
    alive = drives_it[loud].any(axis=0)
    # An input that only quiet outputs follow is not dead; one must be sure of it, though.
    alive |= (influence[~loud] > 0.2).any(axis=0)
    return Structure(
        influence=influence,
        dead_inputs=_indices(~alive),
        quiet_outputs=_indices(~loud),
        blocks=_blocks(drives_it, alive, loud),
        spread=spread,
        degree=degree,
    )


def _influence(drives: Array, answers: Array) -> tuple[Array, int]:
    rows, n = drives.shape
    degree = 2 if rows >= 4 * (n + 1) * (n + 2) // 2 else 1
    features = Quadratic.learned(drives, degree)
    weights, constant = features.fit(drives, answers)
    design = features(drives)
    residual = np.sum(np.abs(answers - design @ weights - constant) ** 2, axis=0)
    residual = residual / max(1, rows - design.shape[1] - 1)
    total = np.var(answers, axis=0)
    power = np.abs(weights) ** 2 * np.var(design, axis=0)[:, None] - residual / rows
    share = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
    return np.clip(share.T @ features.members, 0.0, None), degree


def _blocks(drives_it: Array, alive: Array, loud: Array) -> tuple[Block, ...]:
    """Return the connected parts of the graph of inputs and outputs."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    links = drives_it & alive & loud[:, None]
    n_outputs, n_inputs = links.shape
    graph = np.zeros((n_outputs + n_inputs,) * 2, bool)
    graph[:n_outputs, n_outputs:] = links
    _, label = connected_components(csr_array(graph), directed=False)
    found = []
    for one in np.unique(label):
        member = label == one
        outputs, inputs = member[:n_outputs] & loud, member[n_outputs:] & alive
        if outputs.any() and inputs.any():
            found.append(Block(_indices(inputs), _indices(outputs)))
    return tuple(sorted(found, key=lambda b: (-len(b.outputs), b.inputs)))


def _indices(mask: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))
