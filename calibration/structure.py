"""What drives what: dead inputs, quiet outputs, and blocks that have nothing to do with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.features import Quadratic
from devices.checks import number, table

__all__ = ["Block", "Structure", "chance_limit", "find_structure", "linked", "products_rows"]

Array = NDArray[Any]

#: Share of the loud outputs that may be unexplained while inputs are called dead.
_FEW_UNTOLD = 0.05
_LEAST = 0.01


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
        a law), corrected for chance.
    links : ndarray of shape (n_outputs, n_inputs), bool
        Where this is more than chance and more than a little.
    told : ndarray of shape (n_outputs,), bool
        Whether the law explains at least half of an output's variance (noise aside), so that its
        links are known.
    quiet_outputs : tuple of int
        Outputs that hardly move, beside the others or beside their noise.
    still_inputs : tuple of int
        Inputs that were never moved, so that nothing is known of them.
    spread : ndarray of shape (n_outputs,)
        Standard deviation of each output, in output_unit.
    degree : int
        Of the law behind `influence`: 2, or 1 where rows are too few for 2.
    """

    influence: Array
    links: Array
    told: Array
    quiet_outputs: tuple[int, ...]
    still_inputs: tuple[int, ...]
    spread: Array
    degree: int

    @property
    def loud(self) -> Array:
        """The outputs that are not quiet, (n_outputs,), bool."""
        found = np.ones(len(self.spread), bool)
        found[list(self.quiet_outputs)] = False
        return found

    @property
    def untold_outputs(self) -> tuple[int, ...]:
        """Loud outputs of which nobody knows what drives them."""
        return _indices(self.loud & ~self.told)

    @property
    def dead_inputs(self) -> tuple[int, ...]:
        """Inputs that no output follows; none if what drives one output in twenty is unknown."""
        if len(self.untold_outputs) > _FEW_UNTOLD * self.loud.sum():
            return ()
        dead = ~self._alive
        dead[list(self.still_inputs)] = False
        return _indices(dead)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Of the inputs that are alive and the outputs that are loud and told, largest first."""
        return _blocks(self.links, self._alive, self.loud & self.told)

    @property
    def _alive(self) -> Array:
        # An input that only quiet outputs follow is not dead; one must be sure of it, though.
        followed = self.links[self.loud].any(axis=0)
        surely = (self.influence[~self.loud] > 0.2).any(axis=0)
        return np.logical_or(followed, surely)


def find_structure(
    drives: Array,
    answers: Array,
    *,
    noise_variance: Array | None = None,
    phases: bool = False,
    least_influence: float = _LEAST,
    quiet: float = 0.02,
) -> Structure:
    """Find dead inputs, quiet outputs and blocks from drives that are independent inputs.

    A quadratic law in orthogonal polynomials is fitted to each output; squared coefficients are
    shares of its variance, and the terms with input j add up to the total Sobol index of j
    (Sudret, Reliability Engineering & System Safety 93, 964 (2008)). The share that each
    coefficient gets by chance, ``residual variance / rows``, is taken off; what is left links an
    input to an output if chance hardly ever goes so far (see `chance_limit`).

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
        Inputs independent of each other, as in uniform random drives.
    answers : ndarray of shape (rows, n_outputs)
    noise_variance : ndarray of shape (n_outputs,), optional
        Where it is known, an output is quiet as well if its signal is below its noise.
    phases : bool
        Whether drives are phases in rad: the law is then in their cosines and sines.
    least_influence : float
        Share of an output's variance from which on an input counts as driving it, over the share
        of the input that drives it most.
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
    if (answers == answers[0]).all():  # the spread of equal answers may be a rounding error
        raise ValueError(f"{me}: no output moves: all {rows} answers are the same")
    noise = np.zeros(len(spread)) if noise_variance is None else noise_variance
    signal = spread**2 - noise
    loud = spread >= quiet * np.median(spread[spread >= 0.1 * spread.max()])
    if noise_variance is not None:
        loud &= signal > noise
    influence, limit, missed, degree = _influence(drives, answers, phases)
    return Structure(
        influence=influence,
        links=linked(influence, limit, least_influence),
        told=missed - noise <= 0.5 * signal,
        quiet_outputs=_indices(~loud),
        still_inputs=_indices(np.ptp(drives, axis=0) == 0),
        spread=spread,
        degree=degree,
    )


def linked(influence: Array, limit: Array, least_influence: float = _LEAST) -> Array:
    """Return where an input has a share beside that of an output's strongest, beyond chance."""
    strongest = influence.max(axis=1, keepdims=True)
    found: Array = influence > np.maximum(least_influence * strongest, limit)
    return found


def chance_limit(missed: Array, spare_rows: int, terms: Array, tests: int) -> Array:
    """Return what the squared coefficients of so many terms reach by chance once in 100 searches.

    Above their mean, which is taken off; they are distributed as chi squared, on `tests` links.

    Parameters
    ----------
    missed : ndarray of shape (n_outputs,)
        Share of the variance that the law misses.
    spare_rows : int
        Rows less the terms of the law.
    terms : ndarray of shape (n_inputs,)
        That each input is in.
    """
    from scipy.stats import chi2

    beyond = chi2.isf(0.01 / tests, terms) - terms
    limit: Array = np.outer(missed / spare_rows, beyond)
    return limit


def products_rows(n_inputs: int, phases: bool = False) -> int:
    """Return the rows from which on the law has products: four for each of its terms."""
    n = 2 * n_inputs if phases else n_inputs
    squares = 0 if phases else n
    return 4 * (1 + n + squares + n * (n - 1) // 2)


def _influence(drives: Array, answers: Array, phases: bool) -> tuple[Array, Array, Array, int]:
    """Return the shares, (outputs, inputs), the limit of chance, the variance missed, the degree.

    A law with products needs rows for its terms.
    """
    rows, n = drives.shape
    if phases:
        drives = np.hstack([np.cos(drives), np.sin(drives)])
    degree = 2 if rows >= products_rows(n, phases) else 1
    features = Quadratic.learned(drives, degree, squares=not phases)
    members = features.members.reshape(-1, 1 + phases, n).any(axis=1)
    weights, constant = features.fit(drives, answers)
    design = features(drives)
    residual = np.sum(np.abs(answers - design @ weights - constant) ** 2, axis=0)
    spare = max(1, rows - design.shape[1] - 1)
    residual = residual / spare
    total = np.var(answers, axis=0)
    power = np.abs(weights) ** 2 * np.var(design, axis=0)[:, None] - residual / spare
    share = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
    missed = np.divide(residual, total, out=np.zeros_like(total), where=total > 0)
    limit = chance_limit(missed, spare, members.sum(axis=0), n * len(total))
    return np.clip(share.T @ members, 0.0, None), limit, residual, degree


def _blocks(links: Array, alive: Array, loud: Array) -> tuple[Block, ...]:
    """Return the connected parts of the graph of inputs and outputs."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    links = links & alive & loud[:, None]
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
