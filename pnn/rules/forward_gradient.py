"""Forward gradients of the whole network's loss."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from pnn.rules.perturbing import InjectedRule

__all__ = ["ForwardGradient"]


class ForwardGradient(InjectedRule):
    """The loss's derivative along random signs, times these (Baydin et al., arXiv:2202.08587).

    The forward gradient in all layers at once, with respect to activities instead of
    weights as Ren et al., arXiv:2210.03310, and by finite differences, since a device has no
    forward mode: with signs e on all drives of the network and a small step s,

        dL/du = (L(u + s e) - L(u - s e)) / 2 s  e,

    which goes on exactly into the encoder, and through it into the readout before. The
    undisturbed pass trains with the others. Three queries per sample, layer and update.

    Parameters
    ----------
    step, encoder_rate
        See `PerturbingRule`.
    """

    name: ClassVar[str] = "forward-gradient"
    reported: ClassVar[str] = "no figure at hand (digital networks)"
    works_on: ClassVar[str] = (
        "devices with few inputs in all, whose drives vary continuously; noisier with each layer"
    )
    pattern: ClassVar[tuple[int, ...]] = (0, 1, -1)
    copies: ClassVar[int] = 3

    def draw(self, index: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return random signs."""
        return self.rng.choice([-1.0, 1.0], shape)
