"""What classifiers and regressors with a device inside have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from devices import Device, Purpose, build_device
from pnn.data.split import split_rows
from pnn.drift_guard import Guarding
from pnn.drift_settings import DriftSettings
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.rules import RULES, Rule, make_rule
from pnn.training import Rows, Session, Training, Watch, limit_threads

__all__ = ["DeviceLike", "PhysicalEstimator", "is_online"]

DeviceLike = Device | str | Path | Mapping[str, Any]

#: Fewer training rows than this are not split for validation.
FEWEST_ROWS = 50

#: The device that stands in where none is given. Light that misses the modulator is a reference:
#: without it, no intensity would tell a phase that all pixels share.
DEFAULT_DEVICE = {
    "name": "sim:scattering-medium",
    "n_outputs": 256,
    "zero_order": 0.25,
    "ideal": True,
}


def is_online(estimator: PhysicalEstimator) -> bool:
    """Return True, or raise `AttributeError` for a rule that cannot learn from a stream."""
    rule = estimator.make_rule()
    if not rule.online:
        known = ", ".join(name for name, one in RULES.items() if one.online)
        raise AttributeError(f"rule {rule.name!r} cannot learn from a stream; {known} can")
    return True


class PhysicalEstimator(BaseEstimator):
    """What the classifier and the regressor share; see `PhysicalClassifier`."""

    _task: Literal["classification", "regression"]

    def __init__(
        self,
        device: DeviceLike | Sequence[DeviceLike] | PhysicalNetwork | None = None,
        rule: str | Rule = "auto",
        *,
        layers: int = 1,
        width: int = 256,
        encoder: str = "auto",
        scaling: Literal["feature", "global", "sigma"] = "feature",
        masks: int = 1,
        label_scale: float = 1.0,
        adapter: Literal["auto", "pad", "project", "convolve"] = "auto",
        skip: bool = False,
        rule_options: Mapping[str, Any] | None = None,
        epochs: int = 40,
        batch_size: int = 128,
        learning_rate: float = 0.03,
        inner_steps: int = 1,
        schedule: Literal["layerwise", "joint"] = "layerwise",
        validation: float = 0.1,
        check_every: int = 4,
        patience: int = 5,
        train: Sequence[str] = (),
        washout: int | None = None,
        drift: DriftSettings | Mapping[str, Any] | None = None,
        threads: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.device = device
        self.rule = rule
        self.layers = layers
        self.width = width
        self.encoder = encoder
        self.scaling = scaling
        self.masks = masks
        self.label_scale = label_scale
        self.adapter = adapter
        self.skip = skip
        self.rule_options = rule_options
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.inner_steps = inner_steps
        self.schedule = schedule
        self.validation = validation
        self.check_every = check_every
        self.patience = patience
        self.train = train
        self.washout = washout
        self.drift = drift
        self.threads = threads
        self.random_state = random_state

    # -- building, without driving anything ----------------------------------------------------

    def settings(self) -> Training:
        """Return the training settings, checked."""
        return Training(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            inner_steps=self.inner_steps,
            schedule=self.schedule,
            check_every=self.check_every,
            patience=self.patience,
            train=tuple(self.train),
            washout=self.washout,
        )

    def make_rule(self) -> Rule:
        """Return the rule, checked."""
        rule = self.rule
        if isinstance(rule, str) and rule == "auto":
            rule = "phyll" if self._task == "classification" else "readout"
        return make_rule(rule, **(self.rule_options or {}))

    def build(self, n_features: int, n_classes: int, seed: int = 0) -> PhysicalNetwork:
        """Return the untrained network for data of that width; nothing is opened or driven.

        A device that is given by name takes as many inputs as there are channels, where its name
        does not say how many it has.

        Raises
        ------
        ValueError
            If a device, an encoder or a size does not make sense.
        """
        rule = self.make_rule()
        if isinstance(self.layers, bool) or self.layers < 1:
            raise ValueError(f"layers={self.layers!r} must be a whole number of at least 1")
        if isinstance(self.device, PhysicalNetwork):
            layers = [layer.untrained() for layer in self.device.layers]
            return rule.place(PhysicalNetwork(layers))
        channels = partial(
            rule.channels, n_features=n_features, width=self.width, n_classes=n_classes
        )
        devices = self._devices(self.device, channels)
        layers = [
            PhysicalLayer(
                device,
                self.encoder,
                width=self.width,
                skip=self.skip,
                scaling=self.scaling if i == 0 else "sigma",
                label_scale=self.label_scale,
                masks=self.masks,
                adapter=self.adapter,
                seed=seed + i,
            )
            for i, device in enumerate(devices)
        ]
        for i, layer in enumerate(layers[1:], 1):  # what the first one is given, `fit` checks
            layer.encoder.check_width(channels(i, len(layers)), layer.device.spec)
        return rule.place(PhysicalNetwork(layers))

    def _devices(self, given: Any, channels: Callable[[int, int], int]) -> list[Device]:
        """Return the device of each layer."""
        if given is None:
            given = DEFAULT_DEVICE
        if isinstance(given, Sequence) and not isinstance(given, str):
            if not given or (len(given) not in (1, self.layers) and self.layers != 1):
                raise ValueError(f"{len(given)} devices for layers={self.layers}; give one or all")
            devices = [
                build_device(one, defaults={"n_inputs": channels(i, len(given))})
                for i, one in enumerate(given)
            ]
        else:
            devices = [build_device(given, defaults={"n_inputs": channels(0, self.layers)})]
        return devices if len(devices) > 1 else devices * self.layers

    # -- training ------------------------------------------------------------------------------

    def _fit(
        self,
        X: NDArray[np.float64],
        targets: NDArray[Any],
        n_classes: int,
        groups: ArrayLike | None,
        watch: Watch | None,
    ) -> Self:
        self._begin(X.shape[1], n_classes)
        kept, held_out = self.validation_rows(targets, groups, self.seed_)
        as_tensor = torch.from_numpy(targets)
        rows = Rows(X[kept], as_tensor[kept], X[held_out], as_tensor[held_out], n_classes)
        return self._learn(rows, watch)

    def _begin(self, n_features: int, n_classes: int) -> None:
        """Build the network, untrained."""
        self.settings()
        self.rule_, self.n_classes_ = self.make_rule(), n_classes
        random = check_random_state(self.random_state)
        self.seed_ = (
            int(self.random_state)
            if isinstance(self.random_state, (int, np.integer))
            else int(random.randint(2**31 - 1))
        )
        self.network_ = self.build(n_features, n_classes, self.seed_)
        self.history_: list[dict[str, Any]] = []
        self.multiply_adds_ = 0

    def _learn(self, rows: Rows, watch: Watch | None) -> Self:
        """Train the network by these rows; one that is trained already goes on from there."""
        self.n_train_, self.n_validation_ = len(rows.inputs), len(rows.validation_inputs)
        looking_on: Watch = _Historian(self.history_, watch or Watch())
        drift = DriftSettings.of(self.drift)
        if drift is not None:
            self.guard_ = looking_on = Guarding(drift, looking_on)
            self.drift_ = self.guard_.looks
        session = Session(
            self.network_,
            rows,
            self.settings(),
            torch.Generator().manual_seed(self.seed_),
            looking_on,
        )
        if drift is not None:
            drift.check(self.rule_, self.network_, session.settings)
            self.rule_.check(self.network_, session.settings, rows.n_classes)
        with limit_threads(self.threads), self.opened():
            if drift is not None:
                self.guard_.begin(self.rule_, session)
            self.rule_.train(session)
            if drift is not None:
                self.guard_.end()
        self.multiply_adds_ += session.tally.multiply_adds
        return self

    def _learn_more(self, X: NDArray[np.float64], targets: NDArray[Any], n_classes: int) -> Self:
        """Train by the next rows of a stream; the first ones build the network."""
        if not hasattr(self, "network_"):
            self._begin(X.shape[1], n_classes)
        as_tensor = torch.from_numpy(targets)
        return self._learn(Rows(X, as_tensor, X[:0], as_tensor[:0], n_classes), None)

    def validation_rows(
        self, targets: NDArray[Any], groups: ArrayLike | None, seed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows to learn from and those that early stopping looks at, if any.

        None are held out below 50 rows, where a class has too few of them, or from a sequence.
        """
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation={self.validation!r} must be at least 0 and below 1")
        wanted = self.make_rule().uses_validation and self.validation > 0 and self.washout is None
        smallest = np.unique(targets, return_counts=True)[1].min()
        if not wanted or len(targets) < FEWEST_ROWS or smallest * self.validation < 1:
            return np.arange(len(targets)), np.arange(0)
        return split_rows(targets, groups, seed, self.validation, self._task)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Open the devices that are closed, and close those again in every case."""
        with contextlib.ExitStack() as stack:
            for device in self.network_.devices:
                if not device.is_open:
                    stack.enter_context(device)
            yield

    def _scores(self, X: ArrayLike, purpose: Purpose) -> NDArray[np.float64]:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        with limit_threads(self.threads), self.opened():
            scores = self.rule_.predict(self.network_, rows, self.n_classes_, purpose)
        return cast("NDArray[np.float64]", scores.numpy())

    def multiply_adds_per_row(self) -> int:
        """Return the digital multiply-adds of one prediction, those of a stand-in included."""
        rows = self.rule_.rows_per_sample(self.n_classes_)
        return sum(
            self.rule_.multiply_adds(layer.n_features, layer.width, self.n_classes_)
            + rows * layer.encoder.masks * getattr(layer.device, "multiply_adds", 0)
            + rows * layer.encoder.multiply_adds
            + (rows * len(layer.alignment[1]) ** 2 if layer.alignment else 0)
            for layer in self.network_.layers
        )

    def n_trained(self) -> int:
        """Return the number of trained numbers: of readouts, encoders and device parameters."""
        names = [f"weights.{name}" for name in self.rule_.trained]
        return sum(
            values.size
            for layer in self.network_.layers
            for name, values in layer.snapshot().items()
            if name in names or not name.startswith("weights.")
        )

    # -- keeping -------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that was learned, as arrays by name."""
        return self.network_.state()

    def restore(self, state: dict[str, NDArray[Any]], n_features: int, n_classes: int) -> Self:
        """Take over what `state` returned; the classes are set by the caller."""
        self.rule_, self.n_classes_, self.n_features_in_ = self.make_rule(), n_classes, n_features
        self.seed_ = int(cast("int", self.random_state))
        self.network_ = self.build(n_features, n_classes, self.seed_)
        self.network_.restore(state, n_classes if self.rule_.hypotheses else 0)
        return self


class _Historian(Watch):
    """Keeps the metrics and hands everything on."""

    def __init__(self, history: list[dict[str, Any]], inner: Watch) -> None:
        self.history, self.inner = history, inner

    def progress(self, what: str, done: int, total: int) -> None:
        self.inner.progress(what, done, total)

    def epoch(self, **metrics: Any) -> None:
        self.history.append(metrics)
        self.inner.epoch(**metrics)

    def checkpoint(self) -> None:
        self.inner.checkpoint()

    def measured(self, index: int, inputs: NDArray[np.float64], features: torch.Tensor) -> None:
        self.inner.measured(index, inputs, features)

    def drift(self, **look: Any) -> None:
        self.inner.drift(**look)
