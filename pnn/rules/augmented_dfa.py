"""Augmented direct feedback alignment: any function in the place of the derivative."""

from __future__ import annotations

from typing import ClassVar

import torch

from devices.checks import number
from pnn.rules.feedback import FeedbackRule
from pnn.training import Session

__all__ = ["AugmentedDFA"]


class AugmentedDFA(FeedbackRule):
    """Feedback without the device's law (Nakajima et al., Nat. Commun. 13, 7847 (2022)).

        dL/du = F e * g(v),    g(v) = sum_k p_k sin(k pi v) + q_k cos(k pi v),    k = 0 ... 4,

    with F normal and fixed, and g a random Fourier series that need not be like the derivative of
    the device (shown on an optoelectronic reservoir, whose non-linearity is element-wise). It
    works as far as g goes along with that derivative; p_0 = 0, q_0 = 1 here, so that it does on
    the average. See `FeedbackRule` for the rest.

    Parameters
    ----------
    terms : float
        Deviation of the other p_k and q_k; 0 is feedback alignment with a linear law.
    encoder_rate : float
        See `BackwardRule`.
    """

    name: ClassVar[str] = "augmented-dfa"
    reported: ClassVar[str] = "no figure at hand (optoelectronic deep reservoir)"
    works_on: ClassVar[str] = (
        "element-wise devices, by any law; its encoder may do harm before scrambling ones"
    )

    def __init__(self, terms: float = 0.3, encoder_rate: float = 0.03) -> None:
        super().__init__(encoder_rate)
        self.terms = number(self.name, "terms", terms, 0.0)

    def prepare(self, session: Session) -> None:
        """Draw the projections and the function."""
        super().prepare(session)
        self.p, self.q = self.terms * torch.randn(
            2, 4, generator=session.generator, dtype=torch.float64
        )

    def derivative(self, v: torch.Tensor) -> torch.Tensor:
        """Return g(v)."""
        angle = torch.pi * v[..., None] * torch.arange(1, 5)
        return 1 + angle.sin() @ self.p + angle.cos() @ self.q
