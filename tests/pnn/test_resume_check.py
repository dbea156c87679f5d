"""What a run stands on, and the list of what differs."""

import pytest

from devices import FunctionDevice, Noisy
from pnn.provenance import provenance
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
    assert any("limits" in line for line in differences(before, stands(high=2.0)))
    script.write_text("def measure(drives): return 2 * drives")
    assert [line.split(":")[0] for line in differences(before, stands())] == [
        "devices[0].files.bench.py"
    ]
