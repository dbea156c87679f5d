"""Calibrate in order: what builds on what, what is there already, and what is out of date."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from calibration.file import Calibration, load_calibration
from calibration.identity import differences, identity_of, innermost
from calibration.named_array import Quantity
from calibration.procedure import Procedure
from calibration.tap import Tap
from devices import Device, Wrapper
from devices.checks import number, one_of

__all__ = ["CalibrationFolder", "applied", "calibrate", "check_conditions", "check_order"]

_log = logging.getLogger("calibration")

#: How long a calibration holds unless told otherwise.
WEEK_S = 7 * 24 * 3600.0

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

    def prepare(self) -> None:
        """Make the folder, and see that files can be written into it.

        Raises
        ------
        OSError
            If that cannot be.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise OSError(
                f"calibrations cannot be written into {self.path}: {error.strerror}; give another "
                "folder"
            ) from error

    def file_of(self, calibration: Calibration) -> Path:
        """Return where a calibration's file is, or would be."""
        return self.path / calibration.file_name

    def all(self) -> list[Calibration]:
        """Return every calibration, oldest first; damaged files are logged and left out."""
        found = []
        for path in self.path.glob("*-*.h5"):
            try:
                found.append(load_calibration(path))
            except (ValueError, OSError) as error:
                _log.warning("left out: %s", error)
        return sorted(found, key=lambda one: (one.time_s, one.id))

    def latest(
        self, device: Device, kind: str, conditions: Mapping[str, float] | None = None
    ) -> Calibration | None:
        """Return the youngest calibration of a kind for this device, or None.

        With `conditions`, as ``wavelength_m``, the youngest that is valid under them.
        """
        identity = identity_of(device)
        mine = [
            one
            for one in self.all()
            if one.kind == kind
            and not differences(one.device, identity)
            and not one.outside(conditions or {})
        ]
        return mine[-1] if mine else None

    def known(self, device: Device) -> dict[str, Calibration]:
        """Return what a device has been calibrated for, by kind.

        The youngest calibrations that have not expired, and those that are applied in it.
        """
        identity, now = identity_of(device), {"time_s": time.time()}
        found = {
            one.kind: one
            for one in self.all()
            if not differences(one.device, identity) and not one.outside(now)
        }
        return found | applied(device)

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

    def out_of_date(self, device: Device) -> list[str]:
        """Return why the latest calibrations of a device are out of date, see `stale`."""
        mine = [one for one in self.known(device).values() if self.file_of(one).exists()]
        return [line for one in mine for line in self.stale(one)]


def applied(device: Device) -> dict[str, Calibration]:
    """Return the calibrations that `Calibrated` applies within a device, by kind."""
    found: dict[str, Calibration] = {}
    while isinstance(device, Wrapper):
        one = getattr(device, "calibration", None)
        if isinstance(one, Calibration):
            found.setdefault(one.kind, one)
        device = device.inner
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


def check_conditions(
    device: Device,
    validity: Mapping[str, tuple[float, float]] | None = None,
    margins: Mapping[str, float] | None = None,
    valid_for_s: float = WEEK_S,
) -> None:
    """Refuse conditions that no calibration file can have; see `calibrate`.

    Raises
    ------
    ValueError
        If a range is empty, a margin is negative or of no monitor, or the time is not above 0.
    """
    number("calibrate", "valid_for_s", min(valid_for_s, 1e12), 0.0, above=True)
    for name, (low, high) in (validity or {}).items():
        if not low <= high:
            raise ValueError(f"calibrate: the validity of {name} from {low:g} to {high:g} is empty")
    monitors = tuple(getattr(innermost(device), "monitors", {}))
    for name, margin in (margins or {}).items():
        number("calibrate", f"the margin of {name}", margin, 0.0)
        if not monitors:
            raise ValueError(
                f"calibrate: margins={name!r}: {device.spec.name} has no monitors to read it with; "
                "a condition that you know goes into the validity"
            )
        one_of("calibrate", "margins", name, monitors)


def calibrate(
    device: Device,
    procedures: Sequence[Procedure[Any]],
    folder: str | Path,
    *,
    not_needed: Sequence[str] = (),
    validity: Mapping[str, tuple[float, float]] | None = None,
    valid_for_s: float = WEEK_S,
    margins: Mapping[str, float] | None = None,
    began: Callable[[Procedure[Any]], None] = lambda procedure: None,
    failed: Callable[[Procedure[Any], ValueError], None] | None = None,
) -> list[Calibration]:
    """Run procedures in the order of their needs, and write a file for each.

    The files hold every row that was measured, as raw data, with what the monitors read.

    Parameters
    ----------
    device : Device
        Open.
    procedures : sequence of Procedure
        In any order.
    folder : path
        Where the files go; calibrations of this device in it count as done unless they have
        expired, and so do those that a `Calibrated` within the device applies.
    not_needed : sequence of str
        See `check_order`.
    validity : mapping of str to (float, float), optional
        Conditions under which the files may be used.
    valid_for_s : float
        How long they may be used; inf: for ever.
    margins : mapping of str to float, optional
        By how much a monitor may leave the range that it read while measuring.
    began : callable
        Is given each procedure before it starts.
    failed : callable, optional
        Is given a procedure whose answers make no sense (no step, no fringes), and why; the others
        go on. None: that is raised.

    Returns
    -------
    list of Calibration
        In the order in which they were measured.

    Raises
    ------
    ValueError
        If something needed is missing, or a condition cannot be, see `check_conditions`; nothing
        was driven. Or, see `failed`, if answers make no sense.
    OSError
        If the folder cannot be written into; nothing was driven.
    DeviceError
        What the device raises; the files written so far stay.
    """
    check_conditions(device, validity, margins, valid_for_s)
    files = CalibrationFolder(folder)
    ordered = sorted(
        procedures, key=lambda one: ORDER.index(one.kind) if one.kind in ORDER else len(ORDER)
    )
    known = files.known(device)
    check_order(ordered, device, list(known), not_needed)
    files.prepare()
    made = []
    for procedure in ordered:
        began(procedure)
        tap = Tap(device)
        start = time.time()
        try:
            with tap:
                result = procedure.run(tap)
        except ValueError as error:
            if failed is None:
                raise
            failed(procedure, error)
            continue
        raw = tap.raw()
        holds = procedure.validity() | _read_range(raw, margins or {})
        if math.isfinite(valid_for_s):
            holds["time_s"] = (start, start + valid_for_s)
        one = Calibration.of(
            device,
            procedure.kind,
            result,
            raw=raw,
            settings=asdict(procedure) if is_dataclass(procedure) else {},
            validity=holds | dict(validity or {}),
            parents=[known[need] for need in procedure.needs if need in known],
        )
        one.save(files.path)
        known[procedure.kind] = one
        made.append(one)
    return made


def _read_range(
    raw: Mapping[str, Quantity], margins: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    found = {}
    for name, margin in margins.items():
        values = raw[f"reading_{name}"].values
        found[name] = float(values.min() - margin), float(values.max() + margin)
    return found
