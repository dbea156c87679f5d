"""Time several things in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def seconds(works: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Best time of each, taken in turn so that a busy machine is busy for all."""
    times = [[] for _ in works]
    for work in works:
        work()
    for _ in range(repeats):
        for work, mine in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            mine.append(time.perf_counter() - start)
    return [min(mine) for mine in times]
