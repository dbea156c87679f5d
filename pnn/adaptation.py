"""Mend a network whose device has changed, from a few of its training rows measured anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibration import DriftReport, DriftWatch, recalibrate
from devices import Device, row_context
from pnn.alignment import agreement, feature_map
from pnn.drift_settings import DriftSettings, calibrated, recalibrating
from pnn.layer import PhysicalLayer
from pnn.rules.base import Rule
from pnn.rules.local import LocalRule
from pnn.schedules import Descent, batches
from pnn.training import Session

__all__ = ["Mender"]

Array = NDArray[Any]


@dataclass
class _Rows:
    """Rows of a layer, drawn at random from those that its training has asked for.

    Attributes
    ----------
    keys : ndarray of shape (rows,)
        Random numbers: the rows with the lowest ones are kept.
    drives : ndarray of shape (rows, masks, n_inputs)
    answers : ndarray of shape (rows, masks, n_outputs)
    alignment
        Of the layer at that time, see `PhysicalLayer.alignment`.
    """

    keys: Array
    drives: Array
    answers: Array
    alignment: tuple[torch.Tensor, torch.Tensor] | None

    def joined(self, other: _Rows | None, count: int) -> _Rows:
        """Return `count` rows of both."""
        all_of = [self] if other is None else [other, self]
        keys = np.concatenate([one.keys for one in all_of])
        kept = np.argsort(keys, kind="stable")[:count]
        drives = np.concatenate([one.drives for one in all_of])[kept]
        answers = np.concatenate([one.answers for one in all_of])[kept]
        return _Rows(keys[kept], drives, answers, self.alignment)

    def then(self, layer: PhysicalLayer) -> Array:
        """Return the features of that time, which the layer was trained by."""
        return _scaled(layer, self.answers.reshape(-1, self.answers.shape[2]), self.alignment)


@dataclass
class _Memory:
    """What is remembered of a layer: rows of before the last look, and those since."""

    layer: PhysicalLayer
    device: Device
    count: int
    known: _Rows | None = None
    recent: _Rows | None = None

    def newest(self) -> _Rows | None:
        """Return the rows since the last look if they are many enough, else those of before."""
        if self.recent is not None and (self.known is None or len(self.recent.keys) == self.count):
            self.known, self.recent = self.recent, None
        return self.known


class Mender:
    """What can be done for a network whose device has drifted; see `DriftSettings.reactions`.

    While the network is trained, some of the rows that it is trained by are kept with what they
    were answered, and renewed from one look to the next: with an encoder that is trained, the
    drives change, and with in-silico training, the answers are those of the model.

    Parameters
    ----------
    rule : Rule
    session : Session
        A training that begins.
    settings : DriftSettings
    budget : int
        Queries that all reactions together may spend.

    Attributes
    ----------
    left : int
        Queries of the budget that are not spent.
    agreement : float
        R2 of the features after the last refit, held out, against those of the training; the
        lowest one of the layers.
    """

    def __init__(self, rule: Rule, session: Session, settings: DriftSettings, budget: int) -> None:
        self._rule, self._session, self._settings = rule, session, settings
        self.left, self.agreement = budget, float("nan")
        self._rng = np.random.default_rng(session.generator.initial_seed() % 2**32)
        rows = len(session.rows.inputs) * rule.views(session.rows.n_classes, True)
        self._memories = [
            _Memory(layer, layer.device, settings.kept(rows)) for layer in session.network.layers
        ]
        self._alignments: dict[int, tuple[torch.Tensor, torch.Tensor] | None] = {}
        self._trained_by: tuple[int, Array, torch.Tensor] | None = None
        for layer in session.network.layers:
            layer.seen = self._see

    def _see(self, layer: PhysicalLayer, drives: Array, answers: Array) -> None:
        """Keep some of the rows."""
        masks, memory = layer.encoder.masks, self._memories[layer.index]
        new = _Rows(
            self._rng.random(len(drives) // masks),
            drives.reshape(-1, masks, drives.shape[1]),
            answers.reshape(-1, masks, answers.shape[1]),
            layer.alignment,
        )
        memory.recent = new.joined(memory.recent, memory.count)

    def measured(self, index: int, inputs: Array, features: torch.Tensor) -> None:
        """Take note of what the layer in training is trained by; see `Watch.measured`."""
        self._trained_by = index, inputs, features

    def turn(self, device: Device) -> None:
        """Take note of the end of the time between two looks."""
        for one in self._memories:
            if one.device is device:
                one.newest()

    # -- reactions -----------------------------------------------------------------------------

    def refit(self, device: Device) -> bool | None:
        """Measure kept rows and fit what stands behind the device to what it answers now.

        Layer by layer, the features of now are mapped to those of the training by `feature_map`:
        no labels are needed, and stored answers, weights and whatever else was learned stay true.

        Returns
        -------
        bool or None
            Whether that is enough; None if the budget does not pay for it.
        """
        kept = [(m, m.newest()) for m in self._memories if m.device is device]
        known = [(memory, rows) for memory, rows in kept if rows is not None]
        if not known or not self._pay(sum(rows.drives[..., 0].size for _, rows in known)):
            return None
        found = []
        for memory, rows in known:
            layer = memory.layer
            with row_context(layer=layer.index):
                drives = rows.drives.reshape(-1, rows.drives.shape[2])
                answers = device.measure(drives, purpose="train")
            now, then = _scaled(layer, answers), rows.then(layer)
            before, after = agreement(now, then)
            # Where nothing can be learned from the rows, the features stay as they come.
            self._alignments[layer.index] = None
            if after > before:
                A, c = (torch.from_numpy(part).float() for part in feature_map(now, then))
                self._alignments[layer.index] = A, c
            memory.recent = None
            found.append(max(before, after))
            n, m = sorted(now.shape)
            self._session.tally.add(2 * (n * n * m + 10 * n**3))
        self.agreement = min(found)
        self.align()
        return self.agreement >= self._settings.enough

    def retrain(self, device: Device) -> bool | None:
        """Measure the training rows of the last layer anew and train it on, from where it is.

        The layers before it must have been mended by a refit: their features are its inputs.

        Returns
        -------
        bool or None
            True; None if nothing could be done.
        """
        rule, session = self._rule, self._session
        if self._trained_by is None or not isinstance(rule, LocalRule):
            return None
        index, inputs, features = self._trained_by
        memory, layer = self._memories[index], session.network.layers[index]
        below = any(one.device is device for one in self._memories[:index])
        if below and not self.agreement >= self._settings.enough:
            return None
        cost = features[..., 0].numel() * layer.encoder.masks
        if memory.device is not device or not self._pay(cost):
            return None
        self._alignments[index] = layer.alignment = None
        memory.known = memory.recent = None
        n = session.rows.n_classes
        # In place: the schedule that goes on has these features, too.
        features[...] = rule.measure(layer, inputs, n, "train", first=index == 0)
        if layer.weights and type(rule).gradients is LocalRule.gradients:
            rule.fit_layer(session, index, features, lambda: {})
        elif layer.weights:
            brief = replace(session.settings, epochs=self._settings.epochs)
            briefly = replace(session, settings=brief)
            descent = Descent(rule, briefly, layer)
            for epoch in range(brief.epochs):
                for batch in batches(briefly):
                    descent.step(epoch, features[batch], session.rows.targets[batch])
        session.watch.changes += 1
        return True

    def recalibrate(self, device: Device, watch: DriftWatch) -> bool | None:
        """Measure the calibrations around the device anew; enough if the probes are as before."""
        if not self._pay(recalibrating(device) + self._settings.probes):
            return None
        for one in calibrated(device):
            recalibrate(one, self._settings.calibrations)
        for memory in self._memories:
            if memory.device is device:
                self._alignments[memory.layer.index] = memory.recent = None
        self.align()
        return not watch.look().drifted

    def reaction(self, name: str, device: Device, watch: DriftWatch) -> Any:
        """Return the reaction of that name, as `DriftGuard` takes it."""

        def react(report: DriftReport) -> bool | None:
            if name == "recalibrate":
                return self.recalibrate(device, watch)
            return self.refit(device) if name == "refit" else self.retrain(device)

        return None if name == "stop" else react

    # -- what they share -----------------------------------------------------------------------

    def align(self) -> None:
        """Hand the maps to the layers, where the device is in its place."""
        for one in self._memories:
            if one.layer.device is one.device and one.layer.index in self._alignments:
                one.layer.alignment = self._alignments[one.layer.index]

    def close(self) -> None:
        """Look on no longer."""
        for layer in self._session.network.layers:
            layer.seen = None

    def _pay(self, queries: int) -> bool:
        """Return whether so many queries, and a new start of the probes, are in the budget."""
        queries += self._settings.probes * self._settings.repeats
        if queries > self.left:
            return False
        self.left -= queries
        return True


def _scaled(
    layer: PhysicalLayer,
    answers: Array,
    alignment: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> Array:
    """Return answers in the scaling of the layer's features, in double precision."""
    columns = np.concatenate(layer.columns(answers), axis=1).astype(float)
    n = columns.shape[1]
    found: Array = (columns - layer.mean_[:n]) * layer.scale_[:n]
    if alignment is None:
        return found
    A, c = (part.numpy() for part in alignment)
    return found @ A + c
