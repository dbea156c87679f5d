"""A linear readout that learns from a stream of rows, each seen once."""

from __future__ import annotations

from typing import ClassVar

import torch

from devices.checks import number
from pnn.layer import PhysicalNetwork, Weights
from pnn.rules.readout import Readout, onehot
from pnn.training import Session, Training

__all__ = ["Streaming"]


class Streaming(Readout):
    """Recursive least squares with forgetting (Plackett, Biometrika 37, 149 (1950)).

    Rows are measured batch by batch, in their order, and no answer is kept: for data that do not
    fit into memory, or a device that drifts. With x = (f, 1), P and R = (W, b) follow each row:

        k = P x / (lambda + x^T P x),   R += k (t - x^T R),   P = (P - k x^T P) / lambda,

    which minimises the squares of all errors so far, that of a row that lies n rows back weighed
    by lambda^n, with ``strength`` times the squares of R. The rows of a batch are taken together,
    with the same result. One query per sample, layer and mask. Encoders are fixed by the rows of
    the first call, scalings by its first batch. `partial_fit` goes on where the last call ended.

    Parameters
    ----------
    forgetting : float
        lambda; 1 forgets nothing, 1 - 1/n about all that lies more than n rows back. Directions
        that the stream does not excite are forgotten as well: keep n well above the number of
        features.
    strength : float
        Of the ridge penalty at the start.
    """

    name: ClassVar[str] = "streaming"
    reported: ClassVar[str] = "no figure at hand (statistics, no network)"
    works_on: ClassVar[str] = (
        "data that do not fit, devices that drift; up to a few thousand features"
    )
    online: ClassVar[bool] = True

    def __init__(self, forgetting: float = 1.0, strength: float = 1e-3) -> None:
        super().__init__()
        self.forgetting = number(self.name, "forgetting", forgetting, 0.9, 1.0, above=True)
        self.strength = number(self.name, "strength", strength, 0.0, above=True)

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return those of following every row."""
        rows = n_train - (settings.washout or 0)
        return 2 * rows * (network.layers[-1].n_features + 1) ** 2

    def learn(self, session: Session) -> None:
        """Follow the rows in their order, from the state that the network is in."""
        rows, watch = session.rows, session.watch
        targets = onehot(rows)
        # The first steps of a sequence are driven and not learned from, where it begins.
        begins = not session.network.layers[-1].weights
        skip = (session.settings.washout or 0) if begins else 0
        for start in range(0, len(rows.inputs), session.settings.batch_size):
            part = slice(start, start + session.settings.batch_size)
            features = self._measure(session, part)
            layer = session.network.layers[-1]
            if not layer.weights:
                n = layer.n_features + 1
                layer.weights = {
                    "W": torch.zeros(n - 1, targets.shape[1], dtype=torch.float64),
                    "b": torch.zeros(targets.shape[1], dtype=torch.float64),
                    "P": torch.eye(n, dtype=torch.float64) / self.strength,
                }
            known = slice(max(0, skip - part.start), None)
            if not len(features[known]):
                continue
            error = self.follow(
                layer.weights, features[known], torch.from_numpy(targets[part][known])
            )
            session.tally.add(2 * len(features) * layer.weights["P"].numel())
            watch.progress("measure (train)", min(part.stop, len(targets)), len(targets))
            watch.epoch(layer=len(session.network.layers) - 1, epoch=1, loss=error)
        watch.checkpoint()

    def _measure(self, session: Session, part: slice) -> torch.Tensor:
        """Return the last layer's features of a batch; a layer that is new is fixed by it."""
        z, features = session.rows.inputs[part], torch.empty(0)
        for i, layer in enumerate(session.network.layers):
            new = not hasattr(layer, "mean_")
            if new:
                if layer.device.spec.memory:
                    layer.device.reset()
                layer.fit_encoder(session.rows.inputs if i == 0 else z)
            raw = layer.raw(z, purpose="train")
            features = (layer.fit_scaling(raw) if new else layer).scaled(raw)
            z = self.pass_on(layer, features)
        return features

    def follow(self, weights: Weights, features: torch.Tensor, targets: torch.Tensor) -> float:
        """Take in a batch; return its mean square error beforehand."""
        n = len(features)
        x = torch.nn.functional.pad(features.double(), (0, 1), value=1.0)
        R = torch.cat([weights["W"], weights["b"][None]])
        error = targets - x @ R
        age = torch.arange(n - 1, -1, -1, dtype=torch.float64)[:, None]
        weigh = self.forgetting ** (age / 2)
        x = weigh * x
        P = weights["P"] / self.forgetting**n
        Px = P @ x.T
        K = torch.linalg.solve(torch.eye(n, dtype=x.dtype) + x @ Px, Px, left=False)
        R = R + K @ (weigh * error)
        P = P - K @ Px.T
        weights |= {"W": R[:-1], "b": R[-1], "P": (P + P.T) / 2}
        return float(error.square().mean())
