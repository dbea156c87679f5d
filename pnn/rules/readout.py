"""A linear readout of the last answers, in closed form."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from devices.checks import whole
from pnn.layer import PhysicalLayer, PhysicalNetwork, Weights
from pnn.rules.local import LocalRule
from pnn.schedules import Look
from pnn.training import Rows, Session, Training

__all__ = ["Readout", "Ridge", "onehot", "ridge", "ridge_multiply_adds", "ridge_of"]

Array = NDArray[np.float64]


class Readout(LocalRule):
    """Ridge regression, as for extreme learning machines (Huang, Zhu & Siew, 2006).

    ``W = (F^T F + lambda I)^-1 F^T T`` about the means (Neurocomputing 70, 489), the readout
    of reservoirs as well; lambda minimises the score of generalised cross-validation (Golub, Heath
    & Wahba, Technometrics 21, 215 (1979)). Earlier layers hand their features on as
    they are. One query per sample, layer and mask; no validation rows are needed.

    Parameters
    ----------
    strengths : int
        Values of lambda that are tried, spaced evenly in the logarithm.
    """

    name: ClassVar[str] = "readout"
    reported: ClassVar[str] = "vowels 91.4 % (acoustic cavity, arXiv:2304.08380)"
    works_on: ClassVar[str] = (
        "any device, a query per sample, ever; the reference for accuracy per query"
    )
    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    uses_validation: ClassVar[bool] = False
    layerwise_only: ClassVar[bool] = True
    last_only: ClassVar[bool] = True

    def __init__(self, strengths: int = 60) -> None:
        self.strengths = whole(self.name, "strengths", strengths, 2)

    def start(
        self, n_features: int, width: int, n_classes: int, generator: torch.Generator
    ) -> Weights:
        """Return W = 0 and b = 0."""
        return {"W": torch.zeros(n_features, n_classes or 1), "b": torch.zeros(n_classes or 1)}

    def fit_layer(self, session: Session, index: int, features: torch.Tensor, look: Look) -> None:
        """Fit the last layer."""
        W, b, strength = ridge_of(features, session, self.strengths)
        session.network.layers[index].weights = {"W": W, "b": b}
        session.watch.epoch(layer=index, epoch=1, strength=strength)
        session.watch.checkpoint()

    def handed_on(self, layer: PhysicalLayer) -> int:
        """Return the number of features."""
        return layer.n_features

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        return features

    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return W f + b, (rows, n_classes) or (rows, 1); nothing before the last layer."""
        if not weights:
            return torch.zeros(len(features), 1)
        return torch.addmm(weights["b"], features, weights["W"])

    def combine(self, scores: list[torch.Tensor]) -> torch.Tensor:
        """Return the last layer's scores."""
        return scores[-1]

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of one ridge regression for each layer that has one."""
        layers = network.layers[-1:] if self.last_only else network.layers
        rows = self.views(n_classes, True) * n_train - (settings.washout or 0)
        return sum(ridge_multiply_adds(rows, layer.n_features) for layer in layers)

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return the multiply-adds of W."""
        return n_features * (n_classes or 1)


def onehot(rows: Rows) -> Array:
    """Return the training targets as a readout has them: 0 and 1 per class, or the number."""
    if rows.n_classes:
        return np.eye(rows.n_classes)[rows.targets.numpy()]
    return rows.targets.numpy()[:, None].astype(np.float64)


def ridge_multiply_adds(rows: int, n_features: int) -> int:
    """Return the multiply-adds of `ridge`: the smaller Gram matrix and its eigenvectors."""
    n, m = sorted((rows, n_features))
    return n * n * m + 10 * n**3


def ridge_of(
    features: torch.Tensor, session: Session, strengths: int = 60
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Fit the training targets by `ridge`, from features of any kind."""
    W, b, strength, _ = ridge(features.numpy(), onehot(session.rows), strengths)
    session.tally.add(ridge_multiply_adds(*features.shape))
    return torch.from_numpy(W).float(), torch.from_numpy(b).float(), strength


class Ridge(NamedTuple):
    """A ridge regression: ``targets ~ features weights + offset``.

    Attributes
    ----------
    weights : ndarray of shape (n_features, n_targets)
    offset : ndarray of shape (n_targets,)
    strength : float
        lambda, as cross-validation chose it.
    score : float
        What cross-validation made of it: an estimate of the mean square error on new rows, over
        their number.
    """

    weights: Array
    offset: Array
    strength: float
    score: float


def ridge(features: NDArray[np.floating], targets: Array, strengths: int = 60) -> Ridge:
    """Fit ``targets ~ features W + b`` by ridge regression, lambda by cross-validation.

    Parameters
    ----------
    features : ndarray of shape (rows, n_features)
    targets : ndarray of shape (rows, n_targets)
    strengths : int
        Values of lambda tried, from 1e-10 to 10 times the largest squared singular value.
    """
    centre, level = features.mean(axis=0, dtype=np.float64), targets.mean(axis=0)
    f, t = features - centre, targets - level
    rows = len(f)
    # One eigen-decomposition of the smaller Gram matrix serves every lambda:
    # with F = U S V^T, what is left of the targets is (I - U S^2/(S^2 + lambda) U^T) t.
    wide = f.shape[1] > rows
    squares, basis = scipy.linalg.eigh(f @ f.T if wide else f.T @ f, check_finite=False)
    top = squares[-1] if squares[-1] > 0 else 1.0
    # What is nothing but rounding is nothing: the rows' mean, constant features.
    squares = np.where(squares > len(squares) * np.finfo(float).eps * top, squares, 0.0)
    if wide:
        along = (basis.T @ t) ** 2
    else:
        along = (basis.T @ (f.T @ t)) ** 2 / np.where(squares > 0, squares, np.inf)[:, None]
    power = along.sum(axis=1)
    # With no more rows than features, nothing is outside of what these can reach.
    full = np.count_nonzero(squares) >= rows - 1
    outside = 0.0 if full else max(float((t**2).sum() - along.sum()), 0.0)
    grid = top * np.logspace(-10, 1, strengths)
    shrink = grid[:, None] / (squares + grid[:, None])  # 1 - S^2 / (S^2 + lambda)
    left = shrink**2 @ power + outside
    freedom = rows - 1 - (1 - shrink).sum(axis=1)
    score = left / np.maximum(freedom, 1e-12) ** 2
    best = np.argmin(score)
    strength = float(grid[best])
    if wide:
        weights = f.T @ (basis @ ((basis.T @ t) / (squares + strength)[:, None]))
    else:
        weights = basis @ ((basis.T @ (f.T @ t)) / (squares + strength)[:, None])
    return Ridge(weights, level - centre @ weights, strength, float(score[best]))
