"""Errors at the command line: one readable block, an exit code that says what kind it was."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

__all__ = ["EXIT_CODES", "reported"]

#: Exit codes of ``pnn``.
EXIT_CODES = {
    0: "done",
    1: "a bug: a traceback is shown, please report it",
    2: "wrong usage, configuration or data, and nothing was driven; or training diverged",
    3: "the device failed; what was measured is in the run file",
    4: "a file could not be read or written",
    130: "interrupted with Ctrl-C; outputs are off, the run file is closed",
    143: "terminated; outputs are off, the run file is closed",
}


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn expected errors inside the block into a message on stderr and an exit code."""
    from devices import DeviceError, LimitError
    from devices.hdf5 import RecordFull

    with _terminable():
        try:
            yield
        except LimitError as error:
            _end("limit", error, 2)
        except DeviceError as error:
            _end("device", error, 3)
        except (ValueError, ImportError, FloatingPointError) as error:
            _end("wrong", error, 2)
        except BrokenPipeError:  # who reads the output, as `head`, has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except FileNotFoundError as error:
            _end("missing", error, 4)
        except RecordFull as error:
            _end("full", error, 4)
        except OSError as error:
            _end("file", error, 4)
        except KeyboardInterrupt as error:
            print("\ninterrupted: outputs are off, the run file is closed", file=sys.stderr)
            _print_notes(error)
            raise SystemExit(130) from None
        except SystemExit as error:
            _print_notes(error)
            raise


def _print_notes(error: BaseException) -> None:
    for note in getattr(error, "__notes__", ()):
        print(f"  {note}", file=sys.stderr)


def _end(kind: str, error: BaseException, code: int) -> NoReturn:
    heading = {
        "limit": "outside the limits",
        "device": "the device failed",
        "wrong": "cannot do this",
        "file": "a file is in the way",
        "missing": "a file is missing",
        "full": "the disk is full",
    }[kind]
    lines = [f"error: {heading}", *(f"  {line}" for line in str(error).splitlines())]
    print("\n".join(lines), file=sys.stderr)
    _print_notes(error)
    raise SystemExit(code)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that devices are made safe and files closed."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        print("terminated: outputs are off, the run file is closed", file=sys.stderr)
        raise SystemExit(143)

    before: Any = None
    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: the caller deals with signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
