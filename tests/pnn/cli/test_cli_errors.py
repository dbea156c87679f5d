"""What the command line makes of an error."""

import errno
import signal
import threading

import pytest

from devices import DeviceError, LimitError
from devices.errors import DamagedFile
from devices.extras import require
from devices.hdf5 import RecordFull
from pnn.cli.errors import EXIT_CODES, reported


def ended(error, capsys):
    """Exit code and message of an error inside the block."""
    with pytest.raises(SystemExit) as end, reported():
        raise error
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "heading"),
    [
        (LimitError("drive 3 is outside"), 2, "outside the limits"),
        (DeviceError("no answer"), 3, "the device failed"),
        (ValueError("wrong"), 2, "cannot do this"),
        (FloatingPointError("the loss is nan"), 2, "cannot do this"),
        (FileExistsError("run.h5 is there"), 4, "a file is in the way"),
        (IsADirectoryError("runs is a folder"), 4, "a file is in the way"),
        (PermissionError("not yours"), 4, "a file is not to be read or written"),
        (BlockingIOError("open elsewhere"), 4, "a file is in use"),
        (DamagedFile.because("run.h5", "cut short"), 4, "a file is damaged"),
        (OSError(errno.ENOSPC, "no space left"), 4, "the disk is full"),
        (OSError(errno.EIO, "input/output error"), 4, "cannot read or write"),
        (FileNotFoundError("there is no file"), 4, "a file is missing"),
        (RecordFull("no room for more rows"), 4, "the disk is full"),
    ],
)
def test_expected_errors_are_one_block_and_a_code(error, code, heading, capsys):
    assert ended(error, capsys) == (code, f"error: {heading}\n  {error}\n")
    assert code in EXIT_CODES


def test_lines_and_notes_belong_to_the_block(capsys):
    error = DeviceError("no answer\nafter 3 tries")
    error.add_note("closing failed too")
    _, text = ended(error, capsys)
    assert text.splitlines()[1:] == ["  no answer", "  after 3 tries", "  closing failed too"]


def test_a_missing_extra_comes_with_the_command_that_installs_it(capsys):
    with pytest.raises(SystemExit) as end, reported():
        require("no_such_package", "vowels")
    assert end.value.code == 2
    assert "pip install 'pnn-toolkit[vowels]'" in capsys.readouterr().err


def test_ctrl_c_and_sigterm_have_codes_of_their_own(capsys):
    assert ended(KeyboardInterrupt(), capsys)[0] == 130
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, reported():
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 143
    assert "terminated" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError), reported():
        _ = 1 / 0


def test_a_thread_leaves_signals_to_its_caller():
    done = []

    def work():
        with reported():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
