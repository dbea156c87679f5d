"""Progress on stderr."""

import io
import sys

from pnn.cli import progress
from pnn.cli.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_line_that_is_rewritten(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: 10.0 * next(now))
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    line = ProgressLine([3, 4], ["device", "linear"])
    line(3, "device", 0.02, "measure (train) 1/50")
    line(3, "linear", 1.0, "linear 1/1")
    line.close()
    first, second, cleared = terminal.getvalue().split("\r\x1b[K")[1:]
    assert first == "seed 3, device: measure (train) 1/50 (0 %)"
    assert second == "seed 3, linear: linear 1/1 (50 %, 0:20 left)"
    assert cleared == ""


def test_elsewhere_there_is_a_line_now_and_then(monkeypatch):
    times = iter([0.0, 0.0, 1.0, 2.0, 11.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    line = ProgressLine([0], ["device"])
    for share in (0.1, 0.2, 0.3, 0.5):
        line(0, "device", share, "layer 1")
    line.close()
    assert stream.getvalue() == (
        "seed 0, device: layer 1 (10 %, 0:00 left)\nseed 0, device: layer 1 (50 %, 0:11 left)\n"
    )
