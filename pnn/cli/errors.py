"""Errors at the command line: one readable block, an exit code that says what kind it was."""

from __future__ import annotations

import contextlib
import errno
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
    2: "wrong usage, configuration or data, and nothing was driven; a row beyond a limit of the "
    "laboratory, which was not driven; or training diverged",
    3: "the device failed; what was measured is in the run file",
    4: "a file could not be read or written",
    130: "interrupted with Ctrl-C; outputs are off, the run file is closed",
    143: "terminated; outputs are off, the run file is closed",
}


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn expected errors inside the block into a message on stderr and an exit code."""
    from devices import DeviceError, LimitError

    with _terminable():
        try:
            yield
        except LimitError as error:
            _end("outside the limits", error, 2)
        except DeviceError as error:
            _end("the device failed", error, 3)
        except (ValueError, ImportError, FloatingPointError) as error:
            _end("cannot do this", error, 2)
        except BrokenPipeError:  # who reads the output, as `head`, has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except OSError as error:
            _end(_matter(error), error, 4)
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


def _matter(error: OSError) -> str:
    """Return what is the matter with a file."""
    from devices.errors import DamagedFile
    from devices.hdf5 import RecordFull

    if isinstance(error, RecordFull) or error.errno == errno.ENOSPC:
        return "the disk is full"
    matters: dict[str, tuple[type[OSError], ...]] = {
        "a file is missing": (FileNotFoundError,),
        "a file is in the way": (FileExistsError, IsADirectoryError, NotADirectoryError),
        "a file is not to be read or written": (PermissionError,),
        "a file is in use": (BlockingIOError,),
        "a file is damaged": (DamagedFile,),
    }
    found = (text for text, those in matters.items() if isinstance(error, those))
    return next(found, "cannot read or write")


def _end(heading: str, error: BaseException, code: int) -> NoReturn:
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
