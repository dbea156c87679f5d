"""Training loops: one layer after the other, or all layers with each batch.

Both measure the first layer's training rows once: its drives never change. Validation rows are
measured afresh at every look, since a stored answer would freeze one draw of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from devices import row_context
from pnn.layer import PhysicalLayer, Weights
from pnn.training import Session, Training, Watch

if TYPE_CHECKING:
    from pnn.rules.local import LocalRule

__all__ = [
    "SCHEDULES",
    "Best",
    "Descent",
    "Look",
    "Sweep",
    "accuracy_of",
    "batches",
    "descend",
    "is_check",
    "joint",
    "layerwise",
    "passes",
]

#: Measures the validation rows and returns the metrics on them; none without such rows.
Look = Callable[[], dict[str, float]]


def layerwise(rule: LocalRule, session: Session) -> None:
    """Train one layer after the other; every training drive is measured once."""
    rows, watch = session.rows, session.watch
    layers = session.network.layers
    z, z_validation = rows.inputs, rows.validation_inputs
    earlier: list[torch.Tensor] = []  # scores of the trained layers on the validation rows
    kept: list[torch.Tensor] = []
    # The first steps of a sequence are driven, and not learned from.
    skip = session.settings.washout or 0
    learning = replace(session, rows=replace(rows, targets=rows.targets[skip:]))
    for i, layer in enumerate(layers):
        first, n = i == 0, rows.n_classes
        features = rule.measure(layer, z, n, "train", first=first, fit=True, watch=watch)
        watch.measured(i, z, features)

        def look() -> dict[str, float]:
            if not len(rows.validation_inputs):
                return {}
            seen = rule.measure(layer, z_validation, n, "validation", first=first)  # noqa: B023
            loss, _ = rule.gradients(
                layer.weights,  # noqa: B023
                seen,
                rows.validation_targets,
                # The same negatives at each look, so that the losses can be compared.
                torch.Generator().manual_seed(0),
            )
            scores = rule.combine([*earlier, rule.scores(layer.weights, seen)])  # noqa: B023
            return {
                "validation_loss": loss,
                "validation_accuracy": accuracy_of(scores, rows.validation_targets),
            }

        if not rule.last_only or i + 1 == len(layers):
            rule.fit_layer(learning, i, features[skip:], look)
        kept.append(features[skip:])
        if i + 1 < len(layers):
            z = rule.pass_on(layer, features)
            if rule.uses_validation and len(z_validation):
                seen = rule.measure(layer, z_validation, n, "validation", first=first)
                earlier.append(rule.scores(layer.weights, seen))
                z_validation = rule.pass_on(layer, seen)
    rule.finish(learning, kept)


def descend(
    rule: LocalRule, session: Session, index: int, features: torch.Tensor, look: Look
) -> None:
    """Train one layer by gradient steps on features that were measured once."""
    settings, watch, layer = session.settings, session.watch, session.network.layers[index]
    layer.weights = rule.start(
        layer.n_features, layer.width, session.rows.n_classes, session.generator
    )
    descent, best = Descent(rule, session, layer), Best([layer], watch)
    for epoch in passes(settings):
        losses = [
            descent.step(epoch, features[batch], session.rows.targets[batch])
            for batch in batches(session)
        ]
        watch.progress(f"layer {index + 1}", epoch + 1, settings.epochs)
        if is_check(settings, epoch):
            metrics = look()
            watch.epoch(layer=index, epoch=epoch + 1, loss=float(np.mean(losses)), **metrics)
            if best.look(metrics):
                watch.checkpoint()
            elif best.waited >= settings.patience:
                break
    best.restore()


class Sweep(Protocol):
    """Trains all layers on one batch and returns their losses."""

    def __call__(
        self,
        session: Session,
        features: torch.Tensor,
        descents: list[Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        """Take the first layer's features, the layers' descents, the batch's rows, the epoch."""
        ...


def joint(rule: LocalRule, session: Session, sweep: Sweep | None = None) -> None:
    """Train all layers with each batch; the layers after the first are measured each time.

    Unless a rule brings its own `sweep`, a layer sees what the one before it, just trained,
    hands on. The training stops on the accuracy of the whole network. One pass with the weights
    at the start fixes encoders and scalings.
    """

    def in_turn(
        session: Session,
        features: torch.Tensor,
        descents: list[Descent],
        batch: torch.Tensor,
        epoch: int,
    ) -> list[float]:
        losses, z = [], np.empty(0)
        for i, (layer, descent) in enumerate(zip(layers, descents, strict=True)):
            if i:
                features = rule.measure(layer, z, n, "train", first=False)
            losses.append(descent.step(epoch, features, rows.targets[batch]))
            if i + 1 < len(layers):
                z = rule.pass_on(layer, features)
        return losses

    sweep = sweep or in_turn
    rows, settings, watch = session.rows, session.settings, session.watch
    layers, n = session.network.layers, session.rows.n_classes
    z, once, descents = rows.inputs, torch.empty(0), []
    for i, layer in enumerate(layers):
        features = rule.measure(layer, z, n, "train", first=i == 0, fit=True, watch=watch)
        once = features if i == 0 else once
        layer.weights = rule.start(layer.n_features, layer.width, n, session.generator)
        descents.append(Descent(rule, session, layer))
        if i + 1 < len(layers):
            z = rule.pass_on(layer, features)
    best = Best(layers, watch)
    for epoch in passes(settings):
        losses = [sweep(session, once[batch], descents, batch, epoch) for batch in batches(session)]
        watch.progress("all layers", epoch + 1, settings.epochs)
        if is_check(settings, epoch):
            metrics: dict[str, float] = {}
            if len(rows.validation_inputs):
                scores = rule.predict(session.network, rows.validation_inputs, n, "validation")
                accuracy = accuracy_of(scores, rows.validation_targets)
                metrics = {"validation_loss": 1 - accuracy, "validation_accuracy": accuracy}
            for i, values in enumerate(zip(*losses, strict=True)):
                watch.epoch(layer=i, epoch=epoch + 1, loss=float(np.mean(values)), **metrics)
            if best.look(metrics):
                watch.checkpoint()
            elif best.waited >= settings.patience:
                break
    best.restore()
    rule.finish(session, [])


SCHEDULES: dict[str, Callable[[LocalRule, Session], None]] = {
    "layerwise": layerwise,
    "joint": joint,
}


class Descent:
    """Adam on a rule's own gradients; autograd is not involved."""

    def __init__(self, rule: LocalRule, session: Session, layer: PhysicalLayer) -> None:
        self.rule, self.session, self.layer, self.weights = rule, session, layer, layer.weights
        self.parameters = [layer.weights[name] for name in rule.trained]
        self.optimiser = torch.optim.Adam(self.parameters)

    def step(self, epoch: int, features: torch.Tensor, targets: torch.Tensor) -> float:
        """Take the inner steps on one measured batch and return the last loss."""
        loss = math.nan
        for _ in range(self.session.settings.inner_steps):
            loss, gradients = self.rule.gradients(
                self.weights, features, targets, self.session.generator
            )
            self.apply(epoch, loss, gradients, len(targets))
        return loss

    def apply(self, epoch: int, loss: float, gradients: Weights, rows: int) -> None:
        """Take one step along gradients that are known, of that many rows."""
        rate = self.session.settings.learning_rate_at(epoch)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"rule {self.rule.name!r}: the loss is {loss}; use a learning_rate below "
                f"{self.session.settings.learning_rate:g}"
            )
        self.optimiser.param_groups[0]["lr"] = rate
        for name, parameter in zip(self.rule.trained, self.parameters, strict=True):
            parameter.grad = gradients.get(name)  # none where `finish` learns it
        self.optimiser.step()
        layer, n_classes = self.layer, self.session.rows.n_classes
        each = self.rule.step_multiply_adds(layer.n_features, layer.width, n_classes)
        self.session.tally.add(rows * each)


class Best:
    """The weights at the lowest validation loss; the last ones where there is none.

    After a change of the device (`Watch.changes`) the search for it begins anew.
    """

    def __init__(self, layers: list[PhysicalLayer], watch: Watch) -> None:
        self.layers, self.watch = layers, watch
        self._forget()

    def _forget(self) -> None:
        self.changes = self.watch.changes
        self.loss = math.inf
        self.waited = 0
        self.kept: list[dict[str, NDArray[Any]]] = []

    def look(self, metrics: dict[str, float]) -> bool:
        """Return whether this is the best state so far, and keep it."""
        if self.changes != self.watch.changes:
            self._forget()
        if metrics and metrics["validation_loss"] >= self.loss:
            self.waited += 1
            return False
        if metrics:
            self.loss, self.waited = metrics["validation_loss"], 0
            self.kept = [layer.snapshot() for layer in self.layers]
        return True

    def restore(self) -> None:
        """Go back to the best state; a no-op where validation never chose one."""
        if self.changes != self.watch.changes:
            return
        for layer, snapshot in zip(self.layers, self.kept, strict=False):
            layer.go_back(snapshot)


def batches(session: Session) -> tuple[torch.Tensor, ...]:
    """Return the rows of each batch of an epoch, in a new random order."""
    order = torch.randperm(len(session.rows.targets), generator=session.generator)
    return torch.split(order, session.settings.batch_size)


def passes(settings: Training) -> Iterator[int]:
    """Yield the number of each pass over the training rows, from 0.

    Rows that are measured in a pass, and in the look after it, are recorded with its number as
    `Watch.epoch` is told it, from 1.
    """
    for epoch in range(settings.epochs):
        with row_context(epoch=epoch + 1):
            yield epoch


def is_check(settings: Training, epoch: int) -> bool:
    """Return whether the validation rows are looked at after this epoch."""
    return (epoch + 1) % settings.check_every == 0 or epoch + 1 == settings.epochs


def accuracy_of(scores: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the share of rows whose highest score is that of their label."""
    return float((scores.argmax(dim=1) == targets).float().mean())
