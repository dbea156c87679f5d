"""Whether a record file is whole; what is wrong with it, and what is to be done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py

from devices.hdf5 import SCHEMA, read_attributes, schema_of, tables
from devices.hdf5.superblock import read_superblock
from pnn.log_tools.opening import existing, opened

__all__ = ["Check", "broken_objects", "check"]

_REPAIR = "`pnn log repair` makes a copy that is whole"


@dataclass
class Check:
    """What was found.

    Attributes
    ----------
    path : str
    opens : bool
        Whether a reader can open it as it is.
    kind, status : str
        Of the record; "" where it says nothing.
    schema : int or None
        Version of the layout; None for a file of another make.
    rows : dict of str to int
        Whole rows of each table.
    problems : list of str
        What needs a repair, each with what to do.
    notes : list of str
        What is worth knowing and needs none.
    """

    path: str
    opens: bool = False
    kind: str = ""
    status: str = ""
    schema: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether no repair is needed."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"good": self.good}


def check(path: str | Path) -> Check:
    """Look at a record file; nothing is changed.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read.
    """
    path = existing(path)
    found = Check(str(path))
    block = read_superblock(path)
    if block is None:
        found.problems.append(
            "it is no HDF5 file, or its first bytes are lost: nothing can be read"
        )
        return found
    if block.missing:
        found.problems.append(
            f"it was cut short: {block.missing} of {block.end} bytes are missing; {_REPAIR}"
        )
    if block.open_flags:
        found.problems.append(
            "it is marked as being written: either a program is writing it (read it with "
            f"`pnn log tail`), or that program was killed; {_REPAIR}"
        )
    try:
        file = opened(path)
    except OSError as error:
        if found.good:
            found.problems.append(f"it does not open ({error}); {_REPAIR}")
        return found
    with file:
        found.opens = True
        _look_inside(file, found)
    if found.status == "running" and _is_open_elsewhere(path):
        found.notes.append("it is being written by another program")
    elif found.status == "running":
        found.notes.append(
            "the program that wrote it was killed; what it had flushed is there. The run can be "
            "resumed, or the file be closed by `pnn log repair`"
        )
    return found


def broken_objects(file: h5py.File) -> dict[str, str]:
    """Return the names of groups and arrays that cannot be read, each with the reason."""
    broken = {}

    def look(name: str, group: h5py.Group) -> None:
        for key in group:
            place = f"{name}/{key}"
            try:
                item = group[key]
                dict(item.attrs)
                if isinstance(item, h5py.Group):
                    look(place, item)
                elif item.size and item.ndim:
                    item[-1:]
            except (OSError, KeyError, RuntimeError) as error:
                broken[place] = str(error)

    look("", file["/"])  # the file itself opens what it lists
    return broken


def _look_inside(file: h5py.File, found: Check) -> None:
    try:
        attributes = read_attributes(file)
        found.schema = schema_of(file)
        broken = broken_objects(file)
    except (OSError, KeyError, RuntimeError) as error:
        found.problems.append(f"its structure is damaged ({error}); {_REPAIR}")
        return
    found.kind, found.status = (str(attributes.get(key, "")) for key in ("kind", "status"))
    if broken:
        told = "; ".join(f"{name} ({why})" for name, why in broken.items())
        found.problems.append(f"it has objects that cannot be read: {told}; {_REPAIR}")
        return
    for table in tables(file):
        name = f"{table.group.name.rstrip('/')}/{table.dim}"
        if table.counted:
            found.rows[name] = table.rows
        if table.ragged:
            found.problems.append(
                f"the columns of {name} have different lengths, {table.rows} rows are whole; "
                f"{_REPAIR}, and resuming the run mends it as well"
            )
    if found.schema is None:
        found.notes.append("it is not a record of this toolkit; `pnn log import` takes it over")
    elif found.schema < SCHEMA:
        found.notes.append(
            f"its layout is version {found.schema}, this is {SCHEMA}; `pnn log migrate` writes a "
            "new file"
        )
    elif found.schema > SCHEMA:
        found.notes.append(f"its layout is version {found.schema}, newer than {SCHEMA}: update")
    if found.status in ("failed", "interrupted"):
        found.notes.append(f"it was {found.status}: {attributes.get('error', 'no error is noted')}")


def _is_open_elsewhere(path: Path) -> bool:
    try:
        h5py.File(path, "r").close()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
