"""The interface of learning rules."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from devices import Purpose
from pnn.layer import CHUNK, PhysicalLayer, PhysicalNetwork, Weights
from pnn.rules.cost import Cost
from pnn.training import PARTS, Session, Training, Watch

__all__ = ["Rule", "RuleClass"]

Array = NDArray[np.float64]


class RuleClass(Enum):
    """What a rule needs from the device."""

    OUTPUTS = "measured answers only"
    PERTURB = "answers to slightly changed drives or parameters"
    LAW = "a known element-wise law of the device"
    TWIN = "a differentiable model fitted to measurements"
    GRADIENT = "derivatives of the device (simulators only)"
    SPECIAL = "particular physics"


class Rule(ABC):
    """What every learning rule offers: its class, its cost, training and prediction.

    Rules that train what stands after the device, layer by layer, are subclasses of `LocalRule`;
    rules that carry an error back through the layers, of `BackwardRule`; rules that search in a
    few numbers, of `SearchRule`. A rule overrides what differs.
    """

    #: Name in configurations.
    name: ClassVar[str]
    #: What the rule needs from the device.
    rule_class: ClassVar[RuleClass] = RuleClass.OUTPUTS
    #: The figure of its source, with the setting, or that none is at hand.
    reported: ClassVar[str] = ""
    #: Where it works and where it does not, in a sentence.
    works_on: ClassVar[str] = ""
    #: What it can learn: "classification", "regression".
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    #: What it can train (`pnn.training.PARTS`), and of that, what it trains unless told otherwise.
    can_train: ClassVar[tuple[str, ...]] = ("readout",)
    trains: ClassVar[tuple[str, ...]] = ("readout",)
    #: Whether a sample is driven once per label hypothesis.
    hypotheses: ClassVar[bool] = False
    #: Whether it stops early on validation rows.
    uses_validation: ClassVar[bool] = True
    #: Whether a drive is measured once and its answer serves all updates (layer-wise schedule).
    measures_once: ClassVar[bool] = True
    #: Whether it can go on learning from a stream, one call with new rows after the other.
    online: ClassVar[bool] = False
    #: The layers' weights that are trained.
    trained: ClassVar[tuple[str, ...]] = ("W", "b")

    # -- what a rule writes --------------------------------------------------------------------

    @abstractmethod
    def learn(self, session: Session) -> None:
        """Train the session's network; everything was checked."""

    @abstractmethod
    def estimate(
        self,
        network: PhysicalNetwork,
        settings: Training,
        *,
        n_train: int,
        n_validation: int,
        n_test: int,
        n_classes: int,
    ) -> dict[str, int]:
        """Return the queries that training and testing will spend, at the most, by purpose."""

    @abstractmethod
    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return what the next layer is given, (..., width); no gradient flows back."""

    @abstractmethod
    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return one score per class, (rows, n_classes), or the value, (rows, 1)."""

    def combine(self, scores: list[torch.Tensor]) -> torch.Tensor:
        """Join the scores of all layers into the network's; the sum unless overridden."""
        return torch.stack(scores).sum(dim=0)

    # -- cost ----------------------------------------------------------------------------------

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Digital multiply-adds of one layer for one prediction (of one sample)."""
        return self.rows_per_sample(n_classes) * n_features * width

    def rows_per_sample(self, n_classes: int) -> int:
        """Return the queries per sample, layer and mask in a prediction."""
        return max(1, n_classes) if self.hypotheses else 1

    def rows_per_update(self, n_classes: int) -> int:
        """Return the queries per sample, layer and mask of one update, if nothing is reused."""
        return self.rows_per_sample(n_classes)

    def cost(self, n_classes: int) -> Cost:
        """Return the declared cost; `estimate` is what a training will spend."""
        return Cost(
            update=self.rows_per_update(n_classes),
            predict=self.rows_per_sample(n_classes),
            once=self.measures_once,
        )

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int | None:
        """Return about how many digital multiply-adds training takes, at the most, as tallied.

        None where a rule does not say.
        """
        return None

    def handed_on(self, layer: PhysicalLayer) -> int:
        """Return how many numbers a layer hands on."""
        return layer.width

    def fit_encoders(self, network: PhysicalNetwork, inputs: Array, n_classes: int) -> None:
        """Fit encoders as far as can be known before anything is driven, for estimates.

        The first one by the training inputs, (rows, features); later ones by noise, in the place
        of what will be handed on to them.
        """
        first, *later = network.layers
        first.fit_encoder(inputs, n_classes if self.hypotheses else 0)
        sizes = {"n_features": inputs.shape[1], "n_classes": n_classes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is not known yet
            for i, layer in enumerate(later, 1):
                width = self.handed_on(network.layers[i - 1])
                n = self.channels(i, len(network.layers), width=width, **sizes)
                layer.fit_encoder(np.random.default_rng(0).random((16, n)))

    # -- what the loops call -------------------------------------------------------------------

    def place(self, network: PhysicalNetwork) -> PhysicalNetwork:
        """Return the network that is trained; a reference may put other things in the places."""
        return network

    def on_stand_ins(self) -> Rule:
        """Return the rule of the controls; another where it needs physics that no stand-in has."""
        return self

    def parts(self, settings: Training) -> tuple[str, ...]:
        """Return what is trained with these settings."""
        return settings.train or self.trains

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError` if the rule cannot learn this task on these devices."""
        task = "classification" if n_classes else "regression"
        if task not in self.tasks:
            raise ValueError(f"rule {self.name!r} learns {', '.join(self.tasks)}, not {task}")
        for part in self.parts(settings):
            if part not in self.can_train:
                raise ValueError(
                    f"rule {self.name!r} cannot train the {part} ({PARTS[part]}); it can train "
                    f"{', '.join(self.can_train)}"
                )
        steps = settings.washout is not None
        one_by_one = self.measures_once and self.views(n_classes, True) == 1
        if steps and not (one_by_one and settings.schedule == "layerwise"):
            raise ValueError(
                f"rule {self.name!r} with schedule={settings.schedule!r} drives a step several "
                "times, or in any order, and cannot follow a sequence; use a rule with one query "
                "per sample that is measured once, and schedule='layerwise'"
            )
        for layer in network.layers:
            name = layer.device.spec.name
            if layer.device.spec.memory and not steps:
                raise ValueError(
                    f"rule {self.name!r} drives rows in any order, but {name} keeps memory between "
                    "rows; rows that are steps in time need a washout"
                )
            if steps and layer.encoder.masks > 1:
                raise ValueError(f"masks={layer.encoder.masks}: a step is driven once; use masks=1")

    def train(self, session: Session) -> None:
        """Train every layer of the session's network; checks before the first query."""
        self.check(session.network, session.settings, session.rows.n_classes)
        self.learn(session)

    def expand(
        self, inputs: Array, n_classes: int, training: bool
    ) -> tuple[Array, NDArray[np.int64] | None]:
        """Return the rows that the first layer is driven with, and their label hypotheses.

        Every sample becomes as many neighbouring rows as it has views: one for each label under
        `hypotheses`, else itself alone. A rule with other views, such as mixtures of samples,
        overrides this together with `views`.
        """
        n = self.views(n_classes, training)
        if not self.hypotheses:
            return inputs, None
        return np.repeat(inputs, n, axis=0), np.tile(np.arange(n), len(inputs))

    def views(self, n_classes: int, training: bool) -> int:
        """Return how many rows `expand` makes of a sample."""
        return self.rows_per_sample(n_classes)

    def channels(
        self, index: int, n_layers: int, *, n_features: int, width: int, n_classes: int
    ) -> int:
        """Return how many numbers layer `index` of `n_layers` is driven with, labels included."""
        if index:
            return width
        return n_features + (n_classes if self.hypotheses else 0)

    def measure(
        self,
        layer: PhysicalLayer,
        inputs: Array,
        n_classes: int,
        purpose: Purpose,
        *,
        first: bool,
        fit: bool = False,
        watch: Watch = Watch(),  # noqa: B008  (it has no state)
    ) -> torch.Tensor:
        """Return the features of `inputs`, (rows, n_features), or (rows, views, n_features).

        The views are made for the first layer; later ones are handed a row for each of them.
        `fit` learns the encoder and the scaling of the features from these rows.
        """
        if layer.device.spec.memory:
            layer.device.reset()  # every pass is a sequence from its beginning
        training = purpose in ("train", "validation")
        labels = None
        if first:
            if fit:
                layer.fit_encoder(inputs, n_classes if self.hypotheses else 0)
            inputs, labels = self.expand(inputs, n_classes, training)
        elif fit:
            layer.fit_encoder(inputs)
        progress = partial(watch.progress, f"measure ({purpose})")
        raw = layer.raw(inputs, labels, purpose=purpose, progress=progress)
        if fit:
            layer.fit_scaling(raw)
        features = layer.scaled(raw)
        views = self.views(n_classes, training)
        has_views = self.hypotheses or self.views(n_classes, True) > 1
        return features.reshape(-1, views, layer.n_features) if has_views else features

    def pass_on(self, layer: PhysicalLayer, features: torch.Tensor) -> Array:
        """Return the inputs of the next layer, one row per row (and view)."""
        handed_on = self.hand_on(layer.weights, features)
        return handed_on.reshape(-1, handed_on.shape[-1]).numpy().astype(np.float64)

    def walk(
        self, network: PhysicalNetwork, inputs: Array, n_classes: int, purpose: Purpose
    ) -> Iterator[tuple[PhysicalLayer, torch.Tensor, torch.Tensor]]:
        """Measure `inputs` layer by layer; give each layer, its features and its scores."""
        z = inputs
        for i, layer in enumerate(network.layers):
            features = self.measure(layer, z, n_classes, purpose, first=i == 0)
            # In double precision: a row's scores do not depend on the rows measured beside it.
            exact = {key: value.double() for key, value in layer.weights.items()}
            parts = [self.scores(exact, part.double()) for part in torch.split(features, CHUNK)]
            yield layer, features, torch.cat(parts)
            if i + 1 < len(network.layers):
                z = self.pass_on(layer, features)

    def predict(
        self, network: PhysicalNetwork, inputs: Array, n_classes: int, purpose: Purpose
    ) -> torch.Tensor:
        """Measure `inputs` through all layers and return the network's scores."""
        return self.combine([s for _, _, s in self.walk(network, inputs, n_classes, purpose)])
