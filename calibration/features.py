"""Polynomials of the drives, orthogonal one to another, and their least-squares fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Quadratic", "folds_of", "held_out_r2"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Quadratic:
    """All monomials of the drives up to degree 2, standardised.

    For independent inputs they do not correlate, so that squared coefficients are shares of the
    variance.

    Parameters
    ----------
    mean, spread, square : ndarray of shape (n_inputs,)
        Of each drive its mean and standard deviation, and its standardised square's slope on
        itself and scale; see `learned`.
    degree : int
        1 or 2.
    products, squares : bool
        Which terms of degree 2 are taken.
    """

    mean: Array
    spread: Array
    skew: Array
    square: Array
    degree: int = 2
    products: bool = True
    squares: bool = True

    @classmethod
    def learned(
        cls, drives: Array, degree: int = 2, *, products: bool = True, squares: bool = True
    ) -> Quadratic:
        """Return the monomials for drives distributed like these."""
        mean, spread = drives.mean(axis=0), drives.std(axis=0)
        spread = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1e-300), spread, np.inf)
        z = (drives - mean) / spread
        skew = np.mean(z**3, axis=0)
        square = np.std(z**2 - skew * z, axis=0)
        square = np.where(square > 1e-9, square, np.inf)  # of bits there is none
        return cls(mean, spread, skew, square, degree, products, squares)

    @property
    def members(self) -> Array:
        """Which inputs are in which monomial, (features, n_inputs), bool."""
        n = len(self.mean)
        one = np.eye(n, dtype=bool)
        parts = [one]
        if self.degree == 2 and self.squares:
            parts.append(one)
        if self.degree == 2 and self.products:
            i, j = np.triu_indices(n, 1)
            parts.append(one[i] | one[j])
        return np.concatenate(parts)

    def __call__(self, drives: Array) -> Array:
        """Return the monomials, (rows, features), without the constant."""
        z = (drives - self.mean) / self.spread
        parts = [z]
        if self.degree == 2 and self.squares:
            parts.append((z**2 - 1 - self.skew * z) / self.square)
        if self.degree == 2 and self.products:
            i, j = np.triu_indices(z.shape[1], 1)
            parts.append(z[:, i] * z[:, j])
        return np.hstack(parts)

    def fit(self, drives: Array, answers: Array) -> tuple[Array, Array]:
        """Return coefficients, (features, n_outputs), and constants, (n_outputs,)."""
        features = self(drives)
        centre, mean = features.mean(axis=0), answers.mean(axis=0)
        design = features - centre
        gram = design.T @ design
        # Features that never move have no coefficient.
        inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
        weights = inverse @ (design.T @ (answers - mean))
        return weights, mean - centre @ weights


def folds_of(rows: int, folds: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield the rows of a fit and those that judge it; each row judges once.

    They are drawn at random, so that drift is in both.
    """
    label = np.random.default_rng(seed).permutation(rows) % folds
    for fold in range(folds):
        yield np.flatnonzero(label != fold), np.flatnonzero(label == fold)


def held_out_r2(truth: Array, fit: Array) -> tuple[float, Array]:
    """Return the R2 pooled over outputs, and that of each output; nan where nothing moves."""
    missed = np.mean(np.abs(truth - fit) ** 2, axis=0)
    total = np.var(truth, axis=0)
    each = np.full(len(total), np.nan)
    np.divide(missed, total, out=each, where=total > 0)
    pooled = 1 - missed.sum() / total.sum() if total.sum() > 0 else np.nan
    return float(pooled), 1 - each
