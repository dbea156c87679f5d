"""What a trained network represents: sparsity, ensembles of units for classes, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Purpose
from pnn.estimators import PhysicalClassifier
from pnn.rules.backward import BackwardRule
from pnn.rules.base import Rule
from pnn.rules.readout import ridge

__all__ = ["LayerAnalysis", "analyse", "ensembles", "hoyer"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LayerAnalysis:
    """One layer of a trained classifier.

    Attributes
    ----------
    layer : int
        Counted from 1.
    units : int
        Width of what the layer hands on.
    sparsity : float
        Mean over rows of Hoyer's measure of what is handed on; 0 for even, 1 for one unit alone.
    selective, selective_by_chance : float
        Share of the units that belong to a class's ensemble, and the same with labels shuffled.
    ensemble_sizes : tuple of int
        Units of each class's ensemble.
    overlap : float
        Mean over pairs of classes of the shared units over all units of both (Jaccard); nan
        where fewer than two classes have an ensemble.
    accuracy, accuracy_up_to : float
        Of the layer's own scores, and of the network that ends with it.
    probed : bool
        Whether the layer has no class scores of its own. Both accuracies are then those of a ridge
        regression of what it hands on, fitted on half of the rows and scored on the others; nan
        where there are fewer than four rows.
    """

    layer: int
    units: int
    sparsity: float
    selective: float
    selective_by_chance: float
    ensemble_sizes: tuple[int, ...]
    overlap: float
    accuracy: float
    accuracy_up_to: float
    probed: bool


def hoyer(activity: ArrayLike) -> Array:
    """Return the sparsity of each row, ``(sqrt(n) - |a|_1 / |a|_2) / (sqrt(n) - 1)``.

    Parameters
    ----------
    activity : array_like of shape (rows, units)
        Two units or more. A row of zeros has the sparsity 0.

    Returns
    -------
    ndarray of shape (rows,)
        From 0 (all equal) to 1 (one unit alone); Hoyer, J. Mach. Learn. Res. 5, 1457 (2004).
    """
    a = np.abs(np.asarray(activity, float))
    root = np.sqrt(a.shape[1])
    top = a.max(axis=1, keepdims=True)
    a = np.divide(a, top, out=a, where=top > 0)  # squares of the smallest numbers would vanish
    length = np.sqrt((a**2).sum(axis=1))
    ratio = np.divide(a.sum(axis=1), length, out=np.full(len(a), root), where=length > 0)
    return (root - ratio) / (root - 1)


def ensembles(activity: ArrayLike, labels: ArrayLike, sigmas: float = 4.0) -> NDArray[np.bool_]:
    """Return which units are markedly more active for a class than for the others.

    Parameters
    ----------
    activity : array_like of shape (rows, units)
    labels : array_like of shape (rows,)
        Codes from 0.
    sigmas : float
        How many standard errors the mean over a class's rows must lie above that over the others.

    Returns
    -------
    ndarray of shape (classes, units), bool
    """
    a, y = np.asarray(activity, float), np.asarray(labels)
    found = np.zeros((int(y.max()) + 1, a.shape[1]), bool)
    for k in np.unique(y):
        own, other = a[y == k], a[y != k]
        if len(own) < 2 or len(other) < 2:
            continue
        error = np.sqrt(own.var(axis=0, ddof=1) / len(own) + other.var(axis=0, ddof=1) / len(other))
        found[k] = own.mean(axis=0) - other.mean(axis=0) > sigmas * np.maximum(error, 1e-12)
    return found


def analyse(
    estimator: PhysicalClassifier,
    X: ArrayLike,
    y: ArrayLike,
    *,
    shuffles: int = 20,
    seed: int = 0,
    purpose: Purpose = "probe",
) -> list[LayerAnalysis]:
    """Measure rows through a trained classifier and describe each layer.

    What a layer hands on is taken by its size. A rule that asks every label is looked at under
    the label that it predicts. Where a layer has no class scores of its own, a probe reads it.

    Parameters
    ----------
    estimator : PhysicalClassifier
        Fitted.
    X, y : array_like
        Rows that it has not learned from, and their labels.
    shuffles : int
        Shuffles of the labels, for what chance gives.
    seed : int
        Of the shuffles, and of the halves of the rows for probes.
    purpose : str
        What the queries are counted under: as many as for a prediction.
    """
    rows = np.asarray(X, float)
    labels = np.searchsorted(estimator.classes_, np.asarray(y))
    rng = np.random.default_rng(seed)
    rule, scores, activities = estimator.rule_, [], []
    with estimator.opened():
        for layer, features, said in rule.walk(
            estimator.network_, rows, estimator.n_classes_, purpose
        ):
            scores.append(said)
            activities.append(rule.hand_on(layer.weights, features).numpy())
    predicted = rule.combine(scores).argmax(dim=1).numpy()
    found = []
    for i, (said, views) in enumerate(zip(scores, activities, strict=True)):
        activity = views
        if views.ndim == 3:  # one view may serve all labels
            activity = views[np.arange(len(rows)), predicted if views.shape[1] > 1 else 0]
        a = np.abs(activity)
        members = ensembles(a, labels)
        chance = [_share(ensembles(a, rng.permutation(labels))) for _ in range(shuffles)]
        probed = not _reads_classes(rule, said, estimator.n_classes_, i + 1 == len(scores))
        if probed:
            accuracy = accuracy_up_to = _probe(activity, labels, estimator.n_classes_, seed)
        else:
            accuracy = _accuracy(said, labels)
            accuracy_up_to = _accuracy(rule.combine(scores[: i + 1]), labels)
        found.append(
            LayerAnalysis(
                layer=i + 1,
                units=a.shape[1],
                sparsity=float(hoyer(a).mean()),
                selective=_share(members),
                selective_by_chance=float(np.mean(chance)),
                ensemble_sizes=tuple(int(n) for n in members.sum(axis=1)),
                overlap=_overlap(members),
                accuracy=accuracy,
                accuracy_up_to=accuracy_up_to,
                probed=probed,
            )
        )
    return found


def _reads_classes(rule: Rule, scores: Any, n_classes: int, last: bool) -> bool:
    """Return whether a layer's scores are of classes, and not empty or of its units."""
    if isinstance(rule, BackwardRule) and type(rule).read is BackwardRule.read:
        return last
    return bool(scores.shape[1] == n_classes)


def _probe(activity: Array, labels: NDArray[Any], n_classes: int, seed: int) -> float:
    """Return the accuracy of a ridge regression on the half of the rows that it has not seen."""
    if len(labels) < 4:
        return float("nan")
    fit, rest = np.array_split(np.random.default_rng(seed).permutation(len(labels)), 2)
    found = ridge(activity[fit], np.eye(n_classes)[labels[fit]])
    said = activity[rest] @ found.weights + found.offset
    return float(np.mean(said.argmax(axis=1) == labels[rest]))


def _accuracy(scores: Any, labels: NDArray[Any]) -> float:
    return float(np.mean(scores.argmax(dim=1).numpy() == labels))


def _share(members: NDArray[np.bool_]) -> float:
    return float(members.any(axis=0).mean())


def _overlap(members: NDArray[np.bool_]) -> float:
    sets = members[members.any(axis=1)]
    pairs = [
        (sets[i] & sets[j]).sum() / (sets[i] | sets[j]).sum()
        for i in range(len(sets))
        for j in range(i)
    ]
    return float(np.mean(pairs)) if pairs else float("nan")
