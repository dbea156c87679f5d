"""The law of a linear wave read by its magnitude: |H x + b|."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.features import folds_of, held_out_r2
from calibration.structure import Block
from devices.checks import table, whole

__all__ = [
    "MagnitudeLaw",
    "could_be_magnitudes",
    "fit_magnitude_law",
    "magnitude_map",
    "magnitude_terms",
]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class MagnitudeLaw:
    """Least-squares fit of ``y_k = |sum_j H_kj x_j + b_k|``.

    Attributes
    ----------
    outputs : tuple of int
        The outputs that were fitted.
    matrix : ndarray of shape (fitted outputs, n_inputs), complex
        H, each row up to a phase; 0 for inputs that were left out.
    offset : ndarray of shape (fitted outputs,), complex
        b, with the same phase.
    pooled_r2 : float
        Held out, pooled over the outputs.
    r2 : ndarray of shape (fitted outputs,)
    worst_rows_share : float
        Share of the squared error in the worst hundredth of the rows: near 0.01 if all are
        alike, and large if a few rows went wrong.
    """

    outputs: tuple[int, ...]
    matrix: Array
    offset: Array
    pooled_r2: float
    r2: Array
    worst_rows_share: float

    def __call__(self, drives: Array) -> Array:
        """Return what the law answers to drives, (rows, fitted outputs)."""
        answers: Array = np.abs(drives @ self.matrix.T + self.offset)
        return answers


def fit_magnitude_law(
    drives: Array,
    answers: Array,
    blocks: Sequence[Block] | None = None,
    *,
    folds: int = 5,
    fit_rows: int = 1500,
    seed: int = 0,
) -> MagnitudeLaw:
    """Fit ``|H x + b|`` to outputs, each over the inputs of its block.

    The square of the law is a quadratic form of rank 2 in (x, 1). Its matrix comes from a linear
    fit to the squared answers; its two strongest eigenvectors, real and imaginary part of the
    row, start a Levenberg-Marquardt fit of the magnitudes themselves.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
        Not negative, but for noise.
    blocks : sequence of Block, optional
        From `find_structure`; None: every output over all inputs.
    folds : int
        Parts of the rows, drawn at random; each is judged by a fit to the others.
    fit_rows : int
        Most rows that the fit takes: a law of few coefficients needs no more.
    seed : int
        Of the parts.

    Raises
    ------
    ValueError
        If an answer is negative or complex, there are no blocks, or the rows are too few.
    """
    me = "fit_magnitude_law"
    drives = table(me, "drives", drives, rows=8)
    answers = table(me, "answers", answers, rows=8)
    if blocks is None:
        everything = [tuple(range(values.shape[1])) for values in (drives, answers)]
        blocks = [Block(*everything)]
    if not blocks:
        raise ValueError(f"{me}: there are no blocks, no output to fit")
    outputs = tuple(sorted(k for block in blocks for k in block.outputs))
    if not could_be_magnitudes(answers[:, outputs]):
        raise ValueError(f"{me}: the answers must be real and not negative to be magnitudes")
    whole(me, "folds", folds, 2)
    chosen = answers[:, outputs]
    predicted = np.empty(chosen.shape)
    for fitted, judged in folds_of(len(drives), folds, seed):
        law = _fit(drives, answers, blocks, _thinned(fitted, fit_rows))
        predicted[judged] = np.abs(drives[judged] @ law[0].T + law[1])
    pooled, each = held_out_r2(chosen, predicted)
    errors = np.sort(np.sum((chosen - predicted) ** 2, axis=1))[::-1]
    worst = errors[: max(1, len(errors) // 100)].sum()
    matrix, offset = _fit(drives, answers, blocks, _thinned(np.arange(len(drives)), fit_rows))
    return MagnitudeLaw(
        outputs=outputs,
        matrix=matrix,
        offset=offset,
        pooled_r2=pooled,
        r2=each,
        worst_rows_share=float(worst / errors.sum()) if errors.sum() > 0 else 0.0,
    )


def could_be_magnitudes(answers: Array) -> bool:
    """Whether nothing is more negative than a tenth of the largest answer: noise may be."""
    return not np.iscomplexobj(answers) and bool(answers.min() >= -0.1 * np.abs(answers).max())


def _thinned(rows: Array, most: int) -> Array:
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def _fit(
    drives: Array, answers: Array, blocks: Sequence[Block], rows: Array
) -> tuple[Array, Array]:
    """Return H and b of the outputs in ascending order."""
    outputs = sorted(k for block in blocks for k in block.outputs)
    matrix = np.zeros((len(outputs), drives.shape[1]), complex)
    offset = np.zeros(len(outputs), complex)
    for block in blocks:
        inputs, chosen = list(block.inputs), list(block.outputs)
        where = [outputs.index(k) for k in chosen]
        found = magnitude_map(drives[rows][:, inputs], answers[rows][:, chosen])
        matrix[np.ix_(where, inputs)], offset[where] = found[:2]
    return matrix, offset


def magnitude_map(
    drives: Array, answers: Array, start: tuple[Array, Array] | None = None
) -> tuple[Array, Array, int]:
    """Fit ``|H x + b|`` once, to all rows, as `fit_magnitude_law` does.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
        Not negative, but for noise.
    start : tuple of ndarray, optional
        H and b of an earlier fit, to begin with; then few rows do.

    Returns
    -------
    tuple
        H, (n_outputs, n_inputs), b, (n_outputs,), both complex, and the multiply-adds spent.

    Raises
    ------
    ValueError
        If there are fewer than twice as many rows as terms.
    """
    size = np.where(np.abs(drives).max(axis=0) > 0, np.abs(drives).max(axis=0), 1.0)
    z = np.hstack([drives / size, np.ones((len(drives), 1))])
    rows, n = z.shape
    terms = magnitude_terms(n - 1, warm=start is not None)
    if rows < 2 * terms:
        raise ValueError(
            f"fit_magnitude_law: {rows} rows for the {terms} terms over {n - 1} inputs are too "
            f"few; at least {2 * terms} are needed in a fit"
        )
    scale = np.sqrt(np.mean(answers**2, axis=0))
    scale[scale == 0] = 1.0
    y = answers / scale
    spent = 0
    if start is None:
        begin = _beginning(z, y)
        spent = rows * terms * (terms + y.shape[1])
    else:
        fields = np.hstack([start[0] * size, start[1][:, None]]) / scale[:, None]
        begin = np.stack([fields.real, fields.imag], axis=2)
    found = np.empty((y.shape[1], n), complex)
    for k in range(y.shape[1]):
        found[k], evaluations = _refined(z, y[:, k], begin[k])
        spent += evaluations * rows * (2 * n) ** 2
    found *= scale[:, None]
    return found[:, :-1] / size, found[:, -1], spent


def magnitude_terms(n_inputs: int, *, warm: bool = False) -> int:
    """Return how many numbers a fit finds for each output; twice as many rows are needed.

    Those of the quadratic form it begins with, or, from an earlier fit, of H and b alone.
    """
    return 2 * (n_inputs + 1) if warm else (n_inputs + 1) * (n_inputs + 2) // 2


def _beginning(z: Array, y: Array) -> Array:
    """Return rows of (H, b) as pairs of real numbers, (n_outputs, n, 2), from the squares."""
    n = z.shape[1]
    i, j = np.triu_indices(n)
    terms = z[:, i] * z[:, j] * np.where(i == j, 1.0, 2.0)
    coefficients, *_ = np.linalg.lstsq(terms, y**2, rcond=1e-10)
    forms = np.zeros((y.shape[1], n, n))
    forms[:, i, j] = forms[:, j, i] = coefficients.T
    values, vectors = np.linalg.eigh(forms)
    least = 1e-6 * np.maximum(values[:, -1:], 1e-6)
    begin: Array = vectors[:, :, -2:] * np.sqrt(np.clip(values[:, -2:], least, None))[:, None]
    return begin


def _refined(z: Array, y: Array, begin: Array) -> tuple[Array, int]:
    """Return the row (H, b), complex, that fits one output best, and the evaluations it took."""
    from scipy.optimize import least_squares

    n = z.shape[1]

    def fields(parameters: Array) -> Array:
        return z @ parameters.reshape(n, 2)

    def missed(parameters: Array) -> Array:
        gap: Array = np.hypot(*fields(parameters).T) - y
        return gap

    def slope(parameters: Array) -> Array:
        parts = fields(parameters)
        unit = parts / np.maximum(np.hypot(*parts.T), 1e-9)[:, None]
        return (z[:, :, None] * unit[:, None, :]).reshape(len(z), 2 * n)

    fit = least_squares(missed, begin.ravel(), slope, method="lm", max_nfev=60)
    return fit.x.reshape(n, 2) @ [1, 1j], int(fit.nfev)
