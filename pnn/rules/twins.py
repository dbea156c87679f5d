"""Twins of the devices, for rules that train through a model fitted to measurements."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from devices import Differentiable
from devices.checks import number, one_of, whole
from pnn.layer import PhysicalNetwork
from pnn.training import Session
from pnn.twin import Kind, TwinFit, fit_twin
from pnn.twin_laws import EPOCHS, HIDDEN, expected_cost
from simulators.twins import LAWS

__all__ = ["TwinOptions", "Twins"]

Array = NDArray[Any]

#: Rows that a twin is fitted to, at the most: the newest ones.
MOST_ROWS = 4096


class TwinOptions:
    """How twins are fitted; part of the options of a rule of the class TWIN.

    Parameters
    ----------
    twin_rows : int
        Queries per layer, beside one pass of the training rows, that a twin is fitted to.
    spread : float
        Standard deviation of those drives about the encoder's, as a share of the range of a
        drive: a twin fitted to the encoder's drives alone knows nothing of the directions in which
        they do not vary, and derivatives point there as well.
    kind : str
        Law of the twin, see `pnn.twin.fit_twin`; ``"auto"`` tries all.
    """

    def __init__(
        self, owner: str, *, twin_rows: int = 1000, spread: float = 0.1, kind: Kind = "network"
    ) -> None:
        self.twin_rows = whole(owner, "twin_rows", twin_rows, 0)
        self.spread = number(owner, "spread", spread, 0.0, 1.0)
        self.kind = cast("Kind", one_of(owner, "kind", kind, get_args(Kind)))

    def queries(self, network: PhysicalNetwork) -> int:
        """Return the queries that the first fit of all twins asks for."""
        return self.twin_rows * len(network.layers)

    def multiply_adds(self, network: PhysicalNetwork, n_train: int, refits: int = 0) -> int:
        """Return about what the first fit of all twins takes, and so many after it."""
        kinds = list(LAWS) if self.kind == "auto" else [self.kind]
        spent = 0.0
        for layer in network.layers:
            spec = layer.device.spec
            sizes = spec.n_inputs, spec.n_outputs * (2 if spec.is_complex else 1)
            rows = min(n_train * layer.encoder.masks + self.twin_rows, MOST_ROWS)
            first = [expected_cost(k, rows, *sizes, hidden=HIDDEN, epochs=EPOCHS) for k in kinds]
            again = [
                expected_cost(k, MOST_ROWS, *sizes, hidden=HIDDEN, epochs=EPOCHS // 10)
                for k in kinds
            ]
            spent += sum(first) + refits * max(again)
        return round(spent)


class Twins:
    """A twin for the device of each layer, fitted to the training rows that went through it."""

    def __init__(self, session: Session, options: TwinOptions) -> None:
        self.session, self.options = session, options
        self.layers = session.network.layers
        self.rng = np.random.default_rng(session.generator.initial_seed())
        self.kept: list[tuple[list[Array], list[Array]]] = [([], []) for _ in self.layers]
        self.fits: list[TwinFit] = []

    def __getitem__(self, index: int) -> Differentiable:
        """Return the model of layer `index`."""
        return self.fits[index].device

    @contextlib.contextmanager
    def looking_on(self) -> Iterator[None]:
        """Keep the training rows that are measured inside the block."""
        for layer, (drives, answers) in zip(self.layers, self.kept, strict=True):

            def tap(
                rows: Array, seen: Array, drives: list[Array] = drives, kept: list[Array] = answers
            ) -> None:
                drives.append(rows)
                kept.append(seen)

            layer.tap = tap
        try:
            yield
        finally:
            for layer in self.layers:
                layer.tap = None

    def explore(self) -> None:
        """Measure rows around the encoders' drives, counted as training rows."""
        n, spread = self.options.twin_rows, self.options.spread
        for layer, (drives, _) in zip(self.layers, self.kept, strict=True):
            if not n:
                continue
            low, high = layer.device.spec.limits
            seen = np.concatenate(drives)
            around = seen[self.rng.integers(len(seen), size=n)]
            if layer.device.spec.domain == "bits":
                flipped = self.rng.random(around.shape) < spread
                rows = np.where(flipped, low + high - around, around)
            else:
                rows = around + spread * (high - low) * self.rng.standard_normal(around.shape)
                rows = np.clip(rows, low, high)
                if layer.device.spec.domain == "codes":
                    rows = np.clip(np.round(rows), np.ceil(low), np.floor(high))
            layer.ask(rows, "train")

    def fit(self) -> None:
        """Fit the twins to the newest rows, from where they are."""
        fits = []
        for i, (layer, kept) in enumerate(zip(self.layers, self.kept, strict=True)):
            drives, answers = (np.concatenate(part)[-MOST_ROWS:] for part in kept)
            kept[0][:], kept[1][:] = [drives], [answers]
            fit = fit_twin(
                drives,
                answers,
                spec=layer.device.spec,
                kind=self.options.kind,
                seed=self.session.generator.initial_seed() % 2**31,
                holdout=0.0,
                start=self.fits[i] if self.fits else None,
                outside="allow",
            )
            self.session.tally.add(fit.multiply_adds_fit)
            fits.append(fit)
        self.fits = fits
