"""How a training is watched for drift, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration import Calibrated, load_calibration, recalibration_queries
from calibration.repeats import no_memory
from devices import Device
from devices.checks import number, one_of, whole
from pnn.layer import PhysicalNetwork
from pnn.rules.base import Rule
from pnn.rules.local import LocalRule
from pnn.training import Training

__all__ = ["REACTIONS", "DriftSettings"]

#: Reactions in the order in which they are tried, from the cheapest.
REACTIONS = ("refit", "retrain", "recalibrate", "stop")

#: Kinds of calibration that know the repeatability, and where they say it.
_REPEATABILITY = {"noise": "noise_std", "consistency": "repeatability"}


@dataclass(frozen=True, kw_only=True)
class DriftSettings:
    """Settings of the looks at probe drives, and of the reactions.

    Parameters
    ----------
    every_epochs, every_queries : int
        Epochs, and queries of a device, from one look to the next; 0: not by these. There is a
        look at the end of the training, too.
    probes : int
        Drives that are measured at each look.
    repeats : int
        Measurements of each probe at the start and after a reaction.
    repeatability : float, path or None
        Standard deviation of one answer, in the device's unit; or a calibration file of the kind
        noise or consistency. None: it is learned from the repeats.
    tolerance, sigmas : float
        See `calibration.DriftWatch`.
    reactions : sequence of {"refit", "retrain", "recalibrate", "stop"}
        What is done about drift; tried in this order whatever the order here, until one is enough.
    share : float
        Of the training rows that a refit measures anew.
    enough : float
        R2 of the refitted features, held out, against those of the training, from which on a
        refit is enough.
    epochs : int
        Of a retraining.
    budget : float
        Queries that all reactions together may spend, as a share of the training queries. What
        exceeds it is not done.
    calibrations : path
        Folder for the files of a recalibration.

    Raises
    ------
    ValueError
        If a value is out of its range, or there is no schedule.
    """

    every_epochs: int = 0
    every_queries: int = 0
    probes: int = 8
    repeats: int = 3
    repeatability: float | str | Path | None = None
    tolerance: float = 0.01
    sigmas: float = 5.0
    reactions: tuple[str, ...] = ("refit",)
    share: float = 0.05
    enough: float = 0.5
    epochs: int = 10
    budget: float = 0.5
    calibrations: str | Path = "calibrations"

    def __post_init__(self) -> None:
        for name in ("every_epochs", "every_queries"):
            whole("drift", name, getattr(self, name), 0)
        if not self.every_epochs and not self.every_queries:
            raise ValueError("drift: say every_epochs or every_queries, from one look to the next")
        for name, least in (("probes", 1), ("repeats", 2), ("epochs", 1)):
            whole("drift", name, getattr(self, name), least)
        for name in ("tolerance", "sigmas", "budget"):
            number("drift", name, getattr(self, name), 0.0)
        number("drift", "share", self.share, 0.0, 1.0, above=True)
        number("drift", "enough", self.enough, -1.0, 1.0)
        for name in self.reactions:
            one_of("drift", "reactions", name, REACTIONS)
        object.__setattr__(self, "reactions", tuple(r for r in REACTIONS if r in self.reactions))

    @classmethod
    def of(cls, given: DriftSettings | Mapping[str, Any] | None) -> DriftSettings | None:
        """Return settings from what an estimator or a configuration has; None for no watch."""
        if given is None or isinstance(given, DriftSettings):
            return given
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(f"drift: {unknown} unknown; it has {list(cls.__dataclass_fields__)}")
        return cls(**given)

    def kept(self, rows: int) -> int:
        """Return how many of so many rows a refit measures: 8 at least."""
        return min(rows, max(8, round(self.share * rows)))

    # -- before anything is driven -------------------------------------------------------------

    def check(self, rule: Rule, network: PhysicalNetwork, settings: Training) -> None:
        """Raise `ValueError` if a reaction, or the watch itself, makes no sense here."""
        for device in network.devices:
            no_memory("drift", device.spec)
            self.repeatability_of(device)
            if "recalibrate" in self.reactions and not calibrated(device):
                raise ValueError(
                    f"drift: {device.spec.name} has no calibration that could be measured anew; "
                    "wrap it as 'calibrated', or leave the reaction 'recalibrate' out"
                )
        plain = (
            isinstance(rule, LocalRule)
            and type(rule).learn is LocalRule.learn
            and type(rule).finish is LocalRule.finish
        )
        if "retrain" in self.reactions and not (plain and settings.schedule == "layerwise"):
            raise ValueError(
                f"drift: rule {rule.name!r} with schedule={settings.schedule!r} is not trained "
                "layer by layer from stored answers, so that no layer can be retrained by itself; "
                "leave the reaction 'retrain' out"
            )
        if "retrain" in self.reactions and self.budget * len(network.layers) <= 1:
            raise ValueError(
                f"drift: budget={self.budget:g} pays for no retraining, which measures the rows of "
                f"one layer of {len(network.layers)} anew; it must be above "
                f"{1 / len(network.layers):.3g}, or leave the reaction 'retrain' out"
            )

    def allowance(self, spent: Mapping[str, int]) -> int:
        """Return how many queries all reactions together may spend; for `spent` see `queries`."""
        return int(self.budget * spent["train"]) if set(self.reactions) - {"stop"} else 0

    def queries(
        self, network: PhysicalNetwork, settings: Training, spent: Mapping[str, int]
    ) -> dict[str, int]:
        """Return what watching and reacting add to a training at the most, by purpose.

        Which reactions the allowance goes to is not known before: each purpose has as much of it
        as it could take.

        Parameters
        ----------
        spent : mapping of str to int
            Queries of the training itself, by purpose.
        """
        allowance, devices = self.allowance(spent), network.devices
        looks = 1
        if self.every_epochs:
            looks += settings.epochs * len(network.layers) // self.every_epochs
        looks *= len(devices)
        if self.every_queries:
            # One while rows are measured may be followed by another one.
            looks += 2 * (spent["train"] + spent["validation"] + allowance) // self.every_queries
        recalibrates = "recalibrate" in self.reactions
        # After a look there may be a reaction, which measures the probes anew.
        anew = self.probes * (self.repeats + recalibrates) * looks
        found = {"probe": self.probes * (looks + len(devices) * self.repeats)}
        found["probe"] += min(allowance, anew)
        if {"refit", "retrain"} & set(self.reactions):
            found["train"] = allowance
        if recalibrates:
            found["calibration"] = min(allowance, looks * max(map(recalibrating, devices)))
        return found

    def repeatability_of(self, device: Device) -> float | NDArray[np.float64] | None:
        """Return the standard deviation of one answer, as far as it is known.

        Raises
        ------
        ValueError
            If the file is no calibration of a kind that knows it, of another device (of which
            the instruments are known while it is open), or out of date.
        """
        given = self.repeatability
        if given is None or isinstance(given, (int, float)):
            return None if given is None else number("drift", "repeatability", given, 0.0)
        try:
            found = load_calibration(given)
        except OSError as error:
            raise ValueError(f"drift: repeatability: {error}") from error
        one_of("drift", f"kind of {given}", found.kind, tuple(_REPEATABILITY))
        if wrong := found.objections(device):
            raise ValueError(
                f"drift: repeatability={str(given)!r} does not apply to {device.spec.name}: "
                f"{'; '.join(wrong)}. Measure it on this device, or leave it out: then it is "
                "learned from the repeats"
            )
        values: NDArray[np.float64] = np.asarray(found[_REPEATABILITY[found.kind]], float)
        return values


def calibrated(device: Device) -> list[Calibrated]:
    """Return the calibrations around a device, the innermost first."""
    found = []
    inner: Device | None = device
    while inner is not None:
        if isinstance(inner, Calibrated):
            found.append(inner)
        inner = getattr(inner, "inner", None)
    return found[::-1]


def recalibrating(device: Device) -> int:
    """Return the queries of measuring all calibrations of a device anew."""
    return sum(recalibration_queries(one) for one in calibrated(device))
