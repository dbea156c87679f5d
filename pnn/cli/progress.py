"""Progress on stderr: one line that is rewritten on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

__all__ = ["ProgressLine"]

SECONDS_ON_TERMINAL = 0.1
SECONDS_ELSEWHERE = 10.0


class ProgressLine:
    """Shows seed, arm, what is going on, and the time left.

    Parameters
    ----------
    seeds : sequence of int
        Seeds of the run.
    arms : sequence of str
        Arms of each seed, in their order; each is taken to last equally long.
    """

    def __init__(self, seeds: list[int], arms: list[str]) -> None:
        self._seeds, self._arms = seeds, arms
        self._began = time.monotonic()
        self._shown = -1e9
        self._terminal = sys.stderr.isatty()

    def __call__(self, seed: int, arm: str, share: float, what: str) -> None:
        """Take note of the progress; see `pnn.experiment.Progress`."""
        now = time.monotonic()
        pause = SECONDS_ON_TERMINAL if self._terminal else SECONDS_ELSEWHERE
        if now - self._shown < pause:
            return
        self._shown = now
        done = self._seeds.index(seed) + (self._arms.index(arm) + share) / len(self._arms)
        done /= len(self._seeds)
        left = ""
        if done > 0.02:
            minutes, seconds = divmod(round((now - self._began) * (1 - done) / done), 60)
            left = f", {minutes}:{seconds:02d} left"
        text = f"seed {seed}, {arm}: {what} ({100 * done:.0f} %{left})"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
