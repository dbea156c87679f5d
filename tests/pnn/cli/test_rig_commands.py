"""``pnn rig`` and ``pnn bench`` in shells of their own: what a user types, and what is left on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pnn.rig_check import check_rig, check_text

pytest.importorskip("pyvisa_py")
pytest.importorskip("cobs")

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "virtual_bench"
PNN = [sys.executable, "-m", "pnn"]
SMALL = """\
[rig]
kind = "waveform"
n_inputs = 64
window_samples = 1024
settle_samples = 256

[instruments.generator]
driver = "keysight-33500"
load_ohm = inf

[instruments.oscilloscope]
driver = "infiniivision"
channels = [1, 2]
range_v = 4.0
acquisition = "hresolution"
points = 5000

[sim]
device = "sim:acoustic-cavity?n_inputs=64&n_outputs=128&n_settle=256"
"""
BOARD = (EXAMPLES / "board.toml").read_text()
# Drives on and on, and says when it has begun.
DRIVING = """\
import sys
import numpy as np
from devices.rigs import open_rig
with open_rig(sys.argv[1]) as device:
    while True:
        device.measure(np.full((1, device.spec.n_inputs), 0.5))
        print("driving", flush=True)
"""


def run(*arguments, **options):
    return subprocess.run(
        [*PNN, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=240, **options,
    )  # fmt: skip


@pytest.fixture
def serve(tmp_path):
    """Return what starts `pnn bench serve` in another process and waits for its addresses."""
    started = []

    def start(text, *options):
        source, served = tmp_path / "rig.toml", tmp_path / "served.toml"
        source.write_text(text)
        shell = subprocess.Popen(
            [*PNN, "bench", "serve", str(source), "--write", str(served), "--json", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(shell)
        return served, json.loads(shell.stdout.readline())["addresses"]

    yield start
    for shell in started:
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(20) == 0 or sys.platform == "win32"  # where SIGTERM is the end


@pytest.fixture
def locks(tmp_path, monkeypatch):
    monkeypatch.setenv("PNN_LOCK_DIR", str(tmp_path / "locks"))


def asked(address, question):
    """Ask a SCPI instrument of the bench, past everything that the toolkit does."""
    import socket

    host, port = re.fullmatch(r"TCPIP::(.*)::(\d+)::SOCKET", address).groups()
    with socket.create_connection((host, int(port)), 5.0) as link:
        link.sendall(question.encode() + b"\n")
        return link.recv(1000).decode().strip()


def test_list_names_what_there_is_or_what_is_missing():
    done = run("rig", "list", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found["visa"], dict)
    assert isinstance(found["serial"], dict)
    assert "serial:" in run("rig", "list").stdout


def test_check_says_what_answers_how_fast_and_how_repeatably(serve, locks):
    served, _ = serve(SMALL)
    done = run("rig", "check", served, "--json", "--rows", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert "33522B" in result["instruments"]["generator"]["identity"]
    assert result["instruments"]["oscilloscope"]["latency_s"] < 0.5
    assert result["rig"]["repeatability"] < 0.1 < result["rig"]["response"]
    assert result["rig"]["timing"]["settle_samples"] > 256
    assert "the file has 256" in result["rig"]["notes"][0]
    text = run("rig", "check", served, "--no-drive").stdout
    assert "DSO-X" in text
    assert "all is well" in text


def test_check_measures_how_many_frames_are_old(tmp_path, locks):
    text = (EXAMPLES / "optical.toml").read_text().replace("flush_frames = 2", "flush_frames = 1")
    (tmp_path / "rig.toml").write_text(text)
    (tmp_path / "optical_table.py").write_text((EXAMPLES / "optical_table.py").read_text())
    done = run("rig", "check", tmp_path / "rig.toml", "--rows", "4")
    assert done.returncode == 3
    assert (
        "try: 2 frames after a change are old: flush_frames = 2; the file has 1, which is too few"
        in done.stdout
    )


def test_check_says_which_identity_is_not_checked(serve, locks):
    text = (EXAMPLES / "metasurface.toml").read_text()
    served, _ = serve(text, "--fault", "surface:identity,after=1")
    named = check_rig(served, rows=0)
    assert named["ok"]
    assert "not checked" not in check_text(named)
    assert not check_rig(served, rows=0)["ok"]
    served.write_text(re.sub("idn = .*", "", served.read_text()))
    told = check_text(check_rig(served, rows=0))
    assert "surface: Elsewhere" in told
    assert "note: identity not checked: set idn" in told


def test_check_refuses_a_range_beyond_the_limits_before_it_connects(tmp_path):
    rig = tmp_path / "rig.toml"
    rig.write_text(BOARD.replace("peak_v = 3.3", "peak_v = 1.0"))
    with pytest.raises(ValueError, match=r"3.3 V is beyond peak_v = 1 V.*high_v"):
        check_rig(rig)
    done = run("train", "digits-acoustic", "--rig", rig, "--mode", "sim", "--dry-run", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert "3.3 V is beyond peak_v = 1 V" in done.stderr


def test_check_names_a_monitor_that_fails(serve, locks, tmp_path):
    (tmp_path / "lab.py").write_text("def kelvin():\n    raise OSError('no thermometer')\n")
    served, _ = serve(SMALL + '[monitors.room]\nfunction = "lab.py:kelvin"\n')
    message = "monitor 'room' cannot be read: OSError: no thermometer"
    assert message in check_rig(served)["rig"]["error"]
    done = run("train", "digits-acoustic", "--rig", served, "--no-controls", cwd=tmp_path)
    assert done.returncode == 3, done.stdout
    assert message in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_serve_says_at_its_end_how_often_faults_struck(tmp_path):
    rig = tmp_path / "rig.toml"
    rig.write_text(SMALL)
    faults = ("--fault", "generator:error,after=1", "--fault", "oscilloscope:nan")
    with subprocess.Popen(
        [*PNN, "bench", "serve", str(rig), "--json", *faults],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as shell:  # fmt: skip
        addresses = json.loads(shell.stdout.readline())["addresses"]
        asked(addresses["generator"], "*CLS;:OUTP1?")
        asked(addresses["generator"], "OUTP1?")
        shell.send_signal(signal.SIGINT)
        said = shell.communicate(timeout=20)[1]
    assert "fault generator:error struck 1 time\n" in said
    assert "fault oscilloscope:nan struck 0 times: 0 events came" in said


def test_check_names_what_is_wrong_and_what_to_try(serve, locks):
    served, _ = serve(SMALL, "--fault", "generator:identity")
    other = served.with_name("other.toml")
    other.write_text(
        re.sub(
            r"(oscilloscope\]\naddress = \"TCPIP::127.0.0.1::)\d+", r"\g<1>9", served.read_text()
        )
    )
    done = run("rig", "check", other)
    assert done.returncode == 3
    assert re.search(r"generator: FAILED: .*Elsewhere", done.stdout)
    assert re.search(r"oscilloscope: FAILED:.*\n  try: is it switched on", done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_program_leaves_outputs_off_at_once(serve, locks, signum):
    served, addresses = serve(SMALL)
    driving = subprocess.Popen([sys.executable, "-c", DRIVING, str(served)], stdout=subprocess.PIPE)
    driving.stdout.readline()
    assert asked(addresses["generator"], "OUTP1?") == "1"
    driving.send_signal(signum)
    driving.communicate(timeout=20)
    assert asked(addresses["generator"], "OUTP1?") == "0"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_after_a_kill_safe_switches_off(serve, locks):
    served, addresses = serve(SMALL)
    driving = subprocess.Popen([sys.executable, "-c", DRIVING, str(served)], stdout=subprocess.PIPE)
    driving.stdout.readline()
    driving.kill()
    driving.communicate(timeout=20)
    assert asked(addresses["generator"], "OUTP1?") == "1", "nobody has switched it off"
    done = run("rig", "safe", served, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["instruments"] == {"oscilloscope": "off", "generator": "off"}
    assert asked(addresses["generator"], "OUTP1?") == "0"


def test_safe_says_what_it_could_not_reach_and_does_the_rest(serve, locks):
    served, addresses = serve(SMALL)
    served.write_text(
        re.sub(
            r"(oscilloscope\]\naddress = \"TCPIP::127.0.0.1::)\d+", r"\g<1>9", served.read_text()
        )
    )
    assert asked(addresses["generator"], "OUTP1 ON;:OUTP1?") == "1"
    done = run("rig", "safe", served)
    assert done.returncode == 3
    assert "oscilloscope: NOT OFF" in done.stdout
    assert "generator: off" in done.stdout
    assert asked(addresses["generator"], "OUTP1?") == "0"


def test_two_shells_reach_the_accuracy_of_the_simulator(serve, locks, tmp_path):
    options = ["--rule", "readout", "--no-controls", "--json"]
    served, _ = serve(BOARD, *([] if sys.platform == "win32" else ["--pty"]))
    config = small_config(tmp_path)
    on_bench = run("train", config, "--rig", served, *options, cwd=tmp_path)
    assert on_bench.returncode == 0, on_bench.stderr
    in_process = run("train", config, "--rig", served, "--mode", "sim", *options, cwd=tmp_path)
    assert in_process.returncode == 0, in_process.stderr
    one, other = (accuracy(done.stdout) for done in (on_bench, in_process))
    assert one > 0.8
    assert one == pytest.approx(other, abs=0.03)


@pytest.mark.slow
def test_two_shells_train_through_generator_and_oscilloscope(serve, locks, tmp_path):
    options = ["--rule", "readout", "--no-controls", "--json"]
    served, _ = serve((EXAMPLES / "acoustic.toml").read_text())
    config = small_config(tmp_path)
    on_bench = run("train", config, "--rig", served, *options, cwd=tmp_path)
    assert on_bench.returncode == 0, on_bench.stderr
    in_process = run("train", config, "--rig", served, "--mode", "sim", *options, cwd=tmp_path)
    one, other = (accuracy(done.stdout) for done in (on_bench, in_process))
    assert one == pytest.approx(other, abs=0.03)


def small_config(folder):
    path = folder / "config.toml"
    path.write_text('[data]\nsource = "digits"\n[device]\nname = "sim:acoustic-cavity"\n')
    return path


def accuracy(text):
    found = re.findall(r'"(?:accuracy|device)": \{?"?(?:mean"?: )?(0\.\d+|1\.0)', text)
    assert found, text
    return float(found[0])


def test_rig_and_device_exclude_each_other(tmp_path):
    done = run("train", "digits-acoustic", "--rig", "x.toml", "--device", "function", cwd=tmp_path)
    assert done.returncode == 2
    assert "two devices" in done.stderr


def test_serve_lists_faults_and_refuses_bad_ones(tmp_path):
    rig = tmp_path / "rig.toml"
    rig.write_text(SMALL)
    done = run("bench", "serve", "--faults")
    assert done.returncode == 0, done.stderr
    assert "late" in done.stdout
    for options, message in (
        (["--fault", "generator:nan"], "cannot strike generator"),
        (["--fault", "explode"], "explode"),
        (["--host", "0.0.0.0"], "token"),
        (["--port", "nobody=1"], "nobody"),
    ):
        done = run("bench", "serve", rig, *options)
        assert done.returncode == 2
        assert message in done.stderr


def test_help_is_quick():
    run("--help")
    began = time.perf_counter()
    assert "bench" in run("--help").stdout
    assert time.perf_counter() - began < 0.5 * float(os.environ.get("PNN_TEST_SLOWNESS", "3"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["on_simulator", "on_virtual_bench", "on_board", "on_recording"])
def test_examples_run_as_they_are(name, tmp_path, locks):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"accuracy ([\d.]+)", done.stdout)[1]) > 0.88
    assert "True" not in done.stdout, "an output was left on"
