import h5py
import numpy as np
import pytest

from devices import FunctionDevice, Recorded, Replay
from devices.hdf5 import Column, RecordFile
from devices.recorded_rows import digest, read_rows, spec_of_rows


def box(**spec):
    return FunctionDevice(lambda u: u @ np.ones((2, 3)), 2, 3, name="box", **spec)


def test_limits_domain_and_units_come_back(tmp_path):
    low, high = (-1.0, 0.0), (1.0, 5.0)
    spec = {"low": low, "high": high, "input_unit": "V", "output_unit": "A", "domain": "tones"}
    with Recorded(box(**spec, settle_s=0.0, watts=3.0), tmp_path / "r.h5") as device:
        answers = device.measure([[0.5, 2.0], [0.0, 1.0]])
    rows = read_rows(tmp_path / "r.h5")
    assert (rows.answers == answers).all()
    found = rows.spec
    assert (found.low, found.high, found.domain) == (low, high, "tones")
    assert (found.name, found.input_unit, found.output_unit) == ("box", "V", "A")
    assert found.watts is None
    with Replay(tmp_path / "r.h5") as replay:
        assert (replay.spec.low, replay.spec.high) == (low, high)


def test_recordings_of_one_device_are_read_together_of_several_not(tmp_path):
    path = tmp_path / "run.h5"
    with RecordFile(path, kind="train") as file:
        groups = [file.group(f"seed_{k}/measurements_0") for k in range(2)]
        shared = box()
        with Recorded(shared, groups[0]) as one, Recorded(shared, groups[1]) as two:
            one.measure([[0.0, 0.2]])
            two.measure([[0.1, 0.2]])
    assert read_rows(path).drives.tolist() == [[0.0, 0.2], [0.1, 0.2]]
    other = tmp_path / "other.h5"
    with RecordFile(other, kind="train") as file:
        groups = [file.group(f"seed_0/measurements_{k}") for k in range(2)]
        with Recorded(box(), groups[0]) as one, Recorded(box(high=2.0), groups[1]) as two:
            one.measure([[0.0, 0.2]])
            two.measure([[0.1, 0.2]])
    with pytest.raises(ValueError, match=r"different devices.*measurements_0, seed_0/meas"):
        read_rows(other)
    assert read_rows(path, "seed_1/measurements_0").drives.tolist() == [[0.1, 0.2]]
    with pytest.raises(ValueError, match=r"no drives and answers in 'seed_7'; it has them in"):
        read_rows(path, "seed_7")


def test_a_file_with_one_recording_needs_no_group(tmp_path):
    with (
        RecordFile(tmp_path / "run.h5", kind="train") as file,
        Recorded(box(), file.group("seed_3/measurements_0")) as device,
    ):
        device.measure([[0.1, 0.2]])
    with Replay(tmp_path / "run.h5") as replay:
        assert replay.measure([[0.1, 0.2]]) == pytest.approx(np.full((1, 3), 0.3))


def test_counts_are_read_in_their_unit(tmp_path):
    with RecordFile(tmp_path / "r.h5", kind="recording") as file:
        log = file.rows(
            {
                "drives": Column(dims={"input": 1}),
                "answers": Column(dims={"output": 1}, dtype="int16", scale=0.5, offset=1.0),
            }
        )
        log.append(drives=[[1.0], [2.0]], answers=[[3.0], [-4.5]])
    assert read_rows(tmp_path / "r.h5").answers.tolist() == [[3.0], [-4.5]]


def test_rows_of_an_unknown_device_have_the_limits_of_their_drives():
    drives, answers = np.array([[0.0, 7.0], [2.0, 7.0]]), np.array([[1j], [2.0]])
    spec = spec_of_rows(drives, answers, input_unit="V")
    assert (spec.low, spec.high) == ((0.0, 7.0), (2.0, 8.0))  # the second never moved
    assert spec.is_complex
    assert digest(drives, answers) != digest(drives, 2 * answers)


def test_files_of_others_are_recordings_if_they_have_the_arrays(tmp_path):
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["drives"], file["answers"] = [[1, 2], [3, 4]], [[1.0], [2.0]]
    rows = read_rows(tmp_path / "r.h5")
    assert rows.drives.dtype == np.float64
    assert (rows.spec.low, rows.spec.high) == (1.0, 4.0)


def test_a_nearest_drive_is_one_in_units_of_the_ranges(tmp_path):
    device = box(low=(0.0, 0.0), high=(1.0, 1000.0))
    with Recorded(device, tmp_path / "r.h5") as recorded:
        recorded.measure([[0.5, 100.0], [0.9, 110.0]])
    with Replay(tmp_path / "r.h5", tolerance=0.05) as replay:
        # In plain numbers the second row would be nearer.
        assert replay.measure([[0.5, 109.0]]) == pytest.approx(np.full((1, 3), 100.5))
