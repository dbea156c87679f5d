"""Progress on stderr: one line that is rewritten on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

__all__ = ["ProgressLine", "StatusLine", "StepLine"]

SECONDS_ON_TERMINAL = 0.1
SECONDS_ELSEWHERE = 10.0


class StatusLine:
    """Shows what is going on, the share that is done, and the time left."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._start: float | None = None  # the share that was done before
        self._shown = -1e9
        self._terminal = sys.stderr.isatty()

    def show(self, done: float, text: str) -> None:
        """Take note of the progress: the share that is done, from 0 to 1, and what goes on."""
        now = time.monotonic()
        self._start = done if self._start is None else self._start
        pause = SECONDS_ON_TERMINAL if self._terminal else SECONDS_ELSEWHERE
        if now - self._shown < pause:
            return
        self._shown = now
        left, gone = "", done - self._start
        if gone > 0.02 * (1 - self._start):
            minutes, seconds = divmod(round((now - self._began) * (1 - done) / gone), 60)
            left = f", {minutes}:{seconds:02d} left"
        text = f"{text} ({100 * done:.0f} %{left})"
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


class ProgressLine(StatusLine):
    """Shows seed, arm, what is going on, and the time left.

    Parameters
    ----------
    seeds : sequence of int
        Seeds of the run.
    arms : sequence of str
        Arms of each seed, in their order; each is taken to last equally long.
    """

    def __init__(self, seeds: list[int], arms: list[str]) -> None:
        super().__init__()
        self._start = 0.0
        self._seeds, self._arms = seeds, arms

    def __call__(self, seed: int, arm: str, share: float, what: str) -> None:
        """Take note of the progress; see `pnn.experiment.Progress`."""
        done = self._seeds.index(seed) + (self._arms.index(arm) + share) / len(self._arms)
        self.show(done / len(self._seeds), f"seed {seed}, {arm}: {what}")


class StepLine(StatusLine):
    """Shows one step after another, each with its own share and time left."""

    _step = ""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note of the progress: which step, how much of it is done, and how much there is."""
        if step != self._step:
            self._step, self._start = step, None
            self._began, self._shown = time.monotonic(), -1e9
        self.show(done / total, f"{step} {done}/{total}")
