"""Product feedback alignment: a backward path that learns to be the forward one."""

from __future__ import annotations

from typing import ClassVar

import torch

from devices.checks import number
from pnn.rules.feedback import FeedbackRule
from pnn.training import Session

__all__ = ["ProductFeedback"]


class ProductFeedback(FeedbackRule):
    """Feedback by two matrices, of which one learns (PFA; Li Ji-An & Benna, arXiv:2405.20594).

        dL/du = R B e,    B <- (1 - decay) B - rate (v R)^T e / rows,

    with R, (n_inputs, K), random and fixed, so that R R^T is about 1, and B, (K, outputs), at
    random at first. R B thus learns by the same correlations of input and error as the transposed
    weights of a linear network from the drives to the output, and comes to agree with them without
    their being copied. That the path leads from the output past the device to the drives, and so
    follows the linear part of the device, is our reading. See `FeedbackRule` for the rest.

    Parameters
    ----------
    rate, decay : float
        Of B, for each step.
    encoder_rate : float
        See `BackwardRule`.
    """

    name: ClassVar[str] = "product-feedback"
    reported: ClassVar[str] = "no figure at hand (digital networks)"
    works_on: ClassVar[str] = (
        "element-wise, nearly linear devices; its encoder may do harm before scrambling ones"
    )

    def __init__(self, rate: float = 0.3, decay: float = 0.003, encoder_rate: float = 0.03) -> None:
        super().__init__(encoder_rate)
        self.rate = number(self.name, "rate", rate, 0.0, above=True)
        self.decay = number(self.name, "decay", decay, 0.0, 1.0)

    def prepare(self, session: Session) -> None:
        """Draw the matrices R and B."""
        super().prepare(session)
        self.fixed = []
        for i, feedback in enumerate(self.feedback):
            n, k = len(feedback), 4 * len(feedback)
            R = torch.randn(n, k, generator=session.generator).double() / k**0.5
            self.fixed.append(R)
            self.feedback[i] = 0.1 * R.T @ feedback

    def project(self, index: int, v: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
        """Return R B e, and let B learn."""
        R, B = self.fixed[index], self.feedback[index]
        found = error @ B.T @ R.T
        correlation = (v - v.mean(dim=0)) @ R
        self.feedback[index] = (1 - self.decay) * B - self.rate * correlation.T @ error
        return found

    def derivative(self, v: torch.Tensor) -> torch.Tensor:
        """Return 1."""
        return torch.ones_like(v)
