"""The last rows of a record, and those that come: also while another program writes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from devices.hdf5 import Table, physical, read_attributes, tables
from pnn.log_tools.opening import opened

__all__ = ["row_text", "tail"]

_TRIES = 20  # a plain file may be caught while it is being flushed


def tail(
    path: str | Path,
    group: str | None = None,
    *,
    rows: int = 10,
    follow: bool = False,
    interval_s: float = 0.5,
) -> Iterator[dict[str, Any]]:
    """Yield the last rows of a table, then, if asked, each new row until the run ends.

    A row is a dict of plain values by column, arrays as lists, with its number under ``row`` and
    the name of its purpose.

    Parameters
    ----------
    path : path
        A record file; a live one, or a plain one that is opened between its writer's flushes.
    group : str, optional
        The group of the table; the first table with rows, or the first one, if not given.
    rows : int
        How many rows to begin with.
    follow : bool
        Whether to go on; ends when the status of the file is no longer ``running``.
    interval_s : float
        Time between two looks.

    Raises
    ------
    ValueError
        If there is no such table.
    OSError
        If the file is not there, or does not open any more.
    """
    seen: int | None = None
    place = group
    while True:
        new, place, seen, running = _look(path, place, seen, rows)
        yield from new
        if not follow or not running:
            return
        time.sleep(interval_s)


def _look(
    path: str | Path, group: str | None, seen: int | None, rows: int
) -> tuple[list[dict[str, Any]], str, int, bool]:
    """Open, read what is new, close: a file that stays open shows the state of its opening."""
    for attempt in range(_TRIES):
        try:
            with opened(path) as file:
                running = read_attributes(file).get("status") == "running"
                table = _table(file, str(path), group)
                start = max(0, table.rows - rows) if seen is None else seen
                return _rows(table, start), table.group.name, max(start, table.rows), running
        except (OSError, RuntimeError, KeyError):
            if attempt == _TRIES - 1 or not Path(path).is_file():
                raise
            time.sleep(0.05)
    raise AssertionError


def _table(file: h5py.File, path: str, group: str | None) -> Table:
    found = sorted(tables(file), key=lambda t: (t.dim != "row", t.group.name))
    found = [table for table in found if len(table.lengths) > 1]
    if group is not None:
        place = "/" + group.strip("/")
        chosen = [table for table in found if table.group.name == place]
    else:
        chosen = [table for table in found if table.rows] or found
    if not chosen:
        known = ", ".join(dict.fromkeys(t.group.name for t in found)) or "no group"
        raise ValueError(f"{path} has no table in {group or '/'!r}; it has tables in {known}")
    return chosen[0]


def _rows(table: Table, start: int) -> list[dict[str, Any]]:
    columns = {
        name: physical(table.group[name], start=start, stop=table.rows)
        for name in table.lengths
        if name != table.dim
    }
    if "purpose" in columns:
        names = read_attributes(table.group).get("purposes", [])
        columns["purpose"] = np.array(names, dtype="U")[columns["purpose"]]
    return [
        {table.dim: start + i} | {name: _plain(values[i]) for name, values in columns.items()}
        for i in range(max(0, table.rows - start))
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if np.iscomplexobj(value):  # JSON knows no complex numbers
        return np.stack([np.real(value), np.imag(value)], axis=-1).tolist()
    return np.asarray(value).tolist()


def row_text(row: dict[str, Any], width: int = 4) -> str:
    """Return a row on a line; of long arrays the first few values."""
    if isinstance(row.get("time"), float):
        when = datetime.fromtimestamp(row["time"], UTC)
        row = row | {"time": when.isoformat(timespec="milliseconds")}
    numbers_first = sorted(row.items(), key=lambda item: isinstance(item[1], list))
    return "  ".join(f"{name} {_shown(value, width)}" for name, value in numbers_first)


def _shown(value: Any, width: int) -> str:
    if isinstance(value, list):
        flat = np.ravel(value)
        more = " ..." if len(flat) > width else ""
        return f"[{' '.join(f'{one:.4g}' for one in flat[:width])}{more}]"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
