"""Physics-aware training: measured answers forward, a fitted twin backward."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray

from devices.checks import whole
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.passage import vjp_of
from pnn.rules.backward import BackwardRule
from pnn.rules.base import RuleClass
from pnn.rules.cost import Cost
from pnn.rules.twins import TwinOptions, Twins
from pnn.training import Session, Training
from pnn.twin import Kind

__all__ = ["PhysicsAware"]


class PhysicsAware(BackwardRule):
    """Backpropagation through a twin (Wright et al., Nature 601, 549 (2022), arXiv:2104.13386).

    The loss is that of the measured answers y = D(u); in the place of the device's derivative
    stands that of a twin T, fitted to rows that went through the device:

        dL/du = (dT/du)^T dL/dy.

    The twin begins with one pass of the training rows and `twin_rows` rows around them, and is
    fitted anew to the newest rows as training goes on, which costs no queries. One query per
    sample, layer and update.

    Parameters
    ----------
    twin_rows, spread, kind
        See `pnn.rules.twins.TwinOptions`.
    refit : int
        Epochs between two fits.
    encoder_rate : float
        See `BackwardRule`.
    """

    name: ClassVar[str] = "physics-aware"
    reported: ClassVar[str] = (
        "vowels 93 % (second harmonic), MNIST 97 % (and digital), 87 % (plate; arXiv:2104.13386)"
    )
    works_on: ClassVar[str] = (
        "devices that a twin can follow; not where memory or strong noise hide the law"
    )
    rule_class: ClassVar[RuleClass] = RuleClass.TWIN

    def __init__(
        self,
        twin_rows: int = 1000,
        spread: float = 0.1,
        kind: Kind = "network",
        refit: int = 5,
        encoder_rate: float = 0.1,
    ) -> None:
        super().__init__(encoder_rate)
        self.options = TwinOptions(self.name, twin_rows=twin_rows, spread=spread, kind=kind)
        self.refit = whole(self.name, "refit", refit, 1)

    def cost(self, n_classes: int) -> Cost:
        """Return, too, the rows around the encoders' drives."""
        return replace(super().cost(n_classes), per_layer=self.options.twin_rows)

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return, too, those of fitting the twins."""
        sizes = {"n_train": n_train, "n_classes": n_classes}
        updates = super().estimate_multiply_adds(network, settings, **sizes)
        refits = (settings.epochs - 1) // self.refit
        return updates + self.options.multiply_adds(network, n_train, refits)

    def prepare_rows(self, network: PhysicalNetwork) -> int:
        """Return the rows around the encoders' drives."""
        return self.options.queries(network)

    def learn(self, session: Session) -> None:
        """Train, while the twins look on."""
        self.twins = Twins(session, self.options)
        with self.twins.looking_on():
            super().learn(session)

    def prepare(self, session: Session) -> None:
        """Fit the twins."""
        self.twins.explore()
        self.twins.fit()

    def refresh(self, session: Session, epoch: int) -> dict[str, float]:
        """Fit the twins anew to the newest rows."""
        if (epoch + 1) % self.refit == 0 and epoch + 1 < session.settings.epochs:
            self.twins.fit()
        return {}

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: NDArray[Any],
        answers: NDArray[Any],
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return (dT/du)^T dL/dy."""
        return vjp_of(self.twins[index], drives, grad)
