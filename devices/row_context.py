"""What rows are measured for: the network's layer and the epoch, for the record of each row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from devices.checks import whole

__all__ = ["ROW_FIELDS", "row_context", "row_fields"]

#: What may be said of a row; each is a column of a recording.
ROW_FIELDS = ("layer", "epoch")

_current: ContextVar[dict[str, int] | None] = ContextVar("row_context", default=None)


@contextlib.contextmanager
def row_context(**fields: int) -> Iterator[None]:
    """Say what the rows measured inside are for; `Recorded` writes it beside them.

    Inner blocks add to outer ones. It holds for this thread of execution.

    Parameters
    ----------
    layer : int
        Counted from 0.
    epoch : int
        Number of the pass over the training rows, from 1.

    Raises
    ------
    ValueError
        If a name is another one, or a number is negative.

    Examples
    --------
    >>> from devices.row_context import row_context, row_fields
    >>> with row_context(layer=1), row_context(epoch=3):
    ...     row_fields()
    {'layer': 1, 'epoch': 3}
    >>> row_fields()
    {'layer': -1, 'epoch': -1}
    """
    for name, value in fields.items():
        if name not in ROW_FIELDS:
            raise ValueError(f"row_context: {name} is not one of {', '.join(ROW_FIELDS)}")
        fields[name] = whole("row_context", name, value, 0, 2**31 - 1)
    token = _current.set((_current.get() or {}) | fields)
    try:
        yield
    finally:
        _current.reset(token)


def row_fields() -> dict[str, int]:
    """Return what holds now for each of `ROW_FIELDS`; -1 where nothing was said."""
    now = _current.get() or {}
    return {name: now.get(name, -1) for name in ROW_FIELDS}
