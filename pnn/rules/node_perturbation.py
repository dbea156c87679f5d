"""Node perturbation: the derivative along a random direction, from two more answers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from pnn.layer import PhysicalLayer
from pnn.rules.perturbing import PerturbingRule
from pnn.rules.projected import ProjectedRule

__all__ = ["NodePerturbation"]


class NodePerturbation(ProjectedRule, PerturbingRule):
    """Local losses, and forward gradients through the device (Ren et al., arXiv:2210.03310).

    Every layer has a loss of its own, the cross-entropy of softmax(relu(h) M); no error crosses
    layers. For a random direction e of signs and a small step s,

        dL/du = ((D(u + s e) - D(u - s e)) / 2 s . dL/dy) e,

    which is right on the average, and goes on into the encoder exactly. Three queries per sample,
    layer and update. For drives that can be varied continuously.

    Parameters
    ----------
    step, encoder_rate
        See `PerturbingRule`.
    """

    name: ClassVar[str] = "node-perturbation"
    reported: ClassVar[str] = (
        "MNIST and CIFAR-10 as backpropagation does (arXiv:2210.03310, local MLP-Mixer)"
    )
    works_on: ClassVar[str] = "devices with few inputs whose drives vary continuously, low noise"
    vjp_rows: ClassVar[int] = 2
    local: ClassVar[bool] = True

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: NDArray[Any],
        answers: NDArray[Any],
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the derivative along a random direction, times the direction."""
        signs = self.rng.choice([-1.0, 1.0], drives.shape)
        both = np.concatenate(self.aside(layer, drives, signs))
        up, down = np.split(layer.ask(both, "train"), 2)
        return along(layer, signs, (up - down) / (2 * self.step), grad), None


def along(
    layer: PhysicalLayer, directions: NDArray[Any], slope: NDArray[Any], grad: torch.Tensor
) -> torch.Tensor:
    """Return (slope . dL/dy) e for directions e in units of the drives' range."""
    slopes = torch.from_numpy(slope)
    each = (slopes.conj() * grad).real if slopes.is_complex() else slopes * grad
    low, high = layer.device.spec.limits
    return each.sum(dim=1, keepdim=True) * torch.from_numpy(directions / (high - low))
