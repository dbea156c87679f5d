"""Mend a trained network after its device has changed, from a few rows measured anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from calibration.features import held_out_r2
from devices import Purpose
from devices.checks import number, whole
from pnn.estimators import PhysicalClassifier, PhysicalRegressor
from pnn.layer import PhysicalLayer
from pnn.rules.local import LocalRule
from pnn.rules.readout import ridge
from pnn.training import limit_threads

__all__ = ["Adaptation", "Adapter", "feature_map"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """What one mending has found and cost.

    Attributes
    ----------
    queries : int
        Rows driven for it.
    agreement_before, agreement : float
        R2 of the features, held out, against those of the time of training: as they come from
        the changed device, and after the map that was fitted. The mean over layers.
    """

    queries: int
    agreement_before: float
    agreement: float


class Adapter:
    """Keeps a few training rows with their features, and brings the network back to them.

    `realign` measures the rows anew and fits, layer by layer, a linear map from the features as
    they are now to those of the time of training: a gain and an offset of each, and on top a ridge
    regression over all, its strength by cross-validation, which shrinks towards the gains alone.
    The map is multiplied into the readout, ``h = (f A + c) W + b``, so that any rule's network is
    mended, without labels. `retrain` then descends from these weights on the same rows.

    Parameters
    ----------
    estimator : PhysicalClassifier or PhysicalRegressor
        Trained, on a device that has not changed since.
    X : array_like of shape (rows, features)
        Training rows. Those that are taken are measured now, under ``train``: behind a `Cached`
        that was there while training this costs nothing.
    y : array_like of shape (rows,), optional
        Their targets, for `retrain`.
    share : float
        Of the rows that are taken.
    seed : int
        Which.

    Attributes
    ----------
    rows : ndarray of shape (taken,)
        Their numbers in X.
    queries : int
        Rows driven so far.

    Raises
    ------
    ValueError
        If fewer than 8 rows would be taken, or no layer has a linear readout.
    """

    def __init__(
        self,
        estimator: PhysicalClassifier | PhysicalRegressor,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        share: float = 0.1,
        seed: int = 0,
    ) -> None:
        check_is_fitted(estimator)
        number("Adapter", "share", share, 0.0, 1.0, above=True)
        inputs = np.asarray(X, float)
        count = whole("Adapter", "rows that are taken", int(share * len(inputs)), 8)
        self.rows = np.sort(np.random.default_rng(seed).permutation(len(inputs))[:count])
        self._estimator, self._rule = estimator, estimator.rule_
        self._layers: list[PhysicalLayer] = estimator.network_.layers
        if not any("W" in layer.weights for layer in self._layers):
            raise ValueError(f"Adapter: the rule {self._rule.name!r} has no linear readout to mend")
        self._inputs = inputs[self.rows]
        self._targets = None if y is None else self._coded(np.asarray(y)[self.rows])
        self.queries = 0
        self._then = self._walk("train", lambda index, layer, features: None)
        self._now: list[torch.Tensor] = []
        self._trained = [dict(layer.weights) for layer in self._layers]

    @property
    def can_retrain(self) -> bool:
        """Whether there are targets, and a rule with gradients of its own."""
        rule = self._rule
        closed = isinstance(rule, LocalRule) and type(rule).gradients is LocalRule.gradients
        return isinstance(rule, LocalRule) and not closed and self._targets is not None

    def realign(self) -> Adaptation:
        """Measure the rows anew and fit the maps, always from the weights of the training.

        Raises
        ------
        DeviceError
            What the device raises; the network stays as it was.
        """
        spent = self.queries
        agreed: list[tuple[float, float]] = []

        def mend(index: int, layer: PhysicalLayer, now: torch.Tensor) -> None:
            trained = self._trained[index]
            layer.weights = dict(trained)
            if "W" not in trained:
                return
            x, y = _flat(now), _flat(self._then[index])
            agreed.append(_agreement(x, y))
            A, c = feature_map(x, y)
            W = trained["W"].double().numpy()
            layer.weights["W"] = torch.from_numpy((A @ W).astype(np.float32))
            layer.weights["b"] = trained["b"] + torch.from_numpy((c @ W).astype(np.float32))

        self._now = self._walk("probe", mend)
        before, after = np.mean(agreed, axis=0)
        return Adaptation(
            queries=self.queries - spent, agreement_before=float(before), agreement=float(after)
        )

    def retrain(self, epochs: int = 20, learning_rate: float = 0.003, pull: float = 0.01) -> None:
        """Descend the rule's own loss from the realigned weights, on the rows of `realign`.

        ``pull (W - W_now)`` is added to the gradients: few rows must not lead far away. Nothing is
        driven.

        Raises
        ------
        ValueError
            If `realign` was not called, there are no targets, or the rule has no gradients of its
            own.
        """
        rule, targets = self._rule, self._targets
        if not self.can_retrain or not isinstance(rule, LocalRule) or targets is None:
            raise ValueError("Adapter: retraining needs y, and a rule with gradients of its own")
        if not self._now:
            raise ValueError("Adapter: realign() comes before retrain()")
        generator = torch.Generator().manual_seed(0)
        for layer, features in zip(self._layers, self._now, strict=True):
            start = {name: layer.weights[name] for name in rule.trained}
            layer.weights = layer.weights | {k: v.clone() for k, v in start.items()}
            optimiser = torch.optim.Adam([layer.weights[name] for name in start], lr=learning_rate)
            for _ in range(epochs):
                _, gradients = rule.gradients(layer.weights, features, targets, generator)
                for name, value in start.items():
                    weight = layer.weights[name]
                    weight.grad = gradients[name] + pull * (weight - value)
                optimiser.step()

    def _walk(
        self, purpose: Purpose, visit: Callable[[int, PhysicalLayer, torch.Tensor], None]
    ) -> list[torch.Tensor]:
        """Measure the rows through all layers, each visited before it hands on."""
        estimator, rule = self._estimator, self._rule
        kept = [dict(layer.weights) for layer in self._layers]
        z, found = self._inputs, []
        with limit_threads(estimator.threads), estimator.opened():
            ledgers = [device.ledger for device in estimator.network_.devices]
            before = sum(ledger.total for ledger in ledgers)
            try:
                for i, layer in enumerate(self._layers):
                    features = rule.measure(layer, z, estimator.n_classes_, purpose, first=i == 0)
                    visit(i, layer, features)
                    found.append(features)
                    z = rule.pass_on(layer, features)
            except BaseException:
                for layer, weights in zip(self._layers, kept, strict=True):
                    layer.weights = weights
                raise
            finally:
                self.queries += sum(ledger.total for ledger in ledgers) - before
        return found

    def _coded(self, y: Array) -> torch.Tensor:
        classes = getattr(self._estimator, "classes_", None)
        return torch.from_numpy(y if classes is None else np.searchsorted(classes, y))


def _flat(features: torch.Tensor) -> Array:
    """Return rows of features in double precision, hypotheses below one another."""
    return features.reshape(-1, features.shape[-1]).double().numpy()


def feature_map(now: Array, then: Array) -> tuple[Array, Array]:
    """Return A, (n_features, n_features), and c so that ``then ~ now A + c``.

    The other way around, it brings stored training features to what a changed device would answer.

    Parameters
    ----------
    now, then : ndarray of shape (rows, n_features)
        Features of the same drives.
    """
    centre, target = now.mean(axis=0), then.mean(axis=0)
    power = np.sum((now - centre) ** 2, axis=0)
    shared = np.sum((now - centre) * (then - target), axis=0)
    gain = np.divide(shared, power, out=np.ones_like(power), where=power > 0)
    rest, offset, *_ = ridge(now, then - now * gain)
    return np.diag(gain) + rest, offset


def _agreement(now: Array, then: Array) -> tuple[float, float]:
    """Return the R2 of the features as they are, and mapped by a fit to three of four rows."""
    judged = np.arange(len(now)) % 4 == 3
    A, c = feature_map(now[~judged], then[~judged])
    truth = then[judged]
    return held_out_r2(truth, now[judged])[0], held_out_r2(truth, now[judged] @ A + c)[0]
