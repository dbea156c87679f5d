"""Physical networks as scikit-learn estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from devices import Purpose
from pnn.estimator_base import DeviceLike, PhysicalEstimator, is_online
from pnn.training import Watch

__all__ = ["DeviceLike", "PhysicalClassifier", "PhysicalRegressor"]


class PhysicalClassifier(ClassifierMixin, PhysicalEstimator):
    """A classifier with a black box inside: only what is digital is trained.

    Parameters
    ----------
    device : Device, str, path, mapping, sequence of these, PhysicalNetwork, or None
        The black box, or its name (see `devices.build_device`); several for several layers. One
        device serves all layers in turn. A `PhysicalNetwork` says layer by layer what the
        parameters from `layers` to `skip` say for all. None is an ideal scattering medium.
    rule : str or Rule
        A name of `pnn.rules.RULES`; ``"auto"`` is ``"phyll"`` for classification and
        ``"readout"`` for regression.
    layers : int
        Physical layers.
    width : int
        Readout outputs per layer (the rule ``readout`` has one per class).
    encoder : str
        ``"auto"`` takes the one for the device's domain; see `pnn.encoders`.
    scaling, masks, label_scale, adapter
        Of the encoder, see `pnn.encoders.Encoder`; layers after the first scale by "sigma".
    skip : bool
        Whether the digital input goes around the device as well.
    rule_options : mapping, optional
        Arguments of the rule, such as ``{"theta": 4.0}``.
    epochs, batch_size, learning_rate, inner_steps, schedule, check_every, patience, train, washout
        See `pnn.training.Training`.
    validation : float
        Share of the training rows that early stopping looks at; none below 50 rows.
    drift : DriftSettings or mapping, optional
        Watch the device for drift and react, see `pnn.drift_settings.DriftSettings`, as in
        ``{"every_epochs": 4}``. None: the device is not watched.
    threads : int or None
        Threads of torch and BLAS; None leaves them as they are. The same seed gives the same
        bits for the same number of threads.
    random_state : int, RandomState or None
        Seed of the weights, batches, masks and projections. The device has seeds of its own.

    Attributes
    ----------
    network_ : PhysicalNetwork
        The trained network; its devices hold the ledger of queries.
    classes_ : ndarray
        The labels.
    history_ : list of dict
        Metrics at each look at the validation rows.
    drift_ : list of dict
        With `drift`: the looks at the probe drives, see `pnn.drift_guard.Guarding`.
    guard_ : Guarding
        With `drift`: its `look` looks again while the trained network is in use.
    multiply_adds_ : int
        Digital multiply-adds of training.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> PhysicalClassifier(random_state=0).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.9
    True
    """

    _task = "classification"

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        watch: Watch | None = None,
    ) -> Self:
        """Train on X, (rows, features), and labels y, (rows,).

        Parameters
        ----------
        X, y : array_like
        groups : array_like of shape (rows,), optional
            Rows of one group are never divided between training and validation.
        watch : Watch, optional
            Is told how training goes on.

        Raises
        ------
        ValueError
            If the data or a parameter does not make sense; before anything is driven.
        DeviceError
            If the device fails; it has the rows measured so far.
        """
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"there is only one class, {self.classes_.tolist()[0]!r}; two are needed"
            )
        return self._fit(rows, codes.astype(np.int64), len(self.classes_), groups, watch)

    @available_if(is_online)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Go on learning from the next rows of a stream, with a rule that is `online`.

        Parameters
        ----------
        X, y : array_like
            Rows, each measured once, and their labels.
        classes : array_like, optional
            All labels that the stream will have; needed in the first call alone.

        Raises
        ------
        ValueError
            If the data do not make sense, or have a label that is none of the classes.
        """
        first = not hasattr(self, "network_")
        rows, labels = validate_data(self, X, y, reset=first, dtype=np.float64)
        if first:
            if classes is None:
                raise ValueError("the first call of partial_fit needs all labels, as classes=")
            self.classes_ = np.unique(np.asarray(classes))
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"labels {unknown.tolist()} are none of the classes {self.classes_.tolist()}"
            )
        codes = np.searchsorted(self.classes_, labels)
        return self._learn_more(rows, codes, len(self.classes_))

    def decision_function(self, X: ArrayLike, purpose: Purpose = "test") -> NDArray[Any]:
        """Return scores, (rows, classes), or for two classes their difference, (rows,)."""
        scores = self._scores(X, purpose)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: ArrayLike, purpose: Purpose = "test") -> NDArray[Any]:
        """Return labels, (rows,); the rows are measured now and counted under `purpose`."""
        check_is_fitted(self)
        return self.classes_[self._scores(X, purpose).argmax(axis=1)]


class PhysicalRegressor(RegressorMixin, PhysicalEstimator):
    """A regressor with a black box inside; parameters as for `PhysicalClassifier`.

    Rules that contrast labels do not apply to numbers; ``readout`` does.
    """

    _task = "regression"

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        watch: Watch | None = None,
    ) -> Self:
        """Train on X, (rows, features), and numbers y, (rows,); see `PhysicalClassifier.fit`."""
        rows, values = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        return self._fit(rows, values.astype(np.float64), 0, groups, watch)

    @available_if(is_online)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Go on learning from the next rows of a stream; see `PhysicalClassifier.partial_fit`."""
        first = not hasattr(self, "network_")
        rows, values = validate_data(self, X, y, reset=first, dtype=np.float64, y_numeric=True)
        return self._learn_more(rows, values.astype(np.float64), 0)

    def predict(self, X: ArrayLike, purpose: Purpose = "test") -> NDArray[Any]:
        """Return numbers, (rows,); the rows are measured now and counted under `purpose`."""
        return self._scores(X, purpose)[:, 0].astype(np.float64)
