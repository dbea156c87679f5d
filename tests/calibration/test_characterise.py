import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from typer.testing import CliRunner

import calibration
from calibration import (
    Recording,
    characterise,
    characterise_recording,
    expected_gain,
    read_recording,
    suggestions,
    summary,
    verdict,
    wave_fit,
)
from devices import (
    DeadChannels,
    DeviceError,
    FunctionDevice,
    Noisy,
    Recorded,
    build_device,
    register_device,
)
from pnn.cli.main import app

CAVITY = Path(calibration.__file__).parents[2] / "shared" / "data" / "acoustic_cavity"
TABLE = Path(calibration.__file__).parents[1] / "docs" / "simulators" / "README.md"


def box():
    wires = np.random.default_rng(3).normal(size=(6, 12))
    return DeadChannels(
        FunctionDevice(lambda u: u @ wires + 5.0, 6, 12, name="box"), outputs=[4], inputs=[2]
    )


def run(*arguments, verb="characterise"):
    return CliRunner().invoke(app, [verb, *map(str, arguments)])


@pytest.mark.skipif(not CAVITY.is_dir(), reason="the recording is not here")
def test_the_recorded_cavity():
    found = characterise_recording(read_recording(CAVITY / "drives.csv", CAVITY / "answers.csv"))
    content = summary(found)
    assert content["affine_share"] == pytest.approx(0.956, abs=0.01)
    assert content["quadratic_share"] == pytest.approx(0.977, abs=0.01)
    assert content["participation_ratio"] == pytest.approx(3.4, abs=0.15)
    assert content["quiet_outputs"] == [1, 3, 6, 8, 11, 13, 16, 18]
    assert content["dead_inputs"] == [3, 4, 8, 9, 13, 14, 18, 19]
    assert content["blocks"] == [
        {"inputs": [0, 5, 10, 15], "outputs": [0, 5, 10, 15]},
        {"inputs": [1, 6, 11, 16], "outputs": [2, 7, 12, 17]},
        {"inputs": [2, 7, 12, 17], "outputs": [4, 9, 14, 19]},
    ]
    assert content["magnitude_r2"] == pytest.approx(0.99, abs=0.005)
    assert content["snr_db"] is None
    assert content["suggestions"]["rule"] == "readout"
    text = verdict(found)
    assert "Expect no gain over a linear model" in content["verdict"]
    assert "8 inputs without effect" in content["verdict"]
    assert len(text.splitlines()) < 40


def test_a_device_with_known_faults():
    with Noisy(box(), 0.1, seed=1) as device:
        found = characterise(device, rows=600)
        assert device.ledger.queries["calibration"] == found.queries == 1200
    content = summary(found)
    assert content["quiet_outputs"] == [4]
    assert content["dead_inputs"] == [2]
    assert content["dimensions_above_noise"] == 5
    wires = np.random.default_rng(3).normal(size=(6, 12))
    power = np.delete((np.delete(wires, 2, axis=0) ** 2).sum(axis=0) / 12, 4)
    assert content["snr_db"] == pytest.approx(np.median(10 * np.log10(power / 0.01)), abs=0.7)
    assert content["affine_index"] == pytest.approx(0, abs=0.01)
    assert suggestions(found)["drop_outputs"] == [4]
    assert "SNR" in verdict(found)


def test_advice_follows_from_the_numbers():
    wires = np.random.default_rng(3).normal(size=(6, 40))
    bent = FunctionDevice(lambda u: np.cos(3 * u @ wires), 6, 40)
    with Noisy(bent, 0.35) as device:
        advice = suggestions(characterise(device, rows=400))
    # What the table of docs/choosing-a-rule.md begins with.
    assert advice["rule"] == "mono-forward"
    # A power of 1/2 against 0.12 is 6 dB; 20 dB need 14 dB more: 25 averages.
    assert 20 <= advice["averages"] <= 30
    with Noisy(box(), 100.0) as device:
        assert "answers is noise" in summary(characterise(device, rows=100))["verdict"]


def sentence(function, n_inputs, n_outputs, noise=0.01, rows=400, **spec):
    box = FunctionDevice(function, n_inputs, n_outputs, name="box", **spec)
    with Noisy(box, noise) as device:
        return summary(characterise(device, rows=rows))["verdict"]


def test_the_sentence_names_the_law():
    rng = np.random.default_rng(0)
    wires = rng.normal(size=(2, 6, 8))
    # A mixer: currents times voltages.
    mixed = sentence(lambda u: (u[:, :3] @ wires[0, :3]) * (u[:, 3:] @ wires[1, :3]), 6, 8, low=-1)
    assert "Inputs multiply each other: a bilinear law" in mixed
    assert "one mask seldom beats a linear model: compare several" in mixed
    matrix = rng.normal(size=(6, 8, 2)) @ [1, 1j]
    phases = sentence(
        lambda u: np.abs(np.exp(1j * u) @ matrix) ** 2, 6, 8, high=2 * np.pi, domain="phase"
    )
    assert "interfering waves read by intensity: |T exp(ix) + b|^2 explains 100.0 %" in phases
    assert "0.0 % affine" in phases
    intensity = sentence(lambda u: np.abs(u @ matrix) ** 2, 6, 8, low=-1)
    assert "a linear device read by intensity: |Hx + b|^2" in intensity
    # Of a linear device with positive answers, every magnitude is the answer itself.
    linear = sentence(lambda u: u @ np.abs(wires[0]) + 1.0, 6, 8)
    assert "read by" not in linear
    assert "multiply" not in linear
    assert "Expect no gain over a linear model" in linear


def gain_over_linear(name, setting):
    """Return the gain that the table of simulators has, in points."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"| `{name}` | {setting} "):
            return float(line.split("|")[6].split("(")[0])
    raise AssertionError(f"{name}, {setting} is not in {TABLE}")


@pytest.mark.parametrize(
    ("name", "setting", "expected"),
    [
        ("sim:pendulum-network", "measured-like", "none"),
        ("sim:dyadic-network", "rich", "masks"),
        ("sim:interferometer-mesh", "measured-like", "masks"),
        ("sim:multimode-fibre", "measured-like", "little"),
        ("sim:diffractive-stack", "rich", "likely"),
    ],
)
def test_the_expected_gain_agrees_with_the_measured_one(name, setting, expected):
    with build_device(f"{name}?setting={setting}", defaults={"n_inputs": 64}) as device:
        found = characterise(device, rows=700)
    assert expected_gain(found) == summary(found)["expected_gain"] == expected
    assert (gain_over_linear(name, setting) > 0) == (expected in ("little", "likely"))
    assert ("Expect no gain" in summary(found)["verdict"]) == (expected == "none")


def test_many_inputs_of_equal_weight_are_all_alive():
    wires = np.random.default_rng(0).normal(size=(150, 30))
    with Noisy(FunctionDevice(lambda u: u @ wires, 150, 30), 0.1) as device:
        content = summary(characterise(device, rows=600))
    assert content["dead_inputs"] == []
    assert [len(block["inputs"]) for block in content["blocks"]] == [150]


def test_lines_fit_on_a_screen():
    wires = np.random.default_rng(0).normal(size=(40, 400)) * (np.arange(400) % 3 > 0)
    with Noisy(FunctionDevice(lambda u: u @ wires, 40, 400, name="box"), 0.1) as device:
        text = verdict(characterise(device, rows=300))
    assert max(map(len, text.splitlines())) <= 96
    assert len(text.splitlines()) < 40


def test_repeats_in_a_recording_tell_the_noise():
    rng = np.random.default_rng(0)
    drives = np.repeat(rng.random((300, 3)), 2, axis=0)[rng.permutation(600)]
    answers = drives @ rng.normal(size=(3, 5)) + 0.1 * rng.normal(size=(600, 5))
    found = characterise_recording(Recording(drives=drives, answers=answers))
    assert found.dimensions is not None
    assert found.dimensions.count == 3
    assert found.rows == 300
    assert found.consistency > 0.8
    assert found.notes == ()


def test_correlated_inputs_are_noted():
    drives = np.random.default_rng(0).random((300, 3))
    drives[:, 2] = drives[:, 0]
    found = characterise_recording(Recording(drives=drives, answers=drives))
    assert any("correlated" in note for note in found.notes)


def test_recordings_are_read_from_hdf5_and_csv(tmp_path):
    with Recorded(box(), tmp_path / "run.h5") as device:
        drives = np.random.default_rng(0).random((50, 6))
        answers = device.measure(drives)
    found = read_recording(tmp_path / "run.h5")
    assert found.name == "box"
    assert found.drives.tolist() == drives.tolist()
    for name, values in (("drives", drives), ("answers", answers)):
        np.savetxt(tmp_path / f"{name}.csv", values, delimiter=",")
    again = read_recording(tmp_path / "drives.csv", tmp_path / "answers.csv")
    assert again.answers == pytest.approx(found.answers)


def test_recordings_that_are_none(tmp_path):
    (tmp_path / "words.csv").write_text("a,b\nc,d\n")
    (tmp_path / "short.csv").write_text("1,2\n3,4\n")
    (tmp_path / "long.csv").write_text("1\n2\n3\n")
    with pytest.raises(ValueError, match="not a table of numbers"):
        read_recording(tmp_path / "words.csv", tmp_path / "words.csv")
    with pytest.raises(ValueError, match="same number of rows"):
        read_recording(tmp_path / "short.csv", tmp_path / "long.csv")
    with pytest.raises(ValueError, match="two CSV files"):
        read_recording(tmp_path / "short.csv")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ValueError, match="no drives and answers"):
        read_recording(tmp_path / "empty.h5")


def test_the_command_prints_draws_and_writes(tmp_path):
    out = tmp_path / "cavity.h5"
    name = "sim:scattering-medium?n_inputs=6&n_outputs=20"
    done = run(name, "--rows", 200, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content["queries"] == 400
    assert content["n_outputs"] == 20
    assert content["files"] == [str(out), str(out.with_suffix(".png"))]
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    with h5py.File(out) as file:
        assert file.attrs["kind"] == "characterisation"
        assert file.attrs["status"] == b"done"
        assert file["measurements/answers"].shape == (400, 20)
        assert json.loads(file.attrs["summary"])["n_inputs"] == 6
    assert "400 queries" in done.stderr
    again = run(out, "--out", tmp_path / "again.h5", "--no-plots")
    assert again.exit_code == 0, again.output
    assert "from the recording alone" in again.stdout
    assert not (tmp_path / "again.png").exists()
    with h5py.File(tmp_path / "again.h5") as file:
        assert file["answers"].shape == (200, 20)


def test_rows_measured_before_a_failure_are_kept_and_serve(tmp_path):
    left = 150

    def measure(drives):
        nonlocal left
        left -= len(drives)
        if left < 0:
            raise OSError("no power")
        return np.sin(drives @ np.ones((3, 4)))

    register_device("characterised:dying", lambda: FunctionDevice(measure, 3, 4, max_batch=10))
    done = run("characterised:dying", "--rows", 100, "--out", tmp_path / "broken.h5")
    assert done.exit_code == 3
    again = run(tmp_path / "broken.h5", "--out", tmp_path / "again.h5", "--no-plots", "--json")
    assert json.loads(again.stdout)["rows"] == 100


def test_a_device_that_answers_always_the_same_has_failed(tmp_path):
    device = FunctionDevice(lambda u: np.full((len(u), 4), 0.1), 3, 4, name="still")
    with device, pytest.raises(DeviceError, match="no output moves"):
        characterise(device, rows=20)
    register_device("characterised:still", lambda: device)
    out = tmp_path / "still.h5"
    done = run("characterised:still", "--rows", 20, "--out", out, "--no-plots")
    assert done.exit_code == 3
    assert "40 rows between the limits of its inputs have the same answer" in done.stderr
    assert f"what was measured is in {out}" in done.stderr
    with h5py.File(out) as file:
        assert file["measurements/answers"].shape == (40, 4)


def test_many_inputs_are_fitted_at_few_outputs_by_one_thread(monkeypatch):
    threads = []

    def fit(z, y, begin):
        threads.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return begin, 1

    monkeypatch.setattr(wave_fit, "_refined", fit)
    wires = np.random.default_rng(0).normal(size=(80, 30))
    device = FunctionDevice(lambda u: np.abs(u @ wires) + 1.0, 80, 30, name="box")
    with device, threadpool_limits(limits=2):
        characterise(device)
    assert set(threads) == {1}
    # Two trials of 2 parts and all, and a fit of 5 parts and all, at 4 outputs each.
    assert len(threads) % 48 == 0


def test_progress_is_told():
    seen = []
    with Noisy(box(), 0.1) as device:
        characterise(device, rows=200, progress=lambda *step: seen.append(step))
    assert ("measure rows", 400, 400) in seen
    fits = [done for what, done, total in seen if what == "fit waves" and total == 12]
    assert fits == list(range(1, 13))


def test_the_command_says_what_is_wrong_before_it_drives(tmp_path):
    name = "sim:scattering-medium?n_inputs=6&n_outputs=20"
    dry = run(name, "--dry-run")
    assert dry.stderr.startswith("characterise scattering-medium: 2000 queries, about")
    assert dry.stdout == ""
    few = run(name, "--rows", 5)
    assert few.exit_code == 2
    assert "rows=5 must be a whole number of at least 21" in few.stderr
    taken = tmp_path / "taken.h5"
    taken.touch()
    assert run(name, "--out", taken).exit_code == 4
    for picture in (tmp_path / "x.png", tmp_path / "x.PNG"):
        refused = run(name, "--out", picture, "--dry-run")
        assert refused.exit_code == 2
        assert f"name the HDF5 file, {tmp_path / 'x.h5'}" in refused.stderr
    memory = run("sim:delay-line?memory=true&n_inputs=1", "--dry-run")
    assert memory.exit_code == 2
    assert "`pnn calibrate DEVICE --only memory`" in memory.stderr
    assert "queries" not in memory.stderr
    assert run(tmp_path / "a.h5").exit_code == 4
