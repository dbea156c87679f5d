import numpy as np
import pytest

from devices import DeviceError, FunctionDevice, Noisy, Recorded, Replay, build_device


@pytest.fixture
def recording(tmp_path):
    """Six rows, the first drive three times, through a noisy box."""
    drives = np.array([[0.1, 0.2], [0.3, 0.4], [0.1, 0.2], [0.5, 0.6], [0.1, 0.2], [0.0, 1.0]])
    box = Noisy(FunctionDevice(lambda u: u @ np.ones((2, 3)), 2, 3, input_unit="V"), additive=0.1)
    with Recorded(box, tmp_path / "r.h5") as device:
        answers = device.measure(drives)
    return tmp_path / "r.h5", drives, answers


def test_recorded_drives_get_their_answers_and_repeats_come_in_turn(recording):
    path, drives, answers = recording
    with Replay(path) as device:
        assert (device.measure(drives) == answers).all()
        again = device.measure(drives[:1], averages=3)
        assert again[0] == pytest.approx(answers[[0, 2, 4]].mean(axis=0))
        assert device.spec.input_unit == "V"


def test_another_drive_is_an_error_that_says_how_far_the_nearest_is(recording):
    path, drives, answers = recording
    with Replay(path) as device, pytest.raises(DeviceError, match=r"0\.05 away") as caught:
        device.measure([drives[1], [0.3, 0.45]])
    assert caught.value.failed_row == 1
    assert (caught.value.rows == answers[1:2]).all()


def test_the_nearest_within_a_tolerance(recording):
    path, _, answers = recording
    with build_device(f"replay?path={path}&tolerance=0.1") as device:
        assert (device.measure([[0.3, 0.45]]) == answers[1]).all()


def test_files_that_are_no_recordings(recording, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Replay(tmp_path / "none.h5")
    with pytest.raises(ValueError, match="no drives and answers in 'seed_0'"):
        Replay(recording[0], group="seed_0")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(ValueError, match="no drives and answers"):
        Replay(tmp_path / "text.h5")
    with pytest.raises(ValueError, match="tolerance=-1"):
        Replay(recording[0], tolerance=-1)
