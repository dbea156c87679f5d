"""Who looks on while a cell trains: learning curves, and media that change meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from devices import Device
from pnn.layer import PhysicalNetwork
from pnn.training import Watch

__all__ = ["Following", "Onlooker"]

Array = NDArray[Any]


@runtime_checkable
class Following(Protocol):
    """A device whose medium changes while a network is trained with it."""

    def follow(self, share: float) -> None:
        """Take note that this share of the training is done."""


class Onlooker(Watch):
    """Tells devices how far a training is, and tests the network at every look.

    Parameters
    ----------
    estimator : PhysicalClassifier
        Is trained while this looks on; a regressor where there is no learning curve.
    devices : sequence of Device
        One for all layers, or one for each.
    X : ndarray of shape (rows, features) or None
        Test rows; None for no learning curve.
    truth : ndarray of shape (rows,)

    Attributes
    ----------
    curve : list of (queries, accuracy)
    seconds, in_device, joules
        What the tests took: wall time, seconds in the device, joules of device and converters.
    """

    def __init__(
        self, estimator: Any, devices: Sequence[Device], X: Array | None, truth: Array
    ) -> None:
        self._estimator, self._devices = estimator, devices
        self._X, self._truth = X, truth
        self.curve: list[tuple[int, float]] = []
        self.seconds = self.in_device = 0.0
        self.joules = np.zeros(2)
        self._is_new = False  # whether the network has learned since the last look
        self._tell(0.0)

    def progress(self, what: str, done: int, total: int) -> None:
        """Turn the progress of the epochs, of all layers or of one, into a share of all."""
        one = re.fullmatch(r"layer (\d+)", what)
        if one is None and what != "all layers":
            return
        self._is_new = True
        before, n = (int(one[1]) - 1, len(self._estimator.network_.layers)) if one else (0, 1)
        self._tell((before + done / total) / n)

    def epoch(self, **metrics: Any) -> None:
        """Measure the test rows through what is trained so far."""
        if self._X is None or not self._is_new:
            return
        began, before = time.perf_counter(), self._spent()
        ledgers = [device.ledger for device in self._devices]
        queries = sum(led.queries["train"] + led.queries["validation"] for led in ledgers)
        right = self._test(self._X)
        if right is not None:
            self.curve.append((queries, right))
            self._is_new = False
        self.seconds += time.perf_counter() - began
        in_device, *joules = self._spent() - before
        self.in_device += in_device
        self.joules += joules

    def _test(self, X: Array) -> float | None:
        """Return the accuracy of the layers that are trained; None before any class has a score."""
        rule, n = self._estimator.rule_, self._estimator.n_classes_
        layers = [layer for layer in self._estimator.network_.layers if layer.weights]
        # A rule may have put models in the places of the devices; it is the devices that count.
        held = [layer.device for layer in layers]
        for i, layer in enumerate(layers):
            layer.device = self._devices[min(i, len(self._devices) - 1)]
        try:
            scores = rule.predict(PhysicalNetwork(layers), X, n, "probe").detach()
        finally:
            for layer, device in zip(layers, held, strict=True):
                layer.device = device
        if bool((scores == scores[:1, :1]).all()):
            return None
        predicted = self._estimator.classes_[scores.argmax(dim=1).numpy()]
        return float(np.mean(predicted == self._truth))

    def _tell(self, share: float) -> None:
        for device in self._devices:
            if isinstance(device, Following):
                device.follow(share)

    def _spent(self) -> Array:
        ledgers = [device.ledger for device in self._devices]
        return np.array(
            [
                sum(sum(ledger.seconds.values()) for ledger in ledgers),
                sum(ledger.joules for ledger in ledgers),
                sum(ledger.conversion_joules for ledger in ledgers),
            ]
        )
