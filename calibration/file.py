"""Calibration files: immutable, written in one go, and named by their content."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from calibration.identity import differences, identity_of, innermost, versions
from calibration.named_array import Quantity, own_unit
from devices import Device, NotCalibrated
from devices.hdf5 import RecordFile

__all__ = ["Calibration", "load_calibration"]

_log = logging.getLogger("calibration")


@dataclass(frozen=True, kw_only=True, repr=False)
class Calibration:
    """What was measured of one device, once and for all.

    Attributes
    ----------
    kind : str
        Of the procedure, as ``linearity``.
    data : mapping of str to Quantity
        The result.
    residuals, raw : mapping of str to Quantity
        What the result leaves unexplained, and what it was computed from; may be empty.
    device : mapping
        Identity of the device; see `identity_of`. With a rig, its instruments and hashes.
    settings : mapping
        Of the procedure.
    validity : mapping of str to (float, float)
        Ranges of conditions (as ``temperature_k``) in which the calibration may be used. The
        condition ``time_s`` is in seconds since 1970-01-01 UTC and is filled in on use.
    time_s : float
        When it was measured.
    versions : mapping of str to str
        Of the software.
    parents : tuple of str
        Ids of the calibrations that it builds on.
    """

    kind: str
    data: Mapping[str, Quantity]
    residuals: Mapping[str, Quantity] = field(default_factory=dict)
    raw: Mapping[str, Quantity] = field(default_factory=dict)
    device: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    time_s: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in self.validity.items():
            if not low <= high:
                raise ValueError(f"Calibration: validity of {name} from {low} to {high} is empty")

    @classmethod
    def of(
        cls,
        device: Device,
        kind: str,
        result: Any,
        *,
        raw: Mapping[str, Quantity] | None = None,
        residuals: Mapping[str, Quantity] | None = None,
        settings: Mapping[str, Any] | None = None,
        validity: Mapping[str, tuple[float, float]] | None = None,
        parents: Sequence[Calibration] = (),
    ) -> Calibration:
        """Make a calibration from the result of a procedure, now.

        Raises
        ------
        ValueError
            If the result is no dataclass of `quantity` fields.
        """
        if not is_dataclass(result):
            raise ValueError(f"Calibration.of: result={result!r} must be the result of a procedure")
        units = {"input": device.spec.input_unit, "output": device.spec.output_unit}
        found: dict[bool, dict[str, Quantity]] = {False: {}, True: dict(residuals or {})}
        for one in fields(result):
            meta = one.metadata
            unit = own_unit(meta.get("unit", "1"), units)
            value = Quantity(np.asarray(getattr(result, one.name)), meta.get("dims", ()), unit)
            found[meta.get("residual", False)][one.name] = value
        return cls(
            kind=kind,
            data=found[False],
            raw=raw or {},
            residuals=found[True],
            device=identity_of(device),
            settings=settings or {},
            validity=validity or {},
            time_s=datetime.now(UTC).timestamp(),
            versions=versions(),
            parents=tuple(parent.id for parent in parents),
        )

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of all of the content."""
        digest = hashlib.sha256()
        digest.update(json.dumps(self._header(), sort_keys=True).encode())
        for name in ("data", "residuals", "raw"):
            for key, quantity in sorted(getattr(self, name).items()):
                values = np.ascontiguousarray(quantity.values)
                label = [name, key, quantity.dims, quantity.unit, values.dtype.str, values.shape]
                digest.update(json.dumps(label).encode())
                digest.update(values.tobytes())
        return digest.hexdigest()[:16]

    @property
    def file_name(self) -> str:
        """``KIND-ID.h5``."""
        return f"{self.kind}-{self.id}.h5"

    def __repr__(self) -> str:
        return f"Calibration({self.kind} {self.id})"

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array of the data or of the residuals by its name."""
        known = {**self.data, **self.residuals}
        if name not in known:
            raise KeyError(f"a calibration of the kind {self.kind} has {sorted(known)}, "
                           f"not {name!r}")  # fmt: skip
        return known[name].values

    def summary(self) -> dict[str, float | None]:
        """Return one number for each real quantity of the data: the median over its axes."""
        found: dict[str, float | None] = {}
        for name, quantity in self.data.items():
            values = quantity.values
            if values.size and values.dtype.kind in "fiu":
                known = values[np.isfinite(values)]
                found[name] = float(np.median(known)) if known.size else None
        return found

    def headline(self) -> str:
        """Return the result in one line: its single numbers, else medians of its arrays."""
        median = self.summary()
        numbers = [name for name in median if not self.data[name].dims]
        shown = []
        for name in numbers or list(median)[:3]:
            value, unit = median[name], self.data[name].unit
            text = "not known" if value is None else f"{value:.4g}"
            shown.append(
                f"{name} {text}" + (f" {unit}" if value is not None and unit != "1" else "")
            )
        return ", ".join(shown)

    def save(self, folder: str | Path) -> Path:
        """Write ``KIND-ID.h5`` into a folder and return its path; there already is as good.

        The file is written beside its place, synchronised and renamed, so that a file of that
        name is whole; it is then read-only.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.file_name
        if path.exists():
            return path
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as aside:
            temporary = Path(aside) / path.name
            with RecordFile(temporary, kind="calibration", id=self.id, **self._header()) as file:
                for name in ("data", "residuals", "raw"):
                    group = file.group(name)
                    for key, quantity in getattr(self, name).items():
                        dims = tuple(f"{d}_" if d == key else d for d in quantity.dims)
                        group.write(key, quantity.values, dims, unit=quantity.unit)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o444)
            temporary.replace(path)
        return path

    def check(
        self, device: Device, conditions: Mapping[str, float] | None = None, override: str = ""
    ) -> None:
        """Refuse a device that was not calibrated, or conditions outside the validity range.

        Parameters
        ----------
        device : Device
            That the calibration is to be used for.
        conditions : mapping of str to float, optional
            What is known of the moment, as ``temperature_k``.
        override : str
            Why it is to be used all the same: the reason goes into the log as a warning.

        Raises
        ------
        NotCalibrated
            If the calibration does not apply and no reason to use it is given.
        """
        self.refuse(device.spec.name, self.objections(device, conditions), override)

    def objections(
        self, device: Device, conditions: Mapping[str, float] | None = None
    ) -> list[str]:
        """Return why the calibration does not apply, one line each; see `check`."""
        mine, other = dict(self.device), identity_of(device)
        wrong = [
            f"{key} is {other.get(key)!r}, calibrated was {mine.get(key)!r}"
            for key in differences(mine, other)
        ]
        now = {"time_s": datetime.now(UTC).timestamp()} | dict(conditions or {})
        # What a rig's monitors read is checked with each measurement.
        later = getattr(innermost(device), "monitors", {}).keys() - now.keys()
        wrong += [
            f"{name} is not known; it must be from {low:g} to {high:g}"
            for name, (low, high) in self.validity.items()
            if name not in now and name not in later
        ]
        return wrong + self.outside(now)

    def outside(self, conditions: Mapping[str, float]) -> list[str]:
        """Return which of the conditions are outside the validity, one line each."""
        return [
            f"{name}={conditions[name]:g} is outside the validity, {low:g} to {high:g}"
            for name, (low, high) in self.validity.items()
            if name in conditions and not low <= conditions[name] <= high
        ]

    def refuse(self, device: str, wrong: Sequence[str], override: str) -> None:
        """Raise `NotCalibrated` for what is wrong, or log it with the reason to go on."""
        if not wrong:
            return
        text = f"calibration {self.kind} {self.id} does not apply to {device}: " + "; ".join(wrong)
        if not override:
            raise NotCalibrated(f"{text}. Calibrate again, or give a reason as override=")
        _log.warning("%s; used all the same: %s", text, override)

    def _header(self) -> dict[str, Any]:
        """Return everything but the arrays, as plain values, for hash and file alike."""
        header = {
            "calibration_kind": self.kind,
            "device": dict(self.device),
            "settings": dict(self.settings),
            "validity": {k: [float(v[0]), float(v[1])] for k, v in self.validity.items()},
            "time_s": float(self.time_s),
            "versions": dict(self.versions),
            "parents": list(self.parents),
        }
        plain: dict[str, Any] = json.loads(json.dumps(header, default=str))
        return plain


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration file.

    Raises
    ------
    ValueError
        If it is no calibration, or its content is not what its id says: it was changed.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        opened = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: it is no whole HDF5 file: {error}") from error
    with opened as file:
        if file.attrs.get("kind") != "calibration":
            raise ValueError(f"{path}: it is no calibration file")
        texts = ("device", "settings", "validity", "versions", "parents")
        header = {name: json.loads(file.attrs[name]) for name in texts}
        parts = {name: _read(file[name]) for name in ("data", "residuals", "raw")}
        found = Calibration(
            kind=str(file.attrs["calibration_kind"]),
            time_s=float(file.attrs["time_s"]),
            device=header["device"],
            settings=header["settings"],
            validity={k: (v[0], v[1]) for k, v in header["validity"].items()},
            versions=header["versions"],
            parents=tuple(header["parents"]),
            **parts,
        )
        said = str(file.attrs["id"])
    if found.id != said:
        raise ValueError(f"{path}: its content has the id {found.id}, not {said}; it was changed")
    return found


def _read(group: h5py.Group) -> dict[str, Quantity]:
    found = {}
    for key, dataset in group.items():
        if "units" not in dataset.attrs and dataset.is_scale:
            continue  # a dimension
        dims = tuple(dataset.dims[axis][0].name.rsplit("/", 1)[-1] for axis in range(dataset.ndim))
        dims = tuple(key if d == f"{key}_" else d for d in dims)
        found[key] = Quantity(dataset[()], dims, str(dataset.attrs["units"]))
    return found
