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
from devices.hdf5.superblock import give_length, read_superblock, record_end
from devices.hdf5.tables import readable
from devices.hdf5.undo import put_back, undo_file
from pnn.log_tools.check import broken_objects
from pnn.log_tools.opening import beside, existing
from pnn.log_tools.salvage import salvage

__all__ = ["Repair", "repair"]


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
        if block.missing:
            give_length(copy, block)
            result.done.append(f"gave it back its length: {block.missing} bytes were missing")
        elif put_back(copy, undo_file(path)):
            result.done.append("undid what a kill broke off")
        if block.unrecorded or block.open_flags:
            record_end(copy)
        if block.unrecorded and not block.open_flags:
            result.done.append(f"recorded its end, {block.unrecorded} bytes later than it said")
        if block.open_flags:
            result.done.append("removed the mark that it is being written")
        whole = _leave_out(copy, block.size if block.missing else None, result)
        with h5py.File(copy, "r+") as file:
            _mend_content(file, whole, result)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return result


def _leave_out(copy: Path, size: int | None, result: Repair) -> dict[str, int]:
    """Leave out what cannot be read; return the rows of each array that lie before the cut.

    `size` is that of the file before it got its length back; None if it had it.
    """
    whole: dict[str, int] = {}
    try:
        with h5py.File(copy, "r") as file:
            broken = broken_objects(file)
            try:
                dict(file.attrs)
            except (OSError, RuntimeError) as error:
                broken["attributes of the file"] = str(error)
            arrays = (
                [] if size is None else [one for one in _arrays(file) if one.name not in broken]
            )
            for item in arrays:
                assert size is not None
                if item.chunks is not None:
                    whole[item.name] = _rows_before(item, size)
                elif (at := item.id.get_offset()) and at + item.id.get_storage_size() > size:
                    result.lost.append(
                        f"{item.name}: its values are, in part, behind the end of the file; they "
                        "read as 0"
                    )
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(f"{result.path}: too much is lost to read anything ({error})") from error
    result.lost += [f"{place} ({why})" for place, why in broken.items()]
    if broken:
        salvage(copy)
    return whole


def _mend_content(file: h5py.File, whole: dict[str, int], result: Repair) -> None:
    """Cut tables to their whole rows, and say what became of the run."""
    for table in list(tables(file)):
        name = f"{table.group.name.rstrip('/')}/{table.dim}"
        before = [whole.get(table.group[one].name, table.rows) for one in table.lengths]
        table = replace(table, rows=min(table.rows, *before))  # noqa: PLW2901
        if table.counted:
            result.rows[name] = table.rows
        if table.ragged:
            longest = max(table.lengths.values())
            table.cut()
            result.done.append(f"cut {name} from {longest} to {table.rows} whole rows")
    status = read_attributes(file).get("status")
    cut = any(done.startswith("cut ") for done in result.done)
    if status == "running" or (status == "done" and cut):
        result.done.append("marked it as interrupted")
        why = "the program that wrote it was killed" if status == "running" else "rows are lost"
        for name, text in (("status", "interrupted"), ("error", why)):
            if not put_in_place(file, name, text):  # a file of before there were slots
                file.attrs[name] = text
    if result.done:
        file.attrs["repaired"] = attribute(
            {"at": datetime.now(UTC).isoformat(timespec="seconds"), "done": result.done,
             "lost": result.lost}
        )  # fmt: skip


def _arrays(group: h5py.Group) -> Iterator[h5py.Dataset]:
    for _, item in readable(group):
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
