"""In-silico training: train on a twin alone, then transfer to the device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from numpy.typing import NDArray

from calibration import AffineMap
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.passage import vjp_of
from pnn.rules.backward import BackwardRule
from pnn.rules.base import RuleClass
from pnn.rules.cost import Cost
from pnn.rules.twins import TwinOptions, Twins
from pnn.training import Session, Training
from pnn.twin import Kind
from simulators.twins import Twin

__all__ = ["InSilico"]


class InSilico(BackwardRule):
    """Training on twins, then transfer (Wright et al., Nature 601, 549 (2022), arXiv:2104.13386).

    Backpropagation in a network of twins; the device only tests what was learned: the usual way
    before physics-aware training, and its comparison in that paper. The twins are fitted to one
    pass of the training rows through the untrained network, and `twin_rows` rows around them;
    training then asks the twins alone, noise and validation rows included, and its result goes to
    the device as it is. What the twins got wrong is not made up for. One query
    per sample and layer in all, and `twin_rows` for each layer.

    Parameters
    ----------
    twin_rows, spread, kind
        See `pnn.rules.twins.TwinOptions`.
    encoder_rate : float
        See `BackwardRule`. Low, since an encoder that moves far from the rows that the twins know
        learns their errors.
    """

    name: ClassVar[str] = "in-silico"
    reported: ClassVar[str] = (
        "no figure at hand (the comparison of physics-aware training, arXiv:2104.13386)"
    )
    works_on: ClassVar[str] = (
        "devices that a twin describes exactly; else what the twin got wrong stays"
    )
    rule_class: ClassVar[RuleClass] = RuleClass.TWIN

    def __init__(
        self,
        twin_rows: int = 1000,
        spread: float = 0.1,
        kind: Kind = "network",
        encoder_rate: float = 0.01,
    ) -> None:
        super().__init__(encoder_rate)
        self.options = TwinOptions(self.name, twin_rows=twin_rows, spread=spread, kind=kind)

    def cost(self, n_classes: int) -> Cost:
        """Return that of one pass and of the rows around it: no update asks the device."""
        return replace(super().cost(n_classes), once=True, per_layer=self.options.twin_rows)

    def estimate(
        self,
        network: PhysicalNetwork,
        settings: Training,
        *,
        n_train: int,
        n_validation: int,
        n_test: int,
        n_classes: int,
    ) -> dict[str, int]:
        """Return the queries of one pass, those around it, and of testing."""
        masks = sum(layer.encoder.masks for layer in network.layers)
        train = n_train * masks + self.options.queries(network)
        return {"train": train, "validation": 0, "test": n_test * masks}

    def estimate_multiply_adds(
        self, network: PhysicalNetwork, settings: Training, *, n_train: int, n_classes: int
    ) -> int:
        """Return, too, those of fitting the twins."""
        sizes = {"n_train": n_train, "n_classes": n_classes}
        updates = super().estimate_multiply_adds(network, settings, **sizes)
        return updates + self.options.multiply_adds(network, n_train)

    def learn(self, session: Session) -> None:
        """Fit twins, train a network of them, and take over what it learned."""
        twins = Twins(session, self.options)
        with twins.looking_on():
            self._start_network(session)
            twins.explore()
        twins.fit()
        with _in_place(twins, session.network.layers):
            super().learn(session)

    def vjp(
        self,
        index: int,
        layer: PhysicalLayer,
        drives: NDArray[Any],
        answers: NDArray[Any],
        grad: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return (dT/du)^T dL/dy of the twin that is in the device's place."""
        return vjp_of(cast("Twin", layer.device), drives, grad)


@contextlib.contextmanager
def _in_place(twins: Twins, layers: list[PhysicalLayer]) -> Iterator[None]:
    """Put the twins in the places of the layers' devices inside the block."""
    before = [(layer.device, layer.affine) for layer in layers]
    try:
        with contextlib.ExitStack() as stack:
            for fit, layer in zip(twins.fits, layers, strict=True):
                layer.device = stack.enter_context(fit.device)
                # The control `affine` is about the device.
                layer.affine = AffineMap(layer.affine.n_inputs, layer.affine.n_outputs)
            yield
    finally:
        for layer, (device, affine) in zip(layers, before, strict=True):
            layer.device, layer.affine = device, affine
            layer.encoder.spec = device.spec
