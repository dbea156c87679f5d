"""Dual propagation: activity and error settle at once in pairs of nodes."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from devices import Nudgeable
from pnn.rules.nudging import NudgingRule

__all__ = ["DualPropagation"]


class DualPropagation(NudgingRule):
    """Mean and difference of paired nodes are activity and error (Hoier et al., arXiv:2302.01228).

    Every node is a pair s(+), s(-): the layer above is driven by the mean of a pair, and pulls the
    two halves apart by the difference of its own. The outputs' halves are pushed by -beta dL/dy and
    its opposite. At rest, with m the means,

        dL/dW_k = -lim m_{k-1}^T (s_k(+) - s_k(-)) / 2 beta,

    from one relaxation, where equilibrium propagation takes two, and without a bias from feedback
    into the activity. The force is held at its value in the free state. Trains what is inside the
    device, the readout, and on request the encoder. Two queries per sample, layer and update.

    Parameters
    ----------
    nudge, encoder_rate
        See `NudgingRule`.
    """

    name: ClassVar[str] = "dual-propagation"
    reported: ClassVar[str] = "as backpropagation, ImageNet 32x32 included (arXiv:2302.01228)"
    works_on: ClassVar[str] = (
        "devices whose nodes are pairs that settle together, such as `sim:dyadic-network`; refused "
        "elsewhere"
    )
    vjp_rows: ClassVar[int] = 1
    dyadic: ClassVar[bool] = True
    needed: ClassVar[str] = (
        "a device whose nodes are pairs, of which the means act upwards and the differences "
        "downwards (devices.Nudgeable with dyadic=True)"
    )
    suited: ClassVar[str] = "sim:dyadic-network"

    def states(
        self, device: Nudgeable, drives: NDArray[Any], forces: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Relax once, and return both halves."""
        pairs = device.relax(drives, forces, purpose="train")
        return pairs[:, 0], pairs[:, 1]
