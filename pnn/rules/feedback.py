"""Rules that project the output's error to the drives, past the devices."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cosine_similarity

from devices import differentiable_of
from pnn.layer import PhysicalLayer
from pnn.passage import vjp_of
from pnn.rules.backward import BackwardRule
from pnn.rules.base import RuleClass
from pnn.training import Session

__all__ = ["FeedbackRule", "ScramblingWarning", "one_input_share"]

Array = NDArray[Any]

#: Share of an output's linear answer that comes from one input, below which a device scrambles.
_ELEMENT_WISE = 0.9


class ScramblingWarning(UserWarning):
    """Each answer of a device depends on many inputs; feedback alignment asks for one."""


class FeedbackRule(BackwardRule):
    """Base of the feedback alignment family: the error of the output goes to each drive directly.

    With e = dL/dh of the last layer, and F of shape (n_inputs, n_outputs of the network),

        dL/du = F e * g(v),

    where g, an element-wise function of the drive v on [-1, 1], stands in the place of the device's
    derivative. It goes on exactly into the encoder, and through it into the readout before; the
    last readout descends its own gradient. One query per sample, layer and update.

    That it works at all is due to alignment: the forward weights come to agree with F. This asks
    for devices that act on each drive by itself. Where every answer mixes all drives, in other
    ways for each sample, nothing can align, and a trained encoder is worse than an untrained one;
    a `ScramblingWarning` says so. Where the last device offers its derivatives, the history has
    the `alignment`, the mean cosine between this and the true gradient by its drives (first batch
    of an epoch): 0 is chance. Devices with memory are refused, as by every rule for single rows.
    """

    rule_class: ClassVar[RuleClass] = RuleClass.LAW

    @abstractmethod
    def derivative(self, v: torch.Tensor) -> torch.Tensor:
        """Return g(v), in the place of the device's derivative."""

    def prepare(self, session: Session) -> None:
        """Draw the projections; look at what was measured for how the devices mix."""
        n_outputs = session.rows.n_classes or 1
        self.layers = session.network.layers
        self.cosines: list[float] = []
        self.feedback = [
            torch.randn(layer.device.spec.n_inputs, n_outputs, generator=session.generator).double()
            / n_outputs**0.5
            for layer in self.layers
        ]
        for layer in self.layers:
            share = one_input_share(layer)
            if share < _ELEMENT_WISE:
                warnings.warn(
                    f"rule {self.name!r} is for devices that act on each drive by itself; of the "
                    f"linear answer of {layer.device.spec.name}, {share:.0%} comes from one input "
                    "per output. Compare with train=['readout']: the encoder may be harmed",
                    ScramblingWarning,
                    stacklevel=2,
                )

    def loss(self, said: list[torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """Return the loss, and keep the error of the output."""
        loss = super().loss(said, targets)
        (self.error,) = torch.autograd.grad(loss, said[-1], retain_graph=True)
        return loss

    def project(self, index: int, unit: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
        """Return F e, (rows, n_inputs)."""
        return error @ self.feedback[index].T

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: Array,
        answers: Array,
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return F e * g(v)."""
        low, high = layer.device.spec.limits
        v = torch.from_numpy(2 * (drives - low) / (high - low) - 1)
        error = self.error.double().repeat_interleave(layer.encoder.masks, dim=0)
        found = self.project(index, v, error) * self.derivative(v)
        model = differentiable_of(layer.device)
        if model is not None and not self.cosines and index + 1 == len(self.layers):
            # Here alone is `grad` the true one: below, it has come through a substitute.
            true, _ = vjp_of(model, drives, grad)
            span = torch.from_numpy(high - low)
            self.cosines.append(float(cosine_similarity(found * span, true * span).mean()))
        return found, None

    def refresh(self, session: Session, epoch: int) -> dict[str, float]:
        """Tell how well the feedback is aligned."""
        told = {"alignment": self.cosines[0]} if self.cosines else {}
        self.cosines = []
        return told


def one_input_share(layer: PhysicalLayer) -> float:
    """Return the share of a device's linear answers that comes from one input for each output.

    By power, of the affine map that fits the training rows best, inputs in units of their
    deviation, so that what is said of a drive that hardly varies counts for little;
    1 for a device that acts on each drive by itself, also where it answers with some power of it.
    """
    matrix, _ = layer.affine.solve()
    sums, n = layer.affine.state()["uu"], layer.device.spec.n_inputs
    count = max(layer.affine.rows, 1)
    variance = np.diag(sums)[:n] / count - (sums[n, :n] / count) ** 2
    power = np.abs(matrix) ** 2 * np.maximum(variance, 0.0)
    total = float(power.sum())
    return float(power.max(axis=1).sum()) / total if total > 0 else 1.0
