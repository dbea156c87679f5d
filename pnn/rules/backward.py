"""Rules that carry an error back through the layers, to what stands before a device as well."""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from devices.checks import number
from pnn.layer import PhysicalLayer, PhysicalNetwork, Weights
from pnn.leaves import Leaves
from pnn.passage import drives_of, features_of, through
from pnn.rules.base import Rule
from pnn.schedules import Best, accuracy_of, batches, is_check, passes
from pnn.training import Session, Training

__all__ = ["BackwardRule"]

Array = NDArray[Any]


class BackwardRule(Rule):
    """Descend the loss of the network's output through all layers, batch by batch.

    With u = code(clip(A z + c)) the drive, y = D(u) the measured answer, f its scaled features
    and h = W f + b what is handed on, the digital steps are differentiated as they are. In the
    place of the device's derivative stands `vjp`, which is what a rule writes. Classification
    descends the cross-entropy of the last layer's softmax(h), regression its mean square error
    over the variance of the targets.

    A trained encoder or parameter changes the drives, so every update asks for new answers; with
    the readouts alone in training, the first layer is measured once.

    Parameters
    ----------
    encoder_rate : float
        Learning rate of encoders and parameters over that of the readouts.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    can_train: ClassVar[tuple[str, ...]] = ("encoder", "readout")
    trains: ClassVar[tuple[str, ...]] = ("encoder", "readout")
    measures_once: ClassVar[bool] = False
    #: Rows that a sample is driven as in an update.
    copies: ClassVar[int] = 1
    #: Queries per row that `vjp` spends.
    vjp_rows: ClassVar[int] = 0
    #: Whether every layer has a loss of its own, and no error crosses layers.
    local: ClassVar[bool] = False

    def __init__(self, encoder_rate: float = 0.1) -> None:
        self.encoder_rate = number(self.name, "encoder_rate", encoder_rate, 0.0, above=True)

    # -- what a rule writes --------------------------------------------------------------------

    def vjp(
        self, index: int, layer: PhysicalLayer, drives: Array, answers: Array, grad: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the gradients by the drives and by the parameters of layer `index`'s device."""
        raise TypeError(f"{self.name} does not carry an error through a device")

    def disturb(self, index: int, drives: torch.Tensor) -> torch.Tensor:
        """Return what layer `index` is driven with in an update; the drives themselves."""
        return drives

    def prepare(self, session: Session) -> None:
        """Do what comes before the first update, such as fitting a twin."""

    def prepare_rows(self, network: PhysicalNetwork) -> int:
        """Return the queries that `prepare` spends."""
        return 0

    def refresh(self, session: Session, epoch: int) -> dict[str, float]:
        """Do what comes after an epoch, such as fitting a twin anew; return metrics of it."""
        return {}

    # -- the network ---------------------------------------------------------------------------

    def start(
        self, layer: PhysicalLayer, n_outputs: int, last: bool, generator: torch.Generator
    ) -> Weights:
        """Return W of normal numbers (features have a length of about 1) and b = 0.

        The last layer has as many outputs as the network, the others as the layer's width.
        """
        width = n_outputs if last else layer.width
        W = torch.randn(layer.n_features, width, generator=generator)
        return {"W": 0.3 * W if last else W, "b": torch.zeros(width)}

    def hand_on(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return h = W f + b."""
        return features @ weights["W"] + weights["b"]

    def scores(self, weights: Weights, features: torch.Tensor) -> torch.Tensor:
        """Return what the layer says of the classes, or the value in the targets' unit."""
        said = self.read(weights, self.hand_on(weights, features))
        return said * weights["size"] + weights["level"] if "size" in weights else said

    def read(self, weights: Weights, handed_on: torch.Tensor) -> torch.Tensor:
        """Return what a layer says, (rows, n_outputs), from what it hands on: h itself."""
        return handed_on

    def combine(self, scores: list[torch.Tensor]) -> torch.Tensor:
        """Return the last layer's scores; under local losses the sum over layers."""
        return torch.stack(scores).sum(dim=0) if self.local else scores[-1]

    def loss(self, said: list[torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch from what every layer says, or the last one does."""
        said = said if self.local else said[-1:]
        if targets.is_floating_point():
            return torch.stack([(h[:, 0] - targets).square().mean() for h in said]).sum()
        return torch.stack([cross_entropy(h, targets) for h in said]).sum()

    # -- cost ----------------------------------------------------------------------------------

    def rows_per_update(self, n_classes: int) -> int:
        """Return the queries forward, and those of `vjp`."""
        return self.copies * (1 + self.vjp_rows)

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return those of W."""
        return n_features * width

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
        masks = [layer.encoder.masks for layer in network.layers]
        moving = set(self.parts(settings)) - {"readout"}
        # A layer's answers change, and its derivative is asked for, where something before it or
        # inside it is trained; under local losses, only by the layer's own encoder.
        asked = sum(masks if moving else masks[1:])
        vjp_rows = 0 if self.local and not moving else self.vjp_rows
        each = asked * self.copies * (1 + vjp_rows)
        return {
            "train": n_train * (sum(masks) + settings.epochs * each) + self.prepare_rows(network),
            "validation": n_validation * sum(masks) * settings.checks,
            "test": n_test * sum(masks),
        }

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of all updates."""
        layers, trained = network.layers, "encoder" in self.parts(settings)
        given = [len(layers[0].encoder.low_), *(layer.width for layer in layers[:-1])]
        taken = [layer.device.spec.n_inputs for layer in layers]
        # Untrained, there is a map only onto fewer inputs.
        maps = [n * m if trained or n > m else 0 for n, m in zip(given, taken, strict=True)]
        each = self._step_multiply_adds(network, maps, n_classes)
        return settings.epochs * n_train * self.copies * each

    # -- training ------------------------------------------------------------------------------

    def check(self, network: PhysicalNetwork, settings: Training, n_classes: int) -> None:
        """Raise `ValueError`, too, for parameters that a device has not."""
        super().check(network, settings, n_classes)
        if "parameters" in self.parts(settings):
            for layer in network.layers:
                _ = layer.programmable

    def learn(self, session: Session) -> None:
        """Train all layers with each batch; the best state on the validation rows is kept."""
        rows, settings, watch = session.rows, session.settings, session.watch
        layers = session.network.layers
        parts = self.parts(settings)
        once = self._start_network(session)
        self.prepare(session)
        leaves = Leaves(layers, parts, self.trained, self.encoder_rate)
        best = Best(layers, watch)
        for epoch in passes(settings):
            losses = []
            for batch in batches(session):
                z = torch.from_numpy(rows.inputs[batch]).repeat(self.copies, 1)
                # With the readouts alone in training, the first layer's answers do not change.
                first = once[batch].repeat(self.copies, 1) if set(parts) == {"readout"} else None
                self.targets = self._targets(session, batch).repeat(self.copies)
                said = self._forward(leaves, z, first)
                loss = self.loss(said, self.targets)
                losses.append(float(loss.detach()))
                if not math.isfinite(losses[-1]):
                    raise FloatingPointError(
                        f"rule {self.name!r}: the loss is {losses[-1]}; use a learning_rate below "
                        f"{settings.learning_rate:g}"
                    )
                leaves.step(loss, settings, epoch)
                maps = [layer.encoder.multiply_adds for layer in layers]
                each = self._step_multiply_adds(session.network, maps, rows.n_classes)
                session.tally.add(len(z) * each)
            watch.progress("all layers", epoch + 1, settings.epochs)
            told = self.refresh(session, epoch)
            if is_check(settings, epoch):
                metrics = self._look(session)
                loss_now = float(np.mean(losses))
                watch.epoch(layer=0, epoch=epoch + 1, loss=loss_now, **metrics, **told)
                if best.look(metrics):
                    watch.checkpoint()
                elif best.waited >= settings.patience:
                    break
        best.restore()

    def _step_multiply_adds(self, network: PhysicalNetwork, maps: list[int], n_classes: int) -> int:
        """Multiply-adds of one sample's update: forward, and back to weights and inputs.

        `maps` are those of encoding a row, layer by layer.
        """
        return 3 * sum(
            self.multiply_adds(layer.n_features, layer.width, n_classes) + layer.encoder.masks * one
            for layer, one in zip(network.layers, maps, strict=True)
        )

    def _start_network(self, session: Session) -> torch.Tensor:
        """Fix encoders and scalings in one pass; return the first layer's features."""
        rows, parts = session.rows, self.parts(session.settings)
        layers, z, once = session.network.layers, rows.inputs, torch.empty(0)
        for i, layer in enumerate(layers):
            layer.fit_encoder(z)
            if "encoder" in parts:
                layer.encoder.make_trainable(np.random.default_rng(layer.encoder.seed))
            layer.trains_parameters = "parameters" in parts
            raw = layer.raw(z, purpose="train")
            features = layer.fit_scaling(raw).scaled(raw)
            once = features if i == 0 else once
            last = i + 1 == len(layers)
            layer.weights = self.start(layer, rows.n_classes or 1, last, session.generator)
            if last and not rows.n_classes:
                values = rows.targets.float()
                layer.weights |= {
                    "level": values.mean(),
                    "size": values.std(correction=0).clamp_min(1e-12),
                }
            if not last:
                z = self.pass_on(layer, features)
        return once

    def _targets(self, session: Session, batch: torch.Tensor) -> torch.Tensor:
        targets = session.rows.targets[batch]
        if session.rows.n_classes:
            return targets
        weights = session.network.layers[-1].weights
        return (targets.float() - weights["level"]) / weights["size"]

    def _forward(
        self, leaves: Leaves, z: torch.Tensor, first: torch.Tensor | None
    ) -> list[torch.Tensor]:
        """Return what every layer says, with the graph that leads back through `vjp`."""
        said = []
        for i, (layer, own) in enumerate(zip(leaves.layers, leaves.of, strict=True)):
            if i == 0 and first is not None:
                features = first
            else:
                trained = {k: leaf for k, leaf in own.items() if k in ("A", "c")}
                drives = self.disturb(i, drives_of(layer.encoder, z, trained))
                vjp = functools.partial(self.vjp, i, layer)
                answers = through(layer, drives, vjp, leaves.parameters(layer))
                features = features_of(layer, answers, z)
            weights = layer.weights | own
            z = self.hand_on(weights, features)
            said.append(self.read(weights, z))
            z = z.detach() if self.local else z
        return said

    def _look(self, session: Session) -> dict[str, float]:
        """Measure the validation rows afresh and return the metrics on them."""
        rows = session.rows
        if not len(rows.validation_inputs):
            return {}
        scores = self.predict(
            session.network, rows.validation_inputs, rows.n_classes, "validation"
        ).float()
        targets = rows.validation_targets
        if rows.n_classes:
            return {
                "validation_loss": float(cross_entropy(scores, targets)),
                "validation_accuracy": accuracy_of(scores, targets),
            }
        error = (scores[:, 0] - targets.float()).square().mean()
        return {"validation_loss": float(error / targets.float().var().clamp_min(1e-12))}
