"""What a run stands on, and the list of what differs."""

import importlib

import pytest

from devices import FunctionDevice, Noisy
from devices.provenance import provenance
from pnn.resume_check import DifferentError, agree, differences, standing


def test_every_difference_has_its_name_and_both_values():
    then = {"versions": {"numpy": "1", "torch": "2"}, "devices": [{"limits": "a"}], "git": "x"}
    now = {"versions": {"numpy": "1", "torch": "3"}, "devices": [{"limits": "b"}], "new": [1]}
    assert differences(then, now) == [
        "versions.torch: 2 -> 3",
        "devices[0].limits: a -> b",
        "git: x -> nothing",
        "new: nothing -> [1]",
    ]
    assert differences(then, then) == []


def test_long_values_are_shown_where_they_differ():
    line = differences({"built": "a" * 300 + "1" + "b" * 300}, {"built": "a" * 300 + "2"})[0]
    assert line == f"built: ...{'a' * 33}1{'b' * 66}... -> ...{'a' * 33}2"
    assert differences({"x": "a" * 200}, {"x": None}) == [f"x: {'a' * 100}... -> nothing"]


def test_differences_are_an_error_until_they_are_accepted():
    with pytest.raises(DifferentError, match=r"run\.h5.*--accept.*\n.*\n?  a: 1 -> 2"):
        agree("run.h5", {"a": 1}, {"a": 2}, accept=False)
    assert agree("run.h5", {"a": 1}, {"a": 2}, accept=True) == ["a: 1 -> 2"]
    assert agree("run.h5", {"a": 1}, {"a": 1}, accept=False) == []


def test_a_changed_script_a_changed_wrapper_and_other_limits_show(tmp_path):
    script = tmp_path / "bench.py"
    script.write_text("def measure(drives): return drives")

    def stands(noise=0.1, high=1.0):
        device = FunctionDevice(f"{script}:measure", 2, 2, high=high)
        return standing(provenance(), [Noisy(device, noise)])

    before = stands()
    assert differences(before, stands()) == []
    assert any("recipe" in line for line in differences(before, stands(noise=0.2)))
    other = differences(before, stands(high=2.0))
    assert any("limits" in line for line in other)
    assert "devices[0].allowed.drives: 0 to 1 -> 0 to 2" in other
    script.write_text("def measure(drives): return 2 * drives")
    assert [line.split(":")[0] for line in differences(before, stands())] == [
        "devices[0].files.bench.py"
    ]


def test_the_code_of_the_toolkit_and_of_a_users_class_is_compared(tmp_path, monkeypatch):
    written = tmp_path / "my_bench.py"
    code = (
        "import devices\nclass Bench(devices.Device):\n    def __init__(self):\n"
        "        self.spec = devices.DeviceSpec(name='b', n_inputs=1, n_outputs=1)\n"
        "    def _measure(self, drives):\n        return drives\n"
    )
    written.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    bench = importlib.import_module("my_bench").Bench()
    before = standing(provenance(), [bench])
    assert len(before["code"]) == 16
    written.write_text(code + "# another gain\n")
    assert [
        line.split(":")[0] for line in differences(before, standing(provenance(), [bench]))
    ] == ["devices[0].files.my_bench.py"]
