"""rig.toml: what it may say, what it makes, and what it is told when it is wrong."""

import inspect
import os
import pickle
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from devices import DeviceError, LinkDown, open_device
from devices.rigs import build_rig, instruments, load_rig, make_safe, open_rig
from devices.rigs.catalogue import DRIVERS, RIGS
from devices.rigs.locks import RigLock
from devices.safety import LabLimits
from devices.transports import LinkSettings

LAB = """
import numpy as np

log = []
state = {}

def play(volts, rate):
    state["volts"] = volts

def capture():
    return np.repeat(state["volts"], 4, axis=1)

def generator_off():
    log.append("generator off")

def kelvin():
    return 293.5
"""

RIG = """
[rig]
kind = "waveform"
n_inputs = 4
window_samples = 256
settle_samples = 0
sample_rate_hz = 8000.0
volts_per_input = 0.5

[instruments.generator]
driver = "callable-source"
play = "lab.py:play"
off = "lab.py:generator_off"

[instruments.digitizer]
driver = "callable-digitizer"
fetch = "lab.py:capture"
rate_hz = 32000.0

[monitors.room]
function = "lab.py:kelvin"
unit = "K"

[limits]
peak_v = 1.0

[sim]
device = "function?function=numpy:tanh&n_inputs=4&n_outputs=4"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "lab.py").write_text(LAB)
    (tmp_path / "rig.toml").write_text(RIG)
    monkeypatch.setenv("PNN_LOCK_DIR", str(tmp_path / "locks"))
    return tmp_path


def test_a_rig_is_opened_from_its_file_and_simulated_from_the_same(folder):
    drives = np.full((2, 4), 0.25)
    with open_rig(folder / "rig.toml") as device:
        measured = device.acquire(drives)
        assert device.spec.name == "rig"
    np.testing.assert_allclose(measured.outputs, 0.125, rtol=0.2)
    assert measured.readings == {"room": 293.5}
    with open_rig(folder / "rig.toml", mode="sim") as device:
        np.testing.assert_allclose(device.measure(drives), np.tanh(0.25))


def test_one_script_runs_in_all_three_modes_and_the_replay_gives_what_was_measured(folder):
    from devices import Recorded

    def script(device):
        return device.measure(np.linspace(0, 0.25, 12).reshape(3, 4))

    path = folder / "rig.toml"
    with Recorded(build_rig(path), folder / "recording.h5") as device:
        measured = script(device)
    path.write_text(RIG + '[replay]\npath = "recording.h5"\n')
    with open_rig(path, mode="replay") as device:
        np.testing.assert_array_equal(script(device), measured)
        assert device.spec.domain == "tones"
        with pytest.raises(DeviceError, match="nearest"):
            device.measure(np.full((1, 4), 0.24))
    with open_rig(path, mode="sim") as device:
        assert script(device).shape == measured.shape
    path.write_text(RIG + '[replay]\npath = "recording.h5"\ntolerant = 1\n')
    with pytest.raises(ValueError, match=r"\[replay\].*tolerant.*its keys are group"):
        open_rig(path, mode="replay")


def test_a_rig_is_a_named_device(folder):
    with open_device(f"rig?path={folder / 'rig.toml'}&mode=sim") as device:
        assert device.spec.name == "tanh"
    with open_device(f"rig?path={folder / 'rig.toml'}") as device:
        assert device.spec.n_inputs == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"waveform"', '"wavefrom"', r"kind='wavefrom' is not one of .*Did you mean 'waveform'"),
        ("n_inputs = 4", "n_input = 4", r"\[rig\].*n_input.*Did you mean 'n_inputs'"),
        ("n_inputs = 4", "n_inputs = 0", r"\[rig\].*n_inputs=0"),
        ("peak_v", "peek_v", r"\[limits\].*Did you mean 'peak_v'"),
        ("peak_v = 1.0", "peak_v = -1.0", r"\[limits\].*peak_v=-1"),
        ("callable-source", "callable-sauce", r"\[instruments.generator\] driver='callable-sauce'"),
        ("rate_hz = 32000.0", "rate_hz = 0", r"\[instruments.digitizer\].*rate_hz=0"),
        ("rate_hz = 32000.0", "", r"\[instruments.digitizer\].*rate_hz"),
        ("[limits]", "[limit]", r"unknown table \[limit\]. Did you mean 'limits'"),
        ("callable-digitizer", "callable-source", r"\[instruments.digitizer\].*(fetch|play)"),
        ("[rig]", "[rig", "rig.toml"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_file_table_and_key(folder, old, new, message):
    path = folder / "rig.toml"
    path.write_text(RIG.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        build_rig(path)
    assert "rig.toml" in str(caught.value)


def test_a_rig_without_an_instrument_for_a_role_says_which_drivers_can(folder):
    path = folder / "rig.toml"
    start, end = RIG.index("[instruments.digitizer]"), RIG.index("[monitors.room]")
    path.write_text(RIG[:start] + RIG[end:])
    with pytest.raises(ValueError, match=r"needs one digitizer \(drivers infiniivision"):
        build_rig(path)


def test_modes_that_are_not_described_say_what_to_write(folder):
    with pytest.raises(ValueError, match=r"\[replay\] with path = 'recording.h5'"):
        build_rig(folder / "rig.toml", mode="replay")
    with pytest.raises(ValueError, match="mode='virtual'"):
        build_rig(folder / "rig.toml", mode="virtual")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.toml"):
        load_rig(tmp_path / "absent.toml")


def test_making_safe_goes_on_where_one_does_not_answer(folder):
    path = folder / "rig.toml"
    broken = '[instruments.amplifier]\ndriver = "switch"\noff = "nowhere:off"\n\n[monitors.room]'
    path.write_text(RIG.replace("[monitors.room]", broken))
    done = make_safe(path)
    assert [name for name, _ in done] == ["amplifier", "digitizer", "generator"]
    assert isinstance(done[0][1], ModuleNotFoundError)
    assert done[1][1] is None
    assert done[2][1] is None
    assert list(instruments(load_rig(path))) == ["generator", "digitizer", "amplifier"]


def test_an_instrument_serves_one_process_at_a_time(folder):
    code = textwrap.dedent(
        """
        from devices.rigs.locks import RigLock
        with RigLock("TCPIP::10.0.0.1::5025::SOCKET"):
            print("held", flush=True)
            input()
        """
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(LinkDown, match=f"in use by process {other.pid}") as caught,
            RigLock("TCPIP::10.0.0.1::5025::SOCKET"),
        ):
            pass
        assert not caught.value.transient
        with RigLock("TCPIP::10.0.0.2::5025::SOCKET"):
            pass
    finally:
        other.kill()
        other.communicate()
    with RigLock("TCPIP::10.0.0.1::5025::SOCKET"):  # a process that was killed holds nothing
        pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP::10.0.0.1::5025::SOCKET", "TCPIP0::10.0.0.1::5025::SOCKET"),
        ("TCPIP::scope::5025::SOCKET", "tcpip::Scope::5025::socket"),
        ("TCPIP::scope::5025::SOCKET", "socket://scope:5025?logging=debug"),
        ("TCPIP::scope::INSTR", "TCPIP0::scope::inst0::INSTR"),
        ("USB::0x0957::0x2807::MY1::INSTR", "USB0::0x0957::0x2807::MY1::0::INSTR"),
        ("GPIB::4", "GPIB0::4::INSTR"),
        ("serial:///dev/ttyACM0", "serial:///dev/ttyACM0?baud=9600"),
        ("serial:///dev/ttyACM0", "ASRL/dev/ttyACM0::INSTR"),
        ("serial://COM3", "serial://com3?baud=9600"),
    ],
)
def test_another_spelling_of_an_address_is_the_same_instrument(folder, one, other):
    with RigLock(one), pytest.raises(DeviceError, match="in use"), RigLock(other):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="serial ports are no files")
def test_a_link_to_a_serial_port_is_that_port(folder):
    (folder / "ttyACM0").touch()
    (folder / "by-id").symlink_to(folder / "ttyACM0")
    with (
        RigLock(f"serial://{folder}/ttyACM0"),
        pytest.raises(DeviceError, match="in use"),
        RigLock(f"serial://{folder}/by-id"),
    ):
        pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP::scope::5025::SOCKET", "TCPIP::scope::5026::SOCKET"),
        ("TCPIP0::scope::INSTR", "TCPIP1::scope::INSTR"),
        ("GPIB::4::INSTR", "GPIB::14::INSTR"),
        ("serial:///dev/ttyACM0", "serial:///dev/ttyacm0"),
        ("ASRL1::INSTR", "ASRL2::INSTR"),
    ],
)
def test_other_addresses_are_other_instruments(folder, one, other):
    with RigLock(one), RigLock(other):
        pass


BOARD = """
[rig]
kind = "board"
n_inputs = 2
n_outputs = 2
high_v = 3.3

[instruments.board]
driver = "board"
address = "serial:///dev/ttyACM0"

[limits]
peak_v = 1.0

[sim]
device = "function?function=numpy:tanh&n_inputs=2&n_outputs=2"

[replay]
path = "recording.h5"
"""


def test_two_instruments_with_one_address_are_named_when_the_file_is_read(folder):
    path = folder / "rig.toml"
    second = '[instruments.other]\ndriver = "board"\naddress = "serial:///dev/ttyACM0?baud=9600"\n'
    path.write_text(BOARD + second)
    with pytest.raises(
        ValueError, match=r"\[instruments.board\] and \[instruments.other\] have one"
    ):
        load_rig(path)
    # Other packages connect by themselves, once for each value.
    monitor = '[monitors.{}]\ndriver = "qcodes-monitor"\ninstrument = "a:B"\naddress = "GPIB::4"\n'
    path.write_text(BOARD + monitor.format("one") + monitor.format("two"))
    assert list(load_rig(path).monitors) == ["one", "two"]


@pytest.mark.parametrize("mode", ["real", "sim", "replay"])
def test_a_limit_below_the_rigs_own_range_is_an_error_in_all_modes(folder, mode):
    path = folder / "rig.toml"
    path.write_text(BOARD)
    with pytest.raises(
        ValueError, match=r"\[rig\].*3.3 V is beyond peak_v = 1 V.*low_v and high_v"
    ):
        build_rig(path, mode)


def test_a_simulation_needs_no_addresses(folder):
    path = folder / "rig.toml"
    path.write_text(BOARD.replace('address = "serial:///dev/ttyACM0"', "").replace("3.3", "1.0"))
    assert build_rig(path, "sim").spec.name == "tanh"
    with pytest.raises(ValueError, match="address"):
        build_rig(path)


def test_a_monitor_that_fails_is_a_device_error_and_outputs_go_off(folder):
    (folder / "lab.py").write_text(LAB.replace("return 293.5", 'raise OSError("no thermometer")'))
    with open_rig(folder / "rig.toml") as device:
        with pytest.raises(DeviceError, match=r"monitor 'room'.*no thermometer") as caught:
            device.measure(np.zeros((1, 4)))
        assert isinstance(caught.value.__cause__, OSError)
        assert device._is_off


def test_two_rigs_in_one_process_cannot_share_an_instrument(folder):
    with RigLock("a"), pytest.raises(DeviceError, match="in use"), RigLock("a"):
        pass


def test_constructors_connect_to_nothing(folder):
    path = folder / "real.toml"
    path.write_text(
        """
        [rig]
        kind = "waveform"
        [instruments.awg]
        driver = "keysight-33500"
        address = "TCPIP::203.0.113.1::5025::SOCKET"
        load_ohm = inf
        [instruments.scope]
        driver = "infiniivision"
        address = "TCPIP::203.0.113.2::5025::SOCKET"
        """
    )
    device = build_rig(path)
    assert device.spec.n_inputs == 64
    assert list(device.instruments) == ["awg", "scope"]
    # A rig is shown, copied and pickled by its recipe, as every device is.
    again = pickle.loads(pickle.dumps(device))
    assert repr(again) == repr(device)
    assert "Keysight33500(name='awg', address='TCPIP::203.0.113.1::5025::SOCKET'" in repr(device)


@pytest.mark.parametrize("group", [DRIVERS, RIGS], ids=["drivers", "rigs"])
def test_every_key_is_on_the_page(group):
    page = (Path(__file__).parents[3] / "docs" / "instruments.md").read_text(encoding="utf-8")
    made_by_the_rig = {"limits", "instruments", "monitors"}
    for name, entry in group.items():
        assert f"`{name}`" in page or f"**{name}**" in page
        for key, parameter in inspect.signature(entry.load()).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY and key not in made_by_the_rig:
                assert f"`{key}`" in page, f"{name}: {key}"
    for field in [*fields(LabLimits), *fields(LinkSettings)]:
        assert field.name in {"hello", "resync"} or f"`{field.name}`" in page, field.name


def test_nothing_heavy_is_imported_until_it_is_used():
    code = (
        "import sys, devices, devices.rigs, devices.transports, devices.drivers.board, "
        "devices.drivers.keysight_33500, devices.rigs.waveform, devices.rigs.board, "
        "devices.transports.visa, devices.transports.serial_port, "
        "devices.drivers.slmsuite_adapter, devices.drivers.pymeasure_adapter, "
        "devices.drivers.qcodes_adapter\n"
        "print([m for m in ('pyvisa', 'serial', 'slmsuite', 'pymeasure', 'qcodes', 'cobs') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "address", "extra"),
    [
        ("pyvisa", "TCPIP::h::1::SOCKET", "visa"),
        ("serial", "serial://nowhere", "serial"),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    monkeypatch, module, address, extra
):
    from devices.transports import make_transport, visa

    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(visa, "_managers", {})
    with pytest.raises(ImportError, match=rf"pnn-toolkit\[{extra}\]"):
        make_transport(address).open()


@pytest.mark.parametrize(
    ("module", "driver", "options", "extra"),
    [
        ("pymeasure", "pymeasure-monitor", {"instrument": "pymeasure.x:Y", "output": "z"}, ""),
        ("qcodes", "qcodes-monitor", {"instrument": "my.drivers:Y", "output": "z"}, ""),
        ("slmsuite", "slm", {"hardware": "slmsuite.hardware:X", "grid": [2, 2]}, "slm"),
        ("cobs.cobs", "board", {"address": "loop:nobody"}, "serial"),
    ],
)
def test_a_missing_package_of_a_driver_is_named_when_it_is_opened(
    monkeypatch, module, driver, options, extra
):
    from devices.transports import loop

    class Silent:
        def write(self, data):
            pass

        def read(self, timeout_s):
            return b""

    monkeypatch.setitem(loop._peers, "nobody", Silent())
    made = DRIVERS[driver].load()(**options)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pnn-toolkit\[{extra or module}\]"):
        made.open()
