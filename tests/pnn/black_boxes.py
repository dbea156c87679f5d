"""Devices and small data for the tests of networks, rules and runs."""

from __future__ import annotations

import functools
import sys
from typing import Any, ClassVar

import numpy as np
import torch

from devices import Device, DeviceError, DeviceSpec, Programmable
from pnn.data import Dataset, load
from pnn.rules import RULES, RuleClass
from pnn.rules.nudging import NudgingRule
from simulators import DyadicNetwork, EnergyNetwork


class Box(Device):
    """Interference of all inputs, |exp(i pi v) M|^2, v the drives on [0, 1]; complex without | |.

    Keeps what it was driven with in `rows` and the hooks that were called in `calls`. It dies
    for good after `dies_after` rows.
    """

    made: ClassVar[list[Box]] = []

    def __init__(
        self,
        n_inputs: int = 8,
        n_outputs: int = 32,
        *,
        dies_after: int | None = None,
        seed: int = 0,
        **spec: Any,
    ) -> None:
        self.spec = DeviceSpec(n_inputs=n_inputs, n_outputs=n_outputs, **{"name": "box"} | spec)
        self.matrix = np.random.default_rng(seed).standard_normal((n_inputs, n_outputs, 2))
        self.dies_after = dies_after
        self.rows = np.empty((0, n_inputs))
        self.calls: list[str] = []
        self.made.append(self)

    def _open(self) -> None:
        self.calls.append("open")

    def _close(self) -> None:
        self.calls.append("close")

    def _safe(self) -> None:
        self.calls.append("safe")

    def _measure(self, drives: np.ndarray) -> np.ndarray:
        left = len(drives) if self.dies_after is None else self.dies_after - len(self.rows)
        kept = drives[:left]
        self.rows = np.concatenate([self.rows, kept])
        if left < len(drives):
            raise DeviceError("box: the lamp went out", rows=self.respond(kept))
        return self.respond(kept)

    def respond(self, drives: np.ndarray) -> np.ndarray:
        low, high = self.spec.limits
        unit = (drives - low) / (high - low)
        matrix = self.matrix[..., 0] + 1j * self.matrix[..., 1]
        field = np.exp(1j * np.pi * unit) @ matrix / np.sqrt(len(matrix))
        return field if self.spec.is_complex else np.abs(field) ** 2


class Peeked(AssertionError):
    """Somebody reached for more than the public contract."""


CONTRACT = frozenset(
    {"spec", "is_open", "ledger", "state_id", "recipe"}
    | {"open", "close", "safe", "reset", "measure", "acquire"}
)


class BlackBox(Box):
    """A `Box` that raises when anything but the public contract is touched from outside.

    Its hooks work only when the contract calls them; parameters, gradients and whatever else one
    might ask a model for are met with `Peeked`, which no ``getattr`` default swallows.
    """

    def __getattribute__(self, name: str) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__")
        inside = caller in ("devices.device", __name__)
        if not (inside or name in CONTRACT or (name.startswith("__") and name.endswith("__"))):
            raise Peeked(f"{caller} reached for {name!r}")
        return super().__getattribute__(name)


class GlassBox(Programmable, Box):
    """A `Box` that one can see through: `forward`, and a phase per input inside it."""

    def __init__(self, n_inputs: int = 8, n_outputs: int = 32, **options: Any) -> None:
        super().__init__(n_inputs, n_outputs, **options)
        start = np.random.default_rng(1).uniform(0.5, 2.5, n_inputs)
        self._start_parameters(0.0, np.linspace(3.0, 6.0, n_inputs), start)

    def _program(self, values: np.ndarray) -> None:
        pass

    def respond(self, drives: np.ndarray) -> np.ndarray:
        return self.forward(torch.from_numpy(drives)).numpy()

    def forward(self, drives: torch.Tensor, parameters: Any = None) -> torch.Tensor:
        low, high = (torch.from_numpy(np.array(end)) for end in self.spec.limits)
        inside = torch.from_numpy(self.parameters) if parameters is None else parameters
        phases = np.pi * (drives - low) / (high - low) + inside
        matrix = torch.from_numpy(self.matrix[..., 0] + 1j * self.matrix[..., 1])
        field = torch.exp(1j * phases) @ matrix / np.sqrt(len(matrix))
        return field if self.spec.is_complex else field.abs() ** 2


#: What else is public about a programmable device, and about one that can be nudged.
NUDGEABLE = frozenset(
    {"parameters", "parameter_low", "parameter_high", "program"}
    | {"dyadic", "n_nodes", "force_limit", "relax", "contrast"}
)


class _Nudged:
    """Raises when networks or rules touch more than the public contract of a nudgeable device."""

    def __getattribute__(self, name: str) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__")
        known = name in CONTRACT | NUDGEABLE or (name.startswith("__") and name.endswith("__"))
        if str(caller).startswith("pnn.") and not known:
            raise Peeked(f"{caller} reached for {name!r}")
        return super().__getattribute__(name)


class NudgedBox(_Nudged, EnergyNetwork):
    """A network that comes to rest, behind the public contract."""


class NudgedPairs(_Nudged, DyadicNetwork):
    """One with paired nodes."""


def box_for(rule: str, n_inputs: int = 8, n_outputs: int = 32, **options: Any) -> Device:
    """Return the box that offers a rule what its class may ask for, and no more."""
    kind = RULES[rule]
    if issubclass(kind, NudgingRule):
        nudged = NudgedPairs if kind.dyadic else NudgedBox
        return nudged(n_inputs=n_inputs, n_outputs=n_outputs, hidden=12, ideal=True, **options)
    seen_through = kind.rule_class in (RuleClass.GRADIENT, RuleClass.LAW)
    return (GlassBox if seen_through else BlackBox)(n_inputs, n_outputs, **options)


@functools.cache
def digits(n_classes: int = 3, rows: int | None = None) -> Dataset:
    """Digits below `n_classes`, averaged to 4 x 4 pixels."""
    whole = load("digits", pool=2)
    kept = np.flatnonzero(whole.y < n_classes)[:rows]
    return Dataset(
        name="few-digits",
        X=whole.X[kept],
        y=whole.y[kept],
        classes=tuple(str(i) for i in range(n_classes)),
        shape=(4, 4),
    )


@functools.cache
def corners(rows: int = 240) -> Dataset:
    """Points of a square, told apart by the sign of x y: hopeless for anything linear."""
    X = np.random.default_rng(0).uniform(-1, 1, (rows, 2))
    return Dataset(
        name="corners", X=X, y=(X[:, 0] * X[:, 1] > 0).astype(int), classes=("unlike", "alike")
    )


@functools.cache
def slope(rows: int = 120) -> Dataset:
    """Numbers that are a bent function of three features."""
    X = np.random.default_rng(1).uniform(-1, 1, (rows, 3))
    return Dataset(name="slope", X=X, y=X[:, 0] ** 2 + X[:, 1] - X[:, 2], task="regression")
