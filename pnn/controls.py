"""Controls: what stands in the device's place, so that a user sees what the device adds.

Each control is a device like any other, with the same drives and the same width, and goes
through the same network, rule and tuning. What differs between the arms is only the box.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from devices import Device, DeviceSpec
from pnn.layer import PhysicalLayer
from simulators.digital import RandomFeatures

__all__ = [
    "CONTROLS",
    "LAGS",
    "SANITY",
    "AffineStandIn",
    "Bypass",
    "EchoState",
    "Shuffled",
    "Zeroed",
    "fit_linear",
    "lagged",
    "random_features",
    "stand_in",
]

Array = NDArray[Any]

#: The controls by name, each with what takes the device's place, in words.
CONTROLS = {
    "linear": "a linear model on the raw input",
    "bypassed": "the drive itself",
    "affine": "the device's affine map",
    "matched_digital": "random digital features of the same width",
    "shuffled": "answers of the device to other drives, drawn at random",
    "zeroed": "nothing at all",
}

#: Steps of a sequence that the control ``linear`` sees at once.
LAGS = 20

#: Controls that show whether the figures can be believed: no better than chance, or something
#: else than the answers has been learned from.
SANITY = ("shuffled", "zeroed")


class Bypass(Device):
    """The drive stands in for the answer, padded with zeros or cut to the answer's width."""

    def __init__(self, spec: DeviceSpec) -> None:
        self.spec = _digital(spec, "bypassed")

    def _measure(self, drives: Array) -> Array:
        answers = np.zeros((len(drives), self.spec.n_outputs))
        n = min(drives.shape[1], self.spec.n_outputs)
        answers[:, :n] = drives[:, :n]
        return answers

    def forward(self, drives: Any) -> Any:
        """Return the same of a torch tensor, differentiable by torch."""
        room = self.spec.n_outputs - self.spec.n_inputs
        return torch.nn.functional.pad(drives, (0, room))  # a negative width cuts


class AffineStandIn(Device):
    """An affine map: answers = drives A^T + b, A of shape (n_outputs, n_inputs)."""

    def __init__(self, spec: DeviceSpec, matrix: Array, offset: Array) -> None:
        self.spec = replace(
            _digital(spec, "affine"),
            n_outputs=spec.n_outputs,
            output_dtype=np.result_type(matrix, float).name,
        )
        self._transposed, self._offset = np.ascontiguousarray(matrix.T), offset
        self.multiply_adds = matrix.size

    def _measure(self, drives: Array) -> Array:
        return drives @ self._transposed + self._offset

    def forward(self, drives: Any) -> Any:
        """Return the same of a torch tensor, differentiable by torch."""
        matrix, offset = torch.from_numpy(self._transposed), torch.from_numpy(self._offset)
        return drives.to(matrix.dtype) @ matrix + offset


class Shuffled(Device):
    """Answers that were measured, but to other drives: any one of them for any drive."""

    def __init__(self, spec: DeviceSpec, answers: Array, seed: int) -> None:
        self.spec = replace(
            _digital(spec, "shuffled"), n_outputs=spec.n_outputs, output_dtype=spec.output_dtype
        )
        self._answers, self._seed = answers, seed

    def _open(self) -> None:
        self._rng = np.random.default_rng(self._seed)

    def _measure(self, drives: Array) -> Array:
        return self._answers[self._rng.integers(len(self._answers), size=len(drives))]

    def forward(self, drives: Any) -> Any:
        """Return zeros, whose derivative is that of answers that do not depend on the drive."""
        kind = torch.complex128 if self.spec.is_complex else torch.float64
        return torch.zeros(len(drives), self.spec.n_outputs, dtype=kind) + 0 * drives.sum()


class Zeroed(Bypass):
    """No answer at all: zeros."""

    def __init__(self, spec: DeviceSpec) -> None:
        self.spec = _digital(spec, "zeroed")

    def _measure(self, drives: Array) -> Array:
        return np.zeros((len(drives), self.spec.n_outputs))

    def forward(self, drives: Any) -> Any:
        """Return zeros."""
        return 0 * super().forward(drives)


class EchoState(Device):
    """Random digital features with memory: x(t) = tanh(0.9 R x(t-1) + A v(t) + b).

    R is normal with the spectral radius 1, v the drives on [-1, 1] (Jaeger, GMD Report 148,
    2001); the state is kept from row to row until `reset`.
    """

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        self.spec = replace(_digital(spec, "matched_digital"), memory=True)
        rng, n = np.random.default_rng(seed), self.spec.n_outputs
        loop = rng.standard_normal((n, n))
        self._loop = 0.9 * loop / np.abs(np.linalg.eigvals(loop)).max()
        self._matrix = rng.standard_normal((spec.n_inputs, n)) / np.sqrt(spec.n_inputs)
        self._offset = 0.2 * rng.standard_normal(n)
        self.multiply_adds = self._loop.size + self._matrix.size

    def _open(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._state = np.zeros(self.spec.n_outputs)

    def _measure(self, drives: Array) -> Array:
        low, high = self.spec.limits
        inputs = (2 * (drives - low) / (high - low) - 1) @ self._matrix + self._offset
        answers = np.empty_like(inputs)
        for row, given in enumerate(inputs):
            self._state = answers[row] = np.tanh(self._loop @ self._state + given)
        return answers


def lagged(X: Array, n: int) -> Array:
    """Return the last `n` steps of a sequence side by side, (rows, n * features).

    Before the beginning, there are zeros.
    """
    padded = np.concatenate([np.zeros((n - 1, X.shape[1])), X])
    return np.hstack([padded[n - 1 - k : len(padded) - k] for k in range(n)])


def random_features(spec: DeviceSpec, seed: int) -> RandomFeatures:
    """Return random digital features; a complex answer is matched by two of them."""
    return RandomFeatures(spec=_digital(spec, "matched_digital"), seed=seed)


def stand_in(name: str, layer: PhysicalLayer, seed: int) -> Device:
    """Return the device that takes the place of a trained layer's device in a control."""
    spec = layer.device.spec
    if name == "bypassed":
        return Bypass(spec)
    if name == "affine":
        return AffineStandIn(spec, *layer.affine.solve())
    if name == "shuffled":
        return Shuffled(spec, layer.sample, seed)
    if name == "zeroed":
        return Zeroed(spec)
    return EchoState(spec, seed) if spec.memory else random_features(spec, seed)


def fit_linear(
    X: Array,
    y: Array,
    X_validation: Array,
    y_validation: Array,
    *,
    regression: bool,
) -> Any:
    """Fit the control ``linear``: standardised logistic regression (ridge for regression).

    The strength is chosen on the validation rows; the model is then fitted on all rows.
    """
    models = [
        make_pipeline(
            StandardScaler(),
            Ridge(alpha=1 / strength)
            if regression
            else LogisticRegression(C=strength, max_iter=2000),
        )
        for strength in (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    ]
    scores = [model.fit(X, y).score(X_validation, y_validation) for model in models]
    best = models[int(np.argmax(scores))]
    return best.fit(np.vstack([X, X_validation]), np.concatenate([y, y_validation]))


def _digital(spec: DeviceSpec, name: str) -> DeviceSpec:
    """Return the spec of a stand-in: same drives and width, nothing physical about it."""
    return DeviceSpec(
        name=f"{name} for {spec.name}",
        n_inputs=spec.n_inputs,
        n_outputs=spec.n_outputs * (2 if spec.is_complex else 1),
        low=spec.low,
        high=spec.high,
        domain=spec.domain,
        input_unit=spec.input_unit,
    )
