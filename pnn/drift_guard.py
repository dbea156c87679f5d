"""React to a device that drifts while a network trains or is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from calibration import DriftReport, DriftWatch
from devices import Cached, Device, Wrapper
from devices.checks import one_of, whole
from pnn.adaptation import Adapter

__all__ = ["REACTIONS", "DriftGuard", "Reaction", "clear_caches", "mending"]

#: Reactions in the order in which they are tried, from the cheapest.
REACTIONS = ("refit", "retrain", "recalibrate", "stop")

#: Mends what it can and returns whether that is enough.
React = Callable[[DriftReport], bool]


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """What was done about a drift.

    Attributes
    ----------
    name : str or None
        The reaction that was enough; ``"stop"``; None if none was, or none is configured.
    tried : tuple of str
        All that were carried out, in order.
    epoch : int
        When.
    report : DriftReport
    """

    name: str | None
    tried: tuple[str, ...]
    epoch: int
    report: DriftReport

    @property
    def stops(self) -> bool:
        """Whether the training must end; the outputs are off."""
        return self.name == "stop"


class DriftGuard:
    """Looks at the probe drives on a schedule; on drift, forgets old answers and reacts.

    Drift beyond the repeatability empties every `Cached` around the device and goes through the
    reactions until one says that it was enough. Afterwards the probes are measured anew, and
    drift counts from there.

    Parameters
    ----------
    watch : DriftWatch
        On the device that is trained with, made when its training data were measured.
    reactions : mapping of str to callable
        Any of "refit", "retrain", "recalibrate" and "stop"; each is given the report and returns
        whether it was enough. They are tried in this order, whatever that of the mapping; "stop"
        is always enough, and its callable may be None.
    every_epochs : int
        Epochs from one look to the next.
    every_queries : int, optional
        Queries of the device after which there is a look at the end of an epoch, too.
    record : callable
        Is given every look as a dict, for a history and a run file.

    Raises
    ------
    ValueError
        If a reaction has another name or no callable, or a number is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from devices import FunctionDevice, Jumping
    >>> with Jumping(FunctionDevice(np.sin, 3, 3), after=32, gain=0.5) as device:
    ...     guard = DriftGuard(DriftWatch(device), {"stop": None})
    ...     [guard.after_epoch(epoch) is not None for epoch in range(2)]
    [False, True]
    """

    def __init__(
        self,
        watch: DriftWatch,
        reactions: Mapping[str, React | None],
        *,
        every_epochs: int = 1,
        every_queries: int | None = None,
        record: Callable[[dict[str, Any]], None] = lambda entry: None,
    ) -> None:
        for name, react in reactions.items():
            one_of("DriftGuard", "reactions", name, REACTIONS)
            if react is None and name != "stop":
                raise ValueError(f"DriftGuard: the reaction {name!r} needs a callable")
        self.watch = watch
        self._reactions = {name: reactions[name] for name in REACTIONS if name in reactions}
        self._every = whole("DriftGuard", "every_epochs", every_epochs, 1)
        self._every_queries = every_queries
        if every_queries is not None:
            whole("DriftGuard", "every_queries", every_queries, 1)
        self._record = record
        self._seen = watch.device.ledger.total

    def queries(self, epochs: int) -> int:
        """Return what looking every so many epochs will cost, the reactions not counted."""
        return epochs // self._every * len(self.watch.drives)

    def after_epoch(self, epoch: int) -> Reaction | None:
        """Look, if it is time to, and react; return None where nothing has drifted.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        """
        spent = self.watch.device.ledger.total - self._seen
        is_due = self._every_queries is not None and spent >= self._every_queries
        if (epoch + 1) % self._every and not is_due:
            return None
        return self.look(epoch)

    def look(self, epoch: int = -1) -> Reaction | None:
        """Look now and react."""
        report = self.watch.look()
        reaction = self._react(report, epoch) if report.drifted else None
        self._seen = self.watch.device.ledger.total
        entry = {"epoch": epoch} | asdict(report)
        if reaction is not None:
            entry |= {"reaction": reaction.name, "tried": list(reaction.tried)}
        self._record(entry)
        return reaction

    def _react(self, report: DriftReport, epoch: int) -> Reaction:
        clear_caches(self.watch.device)
        tried: list[str] = []
        enough: str | None = None
        for name, react in self._reactions.items():
            tried.append(name)
            if name == "stop":
                self.watch.device.safe()
            done = react(report) if react is not None else False
            if done or name == "stop":
                enough = name
                break
        if enough != "stop":
            self.watch.start()
        return Reaction(name=enough, tried=tuple(tried), epoch=epoch, report=report)


def clear_caches(device: Device) -> None:
    """Empty every `Cached` around a device: what it remembers is no longer true."""
    while isinstance(device, Wrapper):
        if isinstance(device, Cached):
            device.clear()
        device = device.inner


def mending(adapter: Adapter, score: Callable[[], float], least: float) -> dict[str, React]:
    """Return the reactions "refit" and "retrain" of a trained network.

    Parameters
    ----------
    adapter : Adapter
        Made before the drift. Without targets there is no "retrain".
    score : callable
        Measures held-out rows afresh and returns how good the network is on them.
    least : float
        The score that is enough.
    """

    def refit(report: DriftReport) -> bool:
        adapter.realign()
        return score() >= least

    def retrain(report: DriftReport) -> bool:
        adapter.retrain()
        return score() >= least

    return {"refit": refit, "retrain": retrain} if adapter.can_retrain else {"refit": refit}
