"""Calibrate in order: what builds on what, what is there already, and what is out of date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from calibration.file import Calibration, load_calibration
from calibration.identity import identity_of
from calibration.procedure import Procedure
from devices import Device

__all__ = ["CalibrationFolder", "calibrate", "check_order"]

#: In which order procedures are run; each may need those before it.
ORDER = (
    "settling", "offset", "delay", "noise", "consistency", "linearity", "enob", "phase-table",
    "cross-talk", "nonlinearity", "dimensionality", "ranks", "memory", "label-sensitivity",
    "swept-sine", "transmission-matrix", "drift",
)  # fmt: skip


class CalibrationFolder:
    """The calibration files of a folder.

    Parameters
    ----------
    path : path
        It need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def all(self) -> list[Calibration]:
        """Return every calibration, oldest first."""
        found = [load_calibration(path) for path in self.path.glob("*-*.h5")]
        return sorted(found, key=lambda one: (one.time_s, one.id))

    def latest(self, device: Device, kind: str) -> Calibration | None:
        """Return the youngest calibration of a kind for this device, or None."""
        identity = identity_of(device)
        mine = [c for c in self.all() if c.kind == kind and dict(c.device) == identity]
        return mine[-1] if mine else None

    def stale(self, calibration: Calibration) -> list[str]:
        """Return why a calibration is out of date: parents missing, or measured anew since.

        One line each; none if all is well. The parents' parents count as well.
        """
        known = {one.id: one for one in self.all()}
        found = []
        for parent in calibration.parents:
            if parent not in known:
                found.append(f"{calibration.kind} builds on {parent}, which is not in {self.path}")
                continue
            old = known[parent]
            newer = [
                one for one in known.values()
                if one.kind == old.kind and one.device == old.device and one.time_s > old.time_s
            ]  # fmt: skip
            if newer:
                found.append(
                    f"{calibration.kind} builds on {old.kind} {parent}, which was measured anew as "
                    f"{newer[-1].id}"
                )
            found += self.stale(old)
        return found


def check_order(
    procedures: Sequence[Procedure[Any]], device: Device, known: Sequence[str] = (),
    not_needed: Sequence[str] = (),
) -> None:  # fmt: skip
    """Refuse procedures that need others that are neither before them nor known.

    Parameters
    ----------
    procedures : sequence of Procedure
        In the order in which they are to run.
    known : sequence of str
        Kinds that there are calibrations of.
    not_needed : sequence of str
        Kinds that make no sense for this device, as a delay where a row is a whole experiment.

    Raises
    ------
    ValueError
        If a need is not met, or a procedure cannot run on the device.
    """
    done = {*known, *not_needed}
    for procedure in procedures:
        procedure.check(device.spec)
        missing = [need for need in procedure.needs if need not in done]
        if missing:
            raise ValueError(
                f"{procedure.kind} needs {', '.join(missing)} first: run it before, or name it in "
                "not_needed if it makes no sense for this device"
            )
        done.add(procedure.kind)


def calibrate(
    device: Device,
    procedures: Sequence[Procedure[Any]],
    folder: str | Path,
    *,
    not_needed: Sequence[str] = (),
) -> list[Calibration]:
    """Run procedures in the order of their needs, and write a file for each.

    Parameters
    ----------
    device : Device
        Open.
    procedures : sequence of Procedure
        In any order.
    folder : path
        Where the files go; calibrations of this device in it count as done.
    not_needed : sequence of str
        See `check_order`.

    Returns
    -------
    list of Calibration
        In the order in which they were measured.

    Raises
    ------
    ValueError
        If something needed is missing; nothing was driven.
    """
    files = CalibrationFolder(folder)
    ordered = sorted(
        procedures, key=lambda one: ORDER.index(one.kind) if one.kind in ORDER else len(ORDER)
    )
    wanted = {need for one in ordered for need in one.needs}
    known = {kind: found for kind in wanted if (found := files.latest(device, kind)) is not None}
    check_order(ordered, device, list(known), not_needed)
    made = []
    for procedure in ordered:
        result = procedure.run(device)
        parents = [known[need] for need in procedure.needs if need in known]
        settings = asdict(procedure) if is_dataclass(procedure) else {}
        one = Calibration.of(device, procedure.kind, result, settings=settings, parents=parents)
        one.save(files.path)
        known[procedure.kind] = one
        made.append(one)
    return made
