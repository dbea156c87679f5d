"""The law of a linear wave of which the magnitude or the intensity is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.features import folds_of, held_out_r2
from calibration.structure import Block
from calibration.wave_fit import beginning, fit_fields, least_rows, quadratic_terms
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
    """Least-squares fit of ``y_k = |sum_j H_kj x_j + b_k|``, or of the square of it.

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
    power : int
        1 where magnitudes are read, 2 where intensities are.
    phases : bool
        Whether ``exp(i x)`` stands in the place of x: drives are phases. With a power of 2 the
        answers are then bilinear in these and their conjugates.
    """

    outputs: tuple[int, ...]
    matrix: Array
    offset: Array
    pooled_r2: float
    r2: Array
    worst_rows_share: float
    power: int = 1
    phases: bool = False

    @property
    def formula(self) -> str:
        """As ``|Hx + b|``."""
        return f"|{'T exp(ix)' if self.phases else 'Hx'} + b|" + ("^2" if self.power == 2 else "")

    def __call__(self, drives: Array) -> Array:
        """Return what the law answers to drives, (rows, fitted outputs)."""
        fields = (np.exp(1j * drives) if self.phases else drives) @ self.matrix.T + self.offset
        answers: Array = np.abs(fields) ** self.power
        return answers


def fit_magnitude_law(
    drives: Array,
    answers: Array,
    blocks: Sequence[Block] | None = None,
    *,
    power: int = 1,
    phases: bool = False,
    folds: int = 5,
    fit_rows: int = 1500,
    seed: int = 0,
    fitted: Callable[[], None] = lambda: None,
) -> MagnitudeLaw:
    """Fit ``|H x + b|`` to outputs, each over the inputs of its block.

    A start comes from the squared amplitudes by linear algebra (see `calibration.wave_fit`), a
    Levenberg-Marquardt fit of the amplitudes themselves follows.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
        Not negative, but for noise.
    blocks : sequence of Block, optional
        From `find_structure`; None: every output over all inputs.
    power, phases
        See `MagnitudeLaw`.
    folds : int
        Parts of the rows, drawn at random; each is judged by a fit to the others.
    fit_rows : int
        Most rows that the fit takes: a law of few coefficients needs no more.
    seed : int
        Of the parts.
    fitted : callable
        Is called after each fit: one for every part, and one to all rows.

    Raises
    ------
    ValueError
        If an answer is negative or complex, there are no blocks, or the rows are too few.
    """
    me = "fit_magnitude_law"
    drives = table(me, "drives", drives, rows=8)
    answers = table(me, "answers", answers, rows=8)
    whole(me, "power", power, 1, 2)
    whole(me, "folds", folds, 2)
    if blocks is None:
        everything = [tuple(range(values.shape[1])) for values in (drives, answers)]
        blocks = [Block(*everything)]
    if not blocks:
        raise ValueError(f"{me}: there are no blocks, no output to fit")
    outputs = tuple(sorted(k for block in blocks for k in block.outputs))
    chosen = answers[:, outputs]
    if not could_be_magnitudes(chosen):
        raise ValueError(f"{me}: the answers must be real and not negative to be magnitudes")
    least = least_rows(max(len(block.inputs) for block in blocks) + 1)
    rows = min(fit_rows, len(drives) * (folds - 1) // folds)
    if rows < least:
        raise ValueError(f"{me}: {rows} rows in a fit are too few, at least {least} are needed")
    wave = np.exp(1j * drives) if phases else drives
    amplitudes = chosen if power == 1 else np.sqrt(np.clip(chosen, 0.0, None))

    def fit(chosen_rows: Array) -> tuple[Array, Array]:
        some = chosen_rows[np.linspace(0, len(chosen_rows) - 1, rows).astype(int)]
        matrix = np.zeros((len(outputs), drives.shape[1]), complex)
        offset = np.zeros(len(outputs), complex)
        for block in blocks:
            inputs, where = list(block.inputs), [outputs.index(k) for k in block.outputs]
            found = _one_block(wave[some][:, inputs], amplitudes[some][:, where])
            matrix[np.ix_(where, inputs)], offset[where] = found[:2]
        fitted()
        return matrix, offset

    predicted = np.empty(chosen.shape)
    for others, judged in folds_of(len(drives), folds, seed):
        matrix, offset = fit(others)
        predicted[judged] = np.abs(wave[judged] @ matrix.T + offset) ** power
    pooled, each = held_out_r2(chosen, predicted)
    errors = np.sort(np.sum((chosen - predicted) ** 2, axis=1))[::-1]
    worst = errors[: max(1, len(errors) // 100)].sum()
    matrix, offset = fit(np.arange(len(drives)))
    return MagnitudeLaw(
        outputs=outputs,
        matrix=matrix,
        offset=offset,
        pooled_r2=pooled,
        r2=each,
        worst_rows_share=float(worst / errors.sum()) if errors.sum() > 0 else 0.0,
        power=power,
        phases=phases,
    )


def could_be_magnitudes(answers: Array) -> bool:
    """Whether nothing is more negative than a tenth of the largest answer: noise may be."""
    return not np.iscomplexobj(answers) and bool(answers.min() >= -0.1 * np.abs(answers).max())


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
    rows, n = drives.shape
    terms = magnitude_terms(n, warm=start is not None)
    if rows < 2 * terms:
        raise ValueError(
            f"fit_magnitude_law: {rows} rows for the {terms} terms over {n} inputs are too "
            f"few; at least {2 * terms} are needed in a fit"
        )
    matrix, offset, spent = _one_block(drives, answers, start)
    if start is None:
        spent += rows * terms * (terms + answers.shape[1])
    return matrix, offset, spent


def magnitude_terms(n_inputs: int, *, warm: bool = False) -> int:
    """Return how many numbers `magnitude_map` finds for each output; it needs twice as many rows.

    Those of the quadratic form it begins with, or, from an earlier fit, of H and b alone.
    """
    return 2 * (n_inputs + 1) if warm else quadratic_terms(n_inputs + 1)


def _one_block(
    wave: Array, amplitudes: Array, start: tuple[Array, Array] | None = None
) -> tuple[Array, Array, int]:
    """Return H and b over inputs and outputs of equal weight, and the multiply-adds spent."""
    size = np.abs(wave).max(axis=0)
    size = np.where(size > 0, size, 1.0)
    z = np.hstack([wave / size, np.ones((len(wave), 1))])
    scale = np.sqrt(np.mean(amplitudes**2, axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    y = amplitudes / scale
    if start is None:
        begin = beginning(z, y)
    else:
        begin = np.hstack([start[0] * size, start[1][:, None]]) / scale[:, None]
    fields, spent = fit_fields(z, y, begin)
    fields = fields * scale[:, None]
    return fields[:, :-1] / size, fields[:, -1], spent
