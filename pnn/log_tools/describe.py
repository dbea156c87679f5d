"""What a record file holds, in plain values: the content of ``pnn log show --json``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from devices import Flag
from devices.hdf5 import Table, read_attributes, schema_of, tables
from pnn.log_tools.opening import opened

__all__ = ["describe"]


def describe(path: str | Path) -> dict[str, Any]:
    """Return the attributes of the root with, beside them, what the groups hold.

    Under ``file``: path, bytes, layout, seconds from start to end. Under ``seeds``: the attributes
    of each seed of a training run. Under ``recordings``: rows, faults, purposes, calibrations and
    readings of each recorded device. Under ``arrays``: names and shapes of all arrays.

    Raises
    ------
    OSError
        If the file is not there or does not open.
    ValueError
        If it is no record file.
    """
    path = Path(path)
    with opened(path) as file:
        content = read_attributes(file)
        if "kind" not in content:
            raise ValueError(f"{path} is no run of this toolkit; `pnn log import` takes it over")
        content["file"] = {
            "path": str(path),
            "bytes": path.stat().st_size,
            "layout": schema_of(file),
            "seconds": _seconds(content),
        }
        content["seeds"] = {
            name: read_attributes(file[name]) for name in sorted(file) if name.startswith("seed_")
        }
        found = list(tables(file))
        content["recordings"] = {
            one.group.name: _recording(one)
            for one in found
            if {"drives", "answers", "flags"} <= one.lengths.keys()
        }
        if "grid" in file and "done" in file["grid"]:
            content["grid"] = _grid(file["grid"])
        content["arrays"] = _arrays(file)
    return content


def _recording(table: Table) -> dict[str, Any]:
    group, rows = table.group, table.rows
    flags = group["flags"][:rows]
    attributes = read_attributes(group)
    told: dict[str, Any] = {
        "rows": rows,
        "inputs": int(group["drives"].shape[1]),
        "outputs": int(group["answers"].shape[1]),
        "faults": {
            flag.name.lower(): int(np.count_nonzero(flags & flag.value))
            for flag in Flag
            if flag.value and flag.name
        },
    }
    if "attempts" in group:
        attempts = group["attempts"][:rows]
        told["faults"]["attempts_in_vain"] = int(np.maximum(attempts, 1).sum()) - rows
    if "purpose" in group:
        counts = np.bincount(group["purpose"][:rows], minlength=len(attributes["purposes"]))
        told["purposes"] = {
            name: int(n) for name, n in zip(attributes["purposes"], counts, strict=False) if n
        }
    if "duration" in group and "purpose" in group:
        spent = np.nan_to_num(group["duration"][:rows])
        told["device_seconds"] = {
            name: float(spent[group["purpose"][:rows] == attributes["purposes"].index(name)].sum())
            for name in told["purposes"]
        }
    if "time" in group and rows:
        told["seconds"] = float(group["time"][rows - 1] - group["time"][0])
    for name in ("calibration", "state"):
        if f"{name}_id" in group:
            ids = [bytes(one).decode() for one in group[f"{name}_id"]]
            told[f"{name}s"] = len(ids) if len(ids) > 8 else ids
    readings = (key for key in table.lengths if key.startswith("reading_"))
    told["readings"] = {
        key.removeprefix("reading_"): [
            float(group[key][:rows].min()),
            float(group[key][:rows].max()),
        ]
        for key in readings
        if rows
    }
    told |= {
        key: attributes[key]
        for key in ("device", "recipe", "instruments", "laboratory_limits")
        if key in attributes
    }
    return told


def _grid(grid: h5py.Group) -> dict[str, Any]:
    done = grid["done"]
    return {
        "done": int(done[()].sum()),
        "points": int(done.size),
        "axes": {
            (axis[0].name.rsplit("/", 1)[-1] if len(axis) else "?"): int(n)
            for axis, n in zip(done.dims, done.shape, strict=True)
        },
    }


def _arrays(file: h5py.File) -> dict[str, dict[str, Any]]:
    """Return shape, type, unit, of one number the value; no dimensions, no checkpoints."""
    found = {}

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "checksum" not in item.attrs:
            if item.is_scale and "units" not in item.attrs and "long_name" not in item.attrs:
                return
            unit = item.attrs.get("units", "")
            found[name] = {
                "shape": list(item.shape),
                "dtype": str(item.dtype),
                "unit": unit.decode() if isinstance(unit, bytes) else str(unit),
            }
            if not item.shape and item.dtype.kind in "iuf" and np.isfinite(item[()]):
                found[name]["value"] = item[()].item()

    file.visititems(look)
    return found


def _seconds(content: dict[str, Any]) -> float | None:
    """Return the time from start to end, or until now for what is still running."""
    try:
        started = datetime.fromisoformat(content["started"])
        ended = content.get("ended")
        end = datetime.fromisoformat(ended) if ended else datetime.now(UTC)
        return (end - started).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None
