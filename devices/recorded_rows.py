"""What a recording holds, read again: drives, answers, and the face of the device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from devices.hdf5 import RecordGroup, check_undone, physical, read_attributes, valid_rows
from devices.spec import DeviceSpec

__all__ = ["RecordedRows", "digest", "read_rows", "read_spec", "spec_of_rows", "write_spec"]

Array = NDArray[Any]

#: What a recording says of a device. Its times, powers and tries are those of the hardware.
_FACE = ("name", "domain", "input_unit", "output_unit", "output_dtype", "memory")


@dataclass(frozen=True, kw_only=True)
class RecordedRows:
    """Drives and answers, row by row, and the device that gave them.

    Attributes
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
    spec : DeviceSpec
        Limits, domain, units and type of the recorded device; of a file that does not tell
        them, one range for all inputs, from the lowest to the highest drive.
    group : str
        Where in the file they are.
    """

    drives: Array
    answers: Array
    spec: DeviceSpec
    group: str


def read_rows(path: str | Path, group: str | None = None) -> RecordedRows:
    """Read a recording: of `Recorded`, `pnn log import`, a training run, or a sweep.

    Parameters
    ----------
    path : path
        An HDF5 file with tables ``drives``, (row, input), and ``answers``, (row, output).
    group : str, optional
        The group that has them. None: all that the file has, if they are of one device, such as
        those of the seeds of a run.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file has no recording there, has those of different devices, or has no rows.
    OSError
        If a kill left the file such that rows cannot be read before they are repaired.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    check_undone(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read as HDF5 ({error}), so it has no drives and answers"
        ) from error
    with file:
        there = _recordings(file)
        names = there if group is None else [name for name in there if name == group.strip("/")]
        if not names:
            known = f"; it has them in {', '.join(there)}" if there else ""
            raise ValueError(f"{path} has no drives and answers in {group or '/'!r}{known}")
        found = (_read(file[name or "/"], path) for name in names)
        parts = [part for part in found if part is not None]
        recipes = {str(file[name or "/"].attrs.get("recipe", name)) for name in names}
    if not parts:
        raise ValueError(f"{path} has no recorded rows in {', '.join(names) or '/'!r}")
    if len(parts) == 1:
        return parts[0]
    if len(recipes) > 1 or any(part.spec != parts[0].spec for part in parts):
        raise ValueError(
            f"{path} has {len(names)} recordings, of different devices; choose one by group=: "
            f"{', '.join(names)}"
        )
    return RecordedRows(
        drives=np.concatenate([part.drives for part in parts]),
        answers=np.concatenate([part.answers for part in parts]),
        spec=parts[0].spec,
        group=", ".join(part.group for part in parts),
    )


def write_spec(group: RecordGroup, spec: DeviceSpec) -> None:
    """Write what a recording must know of its device, for `read_rows`, unless it is there."""
    if "spec" in group.h5.attrs:
        return
    group.set(spec={name: getattr(spec, name) for name in _FACE})
    for name, limit in zip(("low", "high"), spec.limits, strict=True):
        group.write(
            name, limit, ("input",), unit=spec.input_unit, long_name=f"{name}est legal drive"
        )


def digest(drives: Array, answers: Array) -> str:
    """Return the SHA-256 of the rows: what a recording is known by, wherever it is kept."""
    found = hashlib.sha256()
    for array in (drives, answers):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def read_spec(group: h5py.Group, n_outputs: int) -> DeviceSpec | None:
    """Return what `write_spec` wrote into a group; None if there is nothing."""
    told = read_attributes(group).get("spec")
    if not isinstance(told, dict) or not {"low", "high"} <= group.keys():
        return None
    face = {name: told[name] for name in _FACE if name in told}
    low, high = (_limit(group[name][()]) for name in ("low", "high"))
    n_inputs = len(group["low"])
    return DeviceSpec(n_inputs=n_inputs, n_outputs=n_outputs, low=low, high=high, **face)


def spec_of_rows(drives: Array, answers: Array, **given: Any) -> DeviceSpec:
    """Return a spec for rows of a device that is not known; its limits are those of the drives.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
    **given
        Fields of `DeviceSpec` that are known.
    """
    low, high = drives.min(axis=0), drives.max(axis=0)
    found = {
        "name": "recording",
        "low": tuple(low),
        "high": tuple(np.where(high > low, high, low + 1.0)),  # an input that never moved
        "output_dtype": np.result_type(answers, np.float32).name,
    }
    return DeviceSpec(n_inputs=drives.shape[1], n_outputs=answers.shape[1], **found | given)


def _read(source: h5py.Group, path: Path) -> RecordedRows | None:
    """Read one group; None if it has no rows yet."""
    tables = source["drives"], source["answers"]
    # What was written whole; a table of ours knows it, any other has it in all columns.
    whole = valid_rows(source)
    rows = min(map(len, tables)) if whole is None else whole
    if not rows:
        return None
    drives, answers = (physical(table, rows) for table in tables)
    if drives.dtype.kind == "c":
        raise ValueError(f"{path}: drives are real numbers, those in {source.name!r} are not")
    drives = drives.astype(np.float64, copy=False)
    if answers.dtype.kind not in "fc":
        answers = answers.astype(np.float64)
    name = str(source.name).strip("/")
    return RecordedRows(
        drives=drives, answers=answers, spec=_spec(source, path, drives, answers), group=name
    )


def _recordings(file: h5py.File) -> list[str]:
    """Return the groups with drives and answers, in order of their names; the root is ''."""
    found: list[str] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group):
            tables = [item.get(key) for key in ("drives", "answers")]
            if all(isinstance(table, h5py.Dataset) and table.ndim == 2 for table in tables):
                found.append(name)

    look("", file)
    file.visititems(look)
    return found


def _spec(source: h5py.Group, path: Path, drives: Array, answers: Array) -> DeviceSpec:
    spec = read_spec(source, answers.shape[1])
    if spec is not None:
        return spec
    low, high = float(drives.min()), float(drives.max())
    return spec_of_rows(
        drives,
        answers,
        name=str(read_attributes(source).get("device", path.name)),
        low=low,
        high=high if high > low else low + 1.0,
        input_unit=str(source["drives"].attrs.get("units", "1")),
        output_unit=str(source["answers"].attrs.get("units", "1")),
    )


def _limit(values: Array) -> float | tuple[float, ...]:
    """Return one number where all inputs have the same limit, as most devices do."""
    return float(values[0]) if (values == values[0]).all() else tuple(map(float, values))
