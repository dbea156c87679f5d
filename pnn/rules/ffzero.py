"""FFzero: local losses against class prototypes, and directional derivatives."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from devices.checks import number
from pnn.layer import PhysicalLayer, Weights
from pnn.rules.node_perturbation import along
from pnn.rules.perturbing import PerturbingRule

__all__ = ["FFZero"]


class FFZero(PerturbingRule):
    """Prototypes in every layer, and forward passes alone (Ketelaar et al., arXiv:2603.24790).

    Every layer has fixed random unit vectors p_c, one for each class, and the loss

        L = cross-entropy of softmax(sharpness cos(h, p_c));

    no error crosses layers. The directional derivative along random signs e is one-sided,

        dL/du = ((D(u + s e) - D(u)) / s . dL/dy) e,

    which is right on the average, and goes on into the encoder exactly. At the end of a range the
    step is s (e + 1) or s (e - 1), inwards, and still weighed by e: what is added to it does not
    depend on e and averages out. The scores of the layers are summed. Two queries per sample,
    layer and update. The paper perturbs the weights of digital layers; that the drives are
    perturbed, and that the digital W behind the device is trained by its gradient, is our reading
    for a device.

    Parameters
    ----------
    sharpness : float
        Slope of the softmax by the cosine.
    step, encoder_rate
        See `PerturbingRule`.
    """

    name: ClassVar[str] = "ffzero"
    reported: ClassVar[str] = "no figure at hand (digital networks, a simulated photonic one)"
    works_on: ClassVar[str] = "devices with few inputs whose drives vary continuously, low noise"
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    vjp_rows: ClassVar[int] = 1
    local: ClassVar[bool] = True

    def __init__(
        self, sharpness: float = 10.0, step: float = 0.05, encoder_rate: float = 0.1
    ) -> None:
        super().__init__(step, encoder_rate)
        self.sharpness = number(self.name, "sharpness", sharpness, 0.1, 1000.0)

    def start(
        self, layer: PhysicalLayer, n_outputs: int, last: bool, generator: torch.Generator
    ) -> Weights:
        """Return W, b, and the prototypes P."""
        weights = super().start(layer, n_outputs, False, generator)
        P = torch.randn(layer.width, n_outputs, generator=generator)
        return weights | {"P": normalize(P, dim=0)}

    def read(self, weights: Weights, handed_on: torch.Tensor) -> torch.Tensor:
        """Return sharpness cos(h, p_c)."""
        return self.sharpness * normalize(handed_on, dim=1) @ weights["P"]

    def multiply_adds(self, n_features: int, width: int, n_classes: int) -> int:
        """Return the multiply-adds of W and P."""
        return width * (n_features + n_classes)

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: NDArray[Any],
        answers: NDArray[Any],
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the derivative along a random direction, times the direction."""
        # Signs stay random at the ends of a range: a fixed one would correlate with all others.
        signs = self.rng.choice([-1.0, 1.0], drives.shape)
        stepped, _ = self.aside(layer, drives, signs)
        slope = (layer.ask(stepped, "train") - answers) / self.step
        return along(layer, signs, slope, grad), None
