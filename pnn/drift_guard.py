"""Watch a device while a network trains or is used, and react to its drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibration import DriftReport, DriftWatch
from devices import Cached, Device, DeviceError, Wrapper
from devices.checks import one_of, whole
from pnn.adaptation import Mender
from pnn.drift_settings import REACTIONS, DriftSettings
from pnn.rules.base import Rule
from pnn.training import Session, Watch

__all__ = ["DriftGuard", "DriftStop", "Guarding", "Reaction", "clear_caches"]

#: Mends what it can and returns whether that is enough; None if it has done nothing.
React = Callable[[DriftReport], bool | None]


class DriftStop(DeviceError):
    """A device has drifted and nothing that was allowed has mended it; the outputs are off."""


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
    reactions until one says that it was enough. If one has done something, the probes are
    measured anew, and drift counts from there.

    Parameters
    ----------
    watch : DriftWatch
        On the device that is trained with, made before its training data are measured.
    reactions : mapping of str to callable
        Any of "refit", "retrain", "recalibrate" and "stop"; each is given the report and returns
        whether it was enough, or None if it did nothing. They are tried in this order, whatever
        that of the mapping; "stop" is always enough, and its callable may be None.
    every_epochs : int
        Epochs from one look to the next; 0: none by epochs.
    every_queries : int
        Queries of the device after which there is a look, too; 0: none by queries.
    record : callable
        Is given every look as a dict, for a history and a run file.

    Raises
    ------
    ValueError
        If a reaction has another name or no callable, or a number is negative.

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
        every_queries: int = 0,
        record: Callable[[dict[str, Any]], None] = lambda entry: None,
    ) -> None:
        for name, react in reactions.items():
            one_of("DriftGuard", "reactions", name, REACTIONS)
            if react is None and name != "stop":
                raise ValueError(f"DriftGuard: the reaction {name!r} needs a callable")
        self.watch = watch
        self._reactions = {name: reactions[name] for name in REACTIONS if name in reactions}
        self._every = whole("DriftGuard", "every_epochs", every_epochs, 0)
        self._every_queries = whole("DriftGuard", "every_queries", every_queries, 0)
        self._record = record
        self._seen = watch.device.ledger.total
        self._noted = False  # drift that nothing was done about yet

    @property
    def unseen(self) -> int:
        """Queries of the device since the last look."""
        return self.watch.device.ledger.total - self._seen

    def after_epoch(self, epoch: int) -> Reaction | None:
        """Look, if it is time to, and react; return None where nothing has drifted.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        """
        by_epochs = self._every and (epoch + 1) % self._every == 0
        return self.look(epoch) if by_epochs or self._noted or self._is_due() else None

    def while_measuring(self, epoch: int) -> Reaction | None:
        """Look, if it is time to, where rows are being measured that nothing can be done about yet.

        The reaction comes after the next epoch; at once if there is none but to stop.
        """
        return self.look(epoch, react=[*self._reactions] == ["stop"]) if self._is_due() else None

    def after_training(self, epoch: int) -> Reaction | None:
        """Look, unless nothing was driven since the last look, and react.

        Drift that was seen while rows were measured is reacted to in any case.
        """
        return self.look(epoch) if self.unseen or self._noted else None

    def look(self, epoch: int = -1, *, react: bool = True) -> Reaction | None:
        """Look now and react."""
        report, reaction = self.watch.look(), None
        if report.drifted:
            clear_caches(self.watch.device)
            reaction = self._react(report, epoch) if react else None
        self._noted = report.drifted and not react
        self._seen = self.watch.device.ledger.total
        entry = {"epoch": epoch} | asdict(report)
        if reaction is not None:
            entry |= {"reaction": reaction.name, "tried": list(reaction.tried)}
        self._record(entry)
        return reaction

    def _is_due(self) -> bool:
        return 0 < self._every_queries <= self.unseen

    def _react(self, report: DriftReport, epoch: int) -> Reaction:
        tried: list[str] = []
        enough: str | None = None
        for name, react in self._reactions.items():
            if name == "stop":
                self.watch.device.safe()
            done = react(report) if react is not None else None
            if done is not None or name == "stop":
                tried.append(name)
            if done or name == "stop":
                enough = name
                break
        if tried and enough != "stop":
            self.watch.start()
        return Reaction(name=enough, tried=tuple(tried), epoch=epoch, report=report)


class Guarding(Watch):
    """Stands between a training and who looks on, and looks at the probes of every device.

    Parameters
    ----------
    settings : DriftSettings
    inner : Watch
        Is told everything, and the looks.

    Attributes
    ----------
    looks : list of dict
        Every look: `epoch`, `device`, what `DriftReport` has, and, where there was drift,
        `reaction`, `tried` and `agreement`.
    """

    def __init__(self, settings: DriftSettings, inner: Watch) -> None:
        self._settings, self._inner = settings, inner
        self._guards: list[DriftGuard] = []
        self._epoch, self._is_busy = 0, False
        self.looks: list[dict[str, Any]] = []

    def begin(self, rule: Rule, session: Session) -> None:
        """Measure the probes of the open devices, before anything is learned."""
        settings, rows = self._settings, session.rows
        spent = rule.estimate(
            session.network,
            session.settings,
            n_train=len(rows.inputs),
            n_validation=len(rows.validation_inputs),
            n_test=0,
            n_classes=rows.n_classes,
        )
        self._mender = mender = Mender(rule, session, settings, settings.allowance(spent))
        for i, device in enumerate(session.network.devices):
            watch = DriftWatch(
                device,
                settings.probes,
                repeats=settings.repeats,
                repeatability=settings.repeatability_of(device),
                tolerance=settings.tolerance,
                sigmas=settings.sigmas,
                seed=session.generator.initial_seed() % 2**32,
            )
            reactions = {name: mender.reaction(name, device, watch) for name in settings.reactions}
            guard = DriftGuard(
                watch,
                reactions,
                every_epochs=settings.every_epochs,
                every_queries=settings.every_queries,
                record=partial(self._note, i),
            )
            self._guards.append(guard)

    def end(self) -> None:
        """Look once more, unless there is no reason to, and look on no longer."""
        self._mender.align()
        self._each(lambda guard: guard.after_training(self._epoch))
        self._mender.close()

    def look(self) -> None:
        """Look now and react, as when the trained network is in use; the devices are open.

        Raises
        ------
        DriftStop
            If the reaction is to stop.
        """
        self._each(lambda guard: guard.look(self._epoch))

    # -- what the training says ----------------------------------------------------------------

    def progress(self, what: str, done: int, total: int) -> None:
        """Hand it on, and look if it is time to."""
        if self._is_busy:  # a reaction's own steps
            return
        self._inner.progress(what, done, total)
        if what.startswith("measure"):
            self._each(lambda guard: guard.while_measuring(self._epoch))
        else:
            self._each(lambda guard: guard.after_epoch(self._epoch))
            self._epoch += 1

    def measured(self, index: int, inputs: NDArray[np.float64], features: torch.Tensor) -> None:
        """Take note of it, for retraining."""
        self._mender.measured(index, inputs, features)

    def epoch(self, **metrics: Any) -> None:
        """Hand it on."""
        if not self._is_busy:
            self._inner.epoch(**metrics)

    def checkpoint(self) -> None:
        """Hand it on."""
        if not self._is_busy:
            self._inner.checkpoint()

    def _each(self, act: Callable[[DriftGuard], Reaction | None]) -> None:
        self._is_busy = True
        try:
            for guard in self._guards:
                reaction = act(guard)
                if reaction is not None and reaction.stops:
                    self._mender.close()
                    raise DriftStop(_stopped(guard.watch.device, reaction))
        finally:
            self._is_busy = False

    def _note(self, device: int, entry: dict[str, Any]) -> None:
        entry["device"] = device
        self._mender.turn(self._guards[device].watch.device)
        if "refit" in entry.get("tried", ()):
            entry["agreement"] = self._mender.agreement
        self.looks.append(entry)
        self._inner.drift(**entry)


def clear_caches(device: Device) -> None:
    """Empty every `Cached` around a device: what it remembers is no longer true."""
    while isinstance(device, Wrapper):
        if isinstance(device, Cached):
            device.clear()
        device = device.inner


def _stopped(device: Device, reaction: Reaction) -> str:
    tried = [name for name in reaction.tried if name != "stop"]
    mended = f"; {', '.join(tried)} did not mend it" if tried else ""
    change = 100 * reaction.report.relative_change
    return (
        f"{device.spec.name} has drifted by {change:.3g} % ({reaction.report.z:.3g} standard "
        f"deviations){mended}. The training was stopped, as configured, and the outputs are off: "
        "look after the device and begin a new run"
    )
