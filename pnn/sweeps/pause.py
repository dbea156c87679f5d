"""Ctrl-C at a point boundary: the first finishes what is going on, the second ends at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["SweepPaused", "pausing"]


class SweepPaused(KeyboardInterrupt):
    """A sweep was stopped by Ctrl-C between two points; the message says how to go on."""


@contextlib.contextmanager
def pausing(told: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed; `told` is called when it is.

    Only the main thread can do so; elsewhere Ctrl-C is nobody's here.
    """
    asked = False

    def first(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the second ends at once
        told()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before: Any = signal.signal(signal.SIGINT, first) or signal.default_int_handler
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
