"""Attributes of a record file: numbers, texts, JSON, and texts in slots of a fixed size."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import h5py
import numpy as np

__all__ = ["attribute", "put_in_place", "read_attributes", "reserve_slot", "slot_text"]

#: HDF5 keeps an attribute in its object's header, which has room for 64 KiB.
SLOT_LIMIT = 60_000


def attribute(value: Any) -> Any:
    """Return `value` as HDF5 keeps it in an attribute: a number, a text, or JSON."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, str):  # an instrument's text may hold what HDF5 cannot
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)  # a seed may have 128 bits
    if isinstance(value, (int, float, np.number)):
        return value
    return json.dumps(value, default=_plain)


def read_attributes(group: h5py.Group) -> dict[str, Any]:
    """Return the attributes of a group: texts as str, JSON read back, empty slots left out."""
    content: dict[str, Any] = {}
    for key in group.attrs:
        value = group.attrs[key]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
            if not value:
                continue  # a slot that nothing was written into
        if isinstance(value, np.ndarray):
            value = [one.decode() if isinstance(one, bytes) else one for one in value.tolist()]
        content[key] = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, str) and value[:1] in ("{", "["):
            with contextlib.suppress(json.JSONDecodeError):  # a text may begin like that, too
                content[key] = json.loads(value)
    return content


def reserve_slot(group: h5py.Group, name: str, size: int) -> None:
    """Make the empty text attribute `name` with room for `size` bytes."""
    dtype = h5py.string_dtype("utf-8", size)
    group.attrs.create(name, np.array(b"", dtype), dtype=dtype)


def slot_size(group: h5py.Group, name: str) -> int:
    """Return the bytes of the slot `name`; 0 where there is no slot of that name."""
    if name not in group.attrs:
        return 0
    info = h5py.check_string_dtype(group.attrs.get_id(name).dtype)
    return 0 if info is None or info.length is None else int(info.length)


def slot_text(text: str, size: int) -> str:
    """Return as much of `text` as fits into a slot, whole characters only."""
    return str(attribute(text)).encode("utf-8")[:size].decode("utf-8", "ignore")


def put_in_place(group: h5py.Group, name: str, value: Any) -> bool:
    """Write over an attribute without changing the file's structure; False if that cannot be."""
    if name not in group.attrs:
        return False
    there = group.attrs.get_id(name)
    if isinstance(value, str):
        size, data = slot_size(group, name), value.encode("utf-8")
        if not size or len(data) > size:
            return False
        group.attrs.modify(name, np.array(data, there.dtype))
        return True
    if there.shape != () or np.asarray(value).dtype != there.dtype:
        return False
    group.attrs.modify(name, value)
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
