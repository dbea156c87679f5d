"""Rules that search in a few numbers, and fit the readout in closed form at every candidate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from devices import Programmable
from devices.checks import number
from pnn.layer import PhysicalLayer, PhysicalNetwork, Weights
from pnn.rules.base import Rule, RuleClass
from pnn.rules.readout import onehot, ridge, ridge_multiply_adds, ridge_of
from pnn.schedules import batches, passes
from pnn.training import Session, Training

__all__ = ["SearchRule"]

Array = NDArray[np.float64]

#: Measures candidates on one batch, the same for all, and returns their losses.
Judge = Callable[[list[Array]], Array]


class SearchRule(Rule):
    """Search for the few numbers that make the last layer's features best for a linear readout.

    The vector x that is searched, 0 at the start, holds

    * for ``train=["encoder", ...]``, a gain and an offset for each input of each layer:
      unit = clip((v - 1/2) exp(x_gain) + 1/2 + x_offset), with v what the encoder sends untrained;
    * for ``train=["parameters", ...]``, the parameters inside the devices: x moves them from where
      they are, in units of their range.

    The loss of a candidate is the generalised cross-validation score of a ridge regression (see
    `pnn.rules.readout.Readout`) on the features of one batch, over the variance of the targets:
    one evaluation costs one query per sample of the batch, layer and mask. In the end, the readout
    is fitted to all training rows. Earlier layers hand their features on as they are.

    Parameters
    ----------
    spread : float
        Size of the first steps in x.
    """

    rule_class: ClassVar[RuleClass] = RuleClass.PERTURB
    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    can_train: ClassVar[tuple[str, ...]] = ("encoder", "readout", "parameters")
    trains: ClassVar[tuple[str, ...]] = ("encoder", "readout")
    uses_validation: ClassVar[bool] = False
    measures_once: ClassVar[bool] = False
    #: Whether an epoch takes a step on every batch of the training rows, or on a random one.
    every_batch: ClassVar[bool] = False
    #: The longest vector that the rule takes, and why.
    longest: ClassVar[int]
    why_longest: ClassVar[str]

    def __init__(self, spread: float = 0.1) -> None:
        self.spread = number(self.name, "spread", spread, 0.0, 1.0, above=True)

    # -- what a rule writes --------------------------------------------------------------------

    @abstractmethod
    def evaluations(self, length: int) -> int:
        """Return the candidates that one step judges."""

    @abstractmethod
    def begin(self, length: int, rng: np.random.Generator) -> None:
        """Begin a search from zero."""

    @abstractmethod
    def step(self, judge: Judge) -> None:
        """Take one step."""

    @property
    @abstractmethod
    def best(self) -> Array:
        """Return the vector that the search believes in."""

    # -- cost ----------------------------------------------------------------------------------

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError`, too, for a vector that is too long to be searched."""
        super().check(network, settings, n_classes)
        if "readout" not in self.parts(settings):
            raise ValueError(
                f"rule {self.name!r} fits the readout at every candidate; train must name it"
            )
        length = _length(network, self.parts(settings))
        if length > self.longest:
            raise ValueError(
                f"rule {self.name!r} would search in {length} numbers, and {self.longest} are its "
                f"limit: {self.why_longest}; take a device with fewer inputs or parameters, or a "
                "rule that perturbs drives, such as node-perturbation"
            )

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
        """Return the queries that training and testing will spend, by purpose."""
        masks = sum(layer.encoder.masks for layer in network.layers)
        length, train = _length(network, self.parts(settings)), n_train
        if length:  # and all rows once more, for the last readout
            seen = n_train if self.every_batch else min(settings.batch_size, n_train)
            train += n_train + settings.epochs * self.evaluations(length) * seen
        return {"train": train * masks, "validation": 0, "test": n_test * masks}

    def rows_per_update(self, n_classes: int) -> int:
        """Return the fewest candidates of a step."""
        return self.evaluations(1)

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of a ridge regression for every candidate, and of the last one."""
        length, width = _length(network, self.parts(settings)), network.layers[-1].n_features
        whole, rest = divmod(n_train, settings.batch_size)
        sizes = [settings.batch_size] * whole + [rest] * (rest > 0)
        batches = sizes if self.every_batch else sizes[:1]
        epoch = sum(ridge_multiply_adds(rows, width) for rows in batches)
        search = settings.epochs * self.evaluations(length) * epoch if length else 0
        return search + ridge_multiply_adds(n_train, width)

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return the multiply-adds of W."""
        return n_features * (n_classes or 1)

    # -- training ------------------------------------------------------------------------------

    def learn(self, session: Session) -> None:
        """Search, then fit the readout."""
        settings, watch, rows = session.settings, session.watch, session.rows
        layers, parts = session.network.layers, self.parts(settings)
        features = self._pass(layers, rows.inputs, fit=True)
        length = _length(session.network, parts)
        if length:
            vector, targets = _Vector(session.network, parts), onehot(rows)
            self.begin(length, np.random.default_rng(session.generator.initial_seed()))
            losses: list[float] = []
            for epoch in passes(settings):
                for batch in batches(session)[: None if self.every_batch else 1]:
                    wanted = targets[batch]

                    def judge(candidates: list[Array]) -> Array:
                        scores = []
                        for candidate in candidates:
                            vector.put(candidate)
                            seen = self._pass(layers, rows.inputs[batch])  # noqa: B023
                            scores.append(_loss(session, seen, wanted))  # noqa: B023
                        losses.extend(scores)
                        return np.array(scores)

                    self.step(judge)
                watch.progress("search", epoch + 1, settings.epochs)
                watch.epoch(layer=0, epoch=epoch + 1, loss=float(np.mean(losses)))
                losses.clear()
            vector.put(self.best)
            features = self._pass(layers, rows.inputs)
        W, b, strength = ridge_of(features, session)
        layers[-1].weights = {"W": W, "b": b}
        watch.epoch(layer=len(layers) - 1, epoch=settings.epochs, strength=strength)
        watch.checkpoint()

    def _pass(self, layers: list[PhysicalLayer], z: Array, fit: bool = False) -> torch.Tensor:
        """Return the last layer's features of training rows."""
        features = torch.empty(0)
        for i, layer in enumerate(layers):
            features = self.measure(layer, z, 0, "train", first=i == 0, fit=fit)
            z = features.numpy().astype(np.float64)
        return features

    # -- prediction ----------------------------------------------------------------------------

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


def _length(network: PhysicalNetwork, parts: tuple[str, ...]) -> int:
    length = 0
    if "encoder" in parts:
        length += 2 * sum(layer.device.spec.n_inputs for layer in network.layers)
    if "parameters" in parts:
        length += sum(len(device.parameters) for device in _programmables(network))
    return length


def _programmables(network: PhysicalNetwork) -> list[Programmable]:
    """Return the devices with parameters, each once."""
    return list({id(layer.programmable): layer.programmable for layer in network.layers}.values())


def _loss(session: Session, features: torch.Tensor, targets: Array) -> float:
    """Return the cross-validation score over the targets' variance: about 1 if all is in vain."""
    rows, width = features.shape
    session.tally.add(ridge_multiply_adds(rows, width))
    power = max(float(targets.var(axis=0).sum()), 1e-300)
    return ridge(features.numpy(), targets).score * rows / power


class _Vector:
    """Puts the numbers that are searched where they belong."""

    def __init__(self, network: PhysicalNetwork, parts: tuple[str, ...]) -> None:
        self.maps: list[tuple[PhysicalLayer, Any, Any]] = []
        self.devices: list[tuple[Programmable, Array, Array]] = []
        for layer in network.layers:
            layer.trains_parameters = "parameters" in parts
            if "encoder" in parts:
                self.maps.append((layer, *layer.encoder.linear_map()))
        if "parameters" in parts:
            for device in _programmables(network):
                span = device.parameter_high - device.parameter_low
                self.devices.append((device, device.parameters, span))

    def put(self, x: Array) -> None:
        """Put a candidate into the encoders and devices."""
        at = 0
        for layer, A, c in self.maps:
            n = layer.device.spec.n_inputs
            gain, offset = np.exp(x[at : at + n]), x[at + n : at + 2 * n]
            at += 2 * n
            layer.encoder.trained = {
                "A": (A * gain).astype(np.float32),
                "c": ((c - 0.5) * gain + 0.5 + offset).astype(np.float32),
            }
        for device, start, span in self.devices:
            moved = start + span * x[at : at + len(start)]
            at += len(start)
            device.program(np.clip(moved, device.parameter_low, device.parameter_high))
