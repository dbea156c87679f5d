"""``pnn.sweep``: what is measured at each point, and what the file holds."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import pnn
from devices import FunctionDevice, LimitError, Programmable
from devices.hdf5 import valid_rows
from pnn.config import ConfigError
from pnn.log_tools import describe

xarray = pytest.importorskip("xarray")


class Scaled(Programmable):
    """Drives times a gain, plus the sum of two parameters inside."""

    def __init__(self, gain=1.0, low=(0.0, -1.0)):
        if gain < 0:
            raise ValueError(f"Scaled: gain={gain!r} must be at least 0")
        self.spec = pnn.DeviceSpec(name="scaled", n_inputs=3, n_outputs=3, input_unit="V")
        self.gain = gain
        self._start_parameters(low, 5.0, [0.0, 0.0])

    def _program(self, values):
        pass

    def _measure(self, drives):
        return self.gain * drives + self.parameters.sum()


@pytest.fixture
def to(tmp_path):
    return {"out": str(tmp_path / "sweep.h5")}


def test_the_answers_are_those_of_the_point(to):
    probe = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    run = pnn.sweep(
        device=Scaled(),
        axes={
            "drive.1": [0.0, 1.0],
            "parameter.0": {"from": 0, "to": 4, "points": 3},
            "device.gain": [1.0, 2.0],
        },
        probe=probe,
        repeats=2,
        metrics=["mean"],
        **to,
    )
    answers = run.grid.answers
    assert answers.dims == ("drive_1", "parameter_0", "gain", "repeat", "probe", "output")
    for i, drive in enumerate((0.0, 1.0)):
        for j, parameter in enumerate((0.0, 2.0, 4.0)):
            for k, gain in enumerate((1.0, 2.0)):
                driven = probe.copy()
                driven[:, 1] = drive
                expected = gain * driven + parameter
                for repeat in range(2):
                    np.testing.assert_allclose(answers[i, j, k, repeat].values, expected)
                np.testing.assert_allclose(run.metrics["mean"][i, j, k].values, expected.mean())
    assert run.grid.drive_1.attrs["units"] == "V"
    assert run.status == "done"


def test_all_inputs_and_rows_of_a_table(to, tmp_path):
    run = pnn.sweep(device=Scaled(), axes={"drive": [0.25, 0.5]}, **to)
    np.testing.assert_allclose(run.grid.answers[:, 0, 0].values, [[0.25] * 3, [0.5] * 3])
    rows = np.random.default_rng(0).random((4, 3))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
    run = pnn.sweep(
        device=Scaled(),
        axes=[{"what": "drive", "table": str(tmp_path / "rows.csv")}],
        out=str(tmp_path / "table.h5"),
    )
    np.testing.assert_allclose(run.grid.answers[:, 0, 0].values, rows)


def test_the_whole_parameters_from_a_table_and_at_once(to):
    run = pnn.sweep(
        device=Scaled(),
        axes={"parameter": {"table": [[1.0, 2.0], [3.0, -1.0]]}, "drive": [0.0, 1.0]},
        **to,
    )
    expected = np.array([[3.0, 4.0], [2.0, 3.0]])
    np.testing.assert_allclose(run.grid.answers[:, :, 0, 0, 0].values, expected)


def test_an_open_device_stays_open_with_its_parameters(to):
    with Scaled() as device:
        device.program([1.0, 1.0])
        run = pnn.sweep(device=device, axes={"parameter.1": [-1.0, 2.0]}, probe=1, **to)
        assert device.is_open
        assert device.parameters.tolist() == [1.0, 1.0]
        assert device.ledger.queries["probe"] == 2
    answers = run.grid.answers.isel(repeat=0, probe=0, output=0).values
    assert answers[1] - answers[0] == pytest.approx(3.0)


def test_repeats_and_averages_take_fresh_noise(to):
    noisy = {"name": "sim:scattering-medium", "n_inputs": 4, "n_outputs": 400, "ideal": True,
             "wrap": [{"name": "noisy"}]}  # fmt: skip
    run = pnn.sweep(
        device=noisy,
        axes={"wrap.0.additive": [0.1, 0.2]},
        probe={"hold": 0.0},
        repeats=6,
        averages=4,
        **to,
    )
    noise = run.grid.answers.std("repeat").mean(("probe", "output")).values
    # c4(6) = 0.952 with ddof=1; ddof=0 gives 0.952 sqrt(5/6) of sigma / sqrt(averages)
    np.testing.assert_allclose(noise, np.array([0.05, 0.1]) * 0.952 * np.sqrt(5 / 6), rtol=0.05)
    assert run.attributes["plan"]["queries"] == 2 * 6 * 4
    faults = describe(run.path)["recordings"]["/rows"]["faults"]
    assert not any(faults.values())  # averages are no attempts in vain


def test_plain_xarray_shows_the_grid(to):
    pnn.sweep(
        device=Scaled(),
        axes=[
            {"what": "device.gain", "values": [1.0, 2.0], "zip": "pair", "unit": "V"},
            {"what": "drive.0", "values": [0.0, 1.0], "zip": "pair"},
            {"what": "parameter.0", "values": [0.0, 1.0, 2.0]},
        ],
        **to,
    )
    with xarray.open_dataset(to["out"], engine="h5netcdf", group="grid") as grid:
        assert grid.answers.dims == ("pair", "parameter_0", "repeat", "probe", "output")
        assert {"gain", "drive_0", "parameter_0", "repeat", "probe"} <= set(grid.coords)
        assert grid.gain.attrs["units"] == "V"
        assert grid.attrs["signal"] == "answers"
        assert list(grid.attrs["axes"]) == [".", "parameter_0", "repeat", "probe", "."]
        assert grid.time.dtype.kind == "M"
        assert grid.done.values.all()
        assert not np.isnan(grid.answers).any()
    with pnn.open_run(to["out"]) as run:
        rows = run.rows
        assert rows.gain.dims == ("row",)
        np.testing.assert_allclose(rows.drives[:, 0], rows.drive_0)


def test_a_table_of_our_own_function_is_a_metric(to, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def top(drives, answers):\n    return answers.max()\n")

    def span(drives, answers):
        return np.ptp(answers)

    run = pnn.sweep(
        device=Scaled(), axes={"drive.0": [0.0, 1.0]}, metrics=[f"{file}:top", span], **to
    )
    answers = run.grid.answers
    np.testing.assert_allclose(run.metrics.top, answers.max(("probe", "output")))
    assert (run.metrics.span > 0).all()


def test_a_metric_that_fails_loses_no_answer_and_is_made_up_for(to):
    calls = []

    def shaky(drives, answers):
        calls.append(1)
        if len(calls) == 3:
            raise ZeroDivisionError("mine")
        return 1.0

    with pytest.raises(ValueError, match=r"shaky failed at point .* ZeroDivisionError: mine"):
        pnn.sweep(device=Scaled(), axes={"drive.0": [0, 0.5, 1.0]}, metrics=[shaky], **to)
    with h5py.File(to["out"]) as file:
        assert file.attrs["status"] == b"failed"
        assert valid_rows(file["rows"]) == 3 * 16
    run = pnn.sweep(resume=to["out"], device=Scaled(), metrics=[shaky], accept=True)
    assert run.metrics.shaky.values.ravel().tolist() == [1.0, 1.0, 1.0]
    assert run.rows.sizes["row"] == 3 * 16


def test_a_device_with_memory_starts_each_point_at_rest(to):
    class Summing(pnn.Device):
        def __init__(self):
            self.spec = pnn.DeviceSpec(name="summing", n_inputs=1, n_outputs=1, memory=True)
            self.sum = 0.0

        def _reset(self):
            self.sum = 0.0

        def _measure(self, drives):
            out = self.sum + drives.cumsum(axis=0)
            self.sum = float(out[-1, 0])
            return out

    run = pnn.sweep(device=Summing(), axes={"drive.0": [0.5, 1.0]}, probe=np.zeros((2, 1)), **to)
    np.testing.assert_allclose(run.grid.answers[:, 0, :, 0].values, [[0.5, 1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("axes", "settings", "kind", "message"),
    [
        ({"drive.1": [0.5, 7.0]}, {}, LimitError, r"axis drive_1: value 7: .* outside \[0, 1\] V"),
        ({"drive": [2.0]}, {}, LimitError, r"axis all_drives: value 2: .* outside \[0, 1\]"),
        ({"parameter.1": [0, 6]}, {}, LimitError, r"axis parameter_1: value 6: .* \[-1, 5\]"),
        ({"drive.9": [0.5]}, {}, ConfigError, "inputs 0 to 2"),
        ({"parameter.2": [0.5]}, {}, ConfigError, "parameters 0 to 1"),
        ({"device.gian": [0.5]}, {}, ConfigError, "no argument gian; did you mean gain"),
        ({"device.gain": [0.5, -1.0]}, {}, ConfigError, r"gain = -1.0: .* at least 0"),
        ({"wrap.0.n": [1]}, {}, ConfigError, "has 0 wrappers"),
        ({"drive.0": ["a"]}, {}, ConfigError, "needs numbers, got 'a'"),
        ({"drive": {"table": [[1.0]]}}, {}, ConfigError, "1 columns, scaled has 3 inputs"),
        ({"drive": [0.5]}, {"probe": 3}, ConfigError, "an axis drives all inputs"),
        ({"drive.0": [0.5]}, {"probe": [[0.0, 0.0, 4.0]]}, LimitError, r"\[probe\]: .* drive 4"),
        ({"drive.0": [0.5]}, {"metrics": ["men"]}, ConfigError, "there is no 'men'"),
        ({"drive.0": [0.5]}, {"metrics": ["no.py:f"]}, ConfigError, "no file"),
        ({"drive.0": [0.5]}, {"repeats": 0}, ConfigError, "repeats = 0"),
    ],
)
def test_nothing_is_driven_and_written_if_anything_is_wrong(axes, settings, kind, message, to):
    device = Scaled()
    with pytest.raises(kind, match=message):
        pnn.sweep(device=device, axes=axes, **settings, **to)
    assert device.ledger.total == 0
    assert not Path(to["out"]).exists()


def test_a_file_in_the_way_is_told_before_anything_is_driven(to, tmp_path):
    device = Scaled()
    (tmp_path / "sweep.h5").write_text("mine")
    with pytest.raises(FileExistsError, match="not overwritten"):
        pnn.sweep(device=device, axes={"drive.0": [0.5]}, **to)
    with pytest.raises(OSError, match="folder"):
        pnn.sweep(device=device, axes={"drive.0": [0.5]}, out=str(tmp_path / "sweep.h5" / "x.h5"))
    assert device.ledger.total == 0


def test_limits_that_the_rig_alone_knows_are_asked_for_all_points(to, tmp_path):
    rig = tmp_path / "rig.toml"
    rig.write_text(
        """
        [rig]
        kind = "board"
        n_inputs = 2
        n_outputs = 2
        low_v = 0.0
        high_v = 3.0
        [instruments.board]
        driver = "board"
        address = "loop:nowhere"
        [limits]
        sum_v = 4.0
        """
    )
    with pytest.raises(LimitError, match=r"axis drive_0 = 3.0, drive_1 = 3.0: .* sum_v"):
        pnn.sweep(
            device=str(rig), axes={"drive.0": [1.0, 3.0], "drive.1": [1.0, 3.0]}, probe=1, **to
        )


def test_a_function_is_swept_by_its_arguments(to):
    device = FunctionDevice(np.tanh, 2, 2, high=1.0)
    run = pnn.sweep(device=device, axes={"device.high": [1.0, 2.0]}, probe=2, **to)
    assert run.grid.sizes["high"] == 2
    assert run.rows.axis_high.dims == ("row",)  # beside the column of the limits
    assert run.rows.high.dims == ("input",)
