"""Make a copy of a damaged record file that can be read, with everything that is whole in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py

from devices.hdf5 import attribute, read_attributes, tables
from devices.hdf5.attributes import put_in_place
from pnn.log_tools.check import broken_objects
from pnn.log_tools.opening import beside, existing
from pnn.log_tools.superblock import mend, read_superblock

__all__ = ["Repair", "repair"]

_LOST = "/lost"


@dataclass
class Repair:
    """What was done.

    Attributes
    ----------
    path, copy : str
        The file, left as it is, and its mended copy.
    done : list of str
        What was mended; empty if nothing was wrong.
    lost : list of str
        What could not be saved.
    rows : dict of str to int
        Rows of each table of the copy.
    """

    path: str
    copy: str
    done: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def repair(path: str | Path, out: str | Path | None = None) -> Repair:
    """Copy a file and mend the copy.

    Parameters
    ----------
    path : path
        The file; it is not changed.
    out : path, optional
        The copy; ``NAME.repaired.h5`` beside it if not given.

    Raises
    ------
    OSError
        If the file cannot be read or the copy be written.
    ValueError
        If too much is lost for anything to be read; no copy is left then.
    """
    path = existing(path)
    block = read_superblock(path)
    if block is None:
        raise ValueError(f"{path} is no HDF5 file, or its first bytes are lost: nothing to save")
    copy = beside(path, "repaired", out)
    result = Repair(str(path), str(copy))
    shutil.copyfile(path, copy)
    try:
        mend(copy, block)
        if block.missing:
            result.done.append(f"gave it back its length: {block.missing} bytes were missing")
        if block.open_flags:
            result.done.append("removed the mark that it is being written")
        try:
            file = h5py.File(copy, "r+")
        except OSError as error:
            raise ValueError(f"{path}: too much is lost to read anything ({error})") from error
        with file:
            _mend_content(file, block.size if block.missing else None, result)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return result


def _mend_content(file: h5py.File, size: int | None, result: Repair) -> None:
    """Cut tables to what is whole; `size` is that of the file before it got its length back."""
    for place, why in broken_objects(file).items():
        # Out of the way, as what has lost its inside can be moved, but not deleted.
        file.require_group(_LOST)
        file.move(place, f"{_LOST}/{place.strip('/').replace('/', '.')}")
        result.lost.append(f"{place} ({why}); what is left of it is in {_LOST}")
    if size is not None:
        result.lost += [
            f"{item.name}: its values are, in part, behind the end of the file; they read as 0"
            for item in _arrays(file)
            if item.chunks is None
            and (offset := item.id.get_offset()) is not None
            and offset + item.id.get_storage_size() > size
        ]
    for table in [one for one in tables(file) if one.group.name != _LOST]:
        name = f"{table.group.name.rstrip('/')}/{table.dim}"
        if size is not None:
            rows = min(_rows_before(table.group[one], size) for one in table.lengths)
            table = replace(table, rows=min(rows, table.rows))  # noqa: PLW2901
        if table.counted:
            result.rows[name] = table.rows
        if table.ragged:
            longest = max(table.lengths.values())
            table.cut()
            result.done.append(f"cut {name} from {longest} to {table.rows} whole rows")
    if read_attributes(file).get("status") == "running":
        result.done.append("marked it as interrupted")
        for name, text in (
            ("status", "interrupted"),
            ("error", "the program that wrote it was killed"),
        ):
            if not put_in_place(file, name, text):  # a file of before there were slots
                file.attrs[name] = text
    if result.done:
        file.attrs["repaired"] = attribute(
            {"at": datetime.now(UTC).isoformat(timespec="seconds"), "done": result.done,
             "lost": result.lost}
        )  # fmt: skip


def _arrays(group: h5py.Group) -> Iterator[h5py.Dataset]:
    for name in group:
        if name == _LOST.strip("/"):
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _arrays(item)
        elif isinstance(item, h5py.Dataset):
            yield item


def _rows_before(dataset: h5py.Dataset, size: int) -> int:
    """Return how many rows, counted from the first, are stored in the first `size` bytes."""
    chunk = dataset.chunks[0]
    rows = len(dataset)
    for number in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(number)
        row_bytes = info.size // chunk
        whole = max(0, size - info.byte_offset) // row_bytes
        if whole < chunk:
            rows = min(rows, info.chunk_offset[0] + whole)
    return rows
