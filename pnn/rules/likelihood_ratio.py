"""The likelihood-ratio method: losses under injected noise that is known."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from pnn.rules.perturbing import InjectedRule

__all__ = ["LikelihoodRatio"]


class LikelihoodRatio(InjectedRule):
    """The unified likelihood-ratio estimator (Jiang et al., arXiv:2305.08960), antithetic.

    Normal noise of the deviation s is injected into the drives of all layers. The derivative of
    the mean loss under that noise is E[L e / s], here over pairs of opposite noise:

        dL/du = (L(u + s e) - L(u - s e)) / 2 s  e,    e ~ N(0, 1),

    which goes on exactly into the encoder, and through it into the readout before. Only the
    disturbed passes are made, and the readouts learn from these; the device's own noise is
    unknown and cannot serve. Two queries per sample, layer and update.

    Parameters
    ----------
    step : float
        Deviation s of the noise, as a share of the range of each drive.
    encoder_rate : float
        See `BackwardRule`.
    """

    name: ClassVar[str] = "likelihood-ratio"
    reported: ClassVar[str] = "no figure at hand (digital networks)"
    works_on: ClassVar[str] = (
        "devices with few inputs in all, whose drives vary continuously; noisier with each layer"
    )
    pattern: ClassVar[tuple[int, ...]] = (1, -1)
    copies: ClassVar[int] = 2

    def draw(self, index: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return normal numbers."""
        return self.rng.standard_normal(shape)
