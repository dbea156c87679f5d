"""Any Python callable as a device, given directly or by its text."""

import functools
import pickle

import numpy as np
import pytest

from devices import DeviceError, FunctionDevice, LimitError


def test_a_callable_answers_within_its_limits():
    calls = []

    def bench(drives):
        calls.append(drives.copy())
        return drives**2

    with FunctionDevice(bench, 2, 2, low=-1, high=1, seconds_per_query=0.1) as device:
        np.testing.assert_array_equal(device.measure([[0.5, -1]]), [[0.25, 1]])
        with pytest.raises(LimitError, match="bench: drive 2 "):
            device.measure([[2, 0]])
    assert len(calls) == 1
    assert (device.spec.name, device.spec.seconds_per_query) == ("bench", 0.1)


def test_safe_is_called_on_the_way_out_and_after_a_failure():
    calls = []

    def broken(drives):
        raise OSError("cable")

    device = FunctionDevice(broken, 1, 1, safe=lambda: calls.append("safe"))
    with device, pytest.raises(DeviceError, match="broken: measuring failed with OSError: cable"):
        device.measure([[0]])
    assert calls == ["safe", "safe"]


def test_any_callable_has_a_name():
    assert FunctionDevice(functools.partial(np.power, 2), 1, 1).spec.name == "partial"
    assert FunctionDevice(np.tanh, 1, 1, name="shaker").spec.name == "shaker"
    assert FunctionDevice("numpy:tanh", 1, 1).spec.name == "tanh"


def test_a_function_that_works_in_place_leaves_the_callers_rows_alone():
    def in_place(drives):
        drives *= 2
        return drives

    mine = np.array([[0.25, 0.5]])
    with FunctionDevice(in_place, 2, 2) as device:
        np.testing.assert_array_equal(device.measure(mine), [[0.5, 1.0]])
    np.testing.assert_array_equal(mine, [[0.25, 0.5]])


def test_module_and_name():
    device = FunctionDevice("numpy:tanh", 2, 2)
    for twin in (device, pickle.loads(pickle.dumps(device))):
        with twin:
            np.testing.assert_array_equal(twin.measure([[0, 1]]), np.tanh([[0, 1]]))


def test_file_and_name_is_loaded_when_opened_and_not_before(tmp_path):
    path = tmp_path / "my bench.py"
    device = FunctionDevice(f"{path}:drive", 2, 1)  # the file need not be there yet
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "@dataclass\n"
        "class Gain:\n"
        "    unit: ClassVar[str] = 'V'\n"
        "    value: float = 3.0\n"
        "def drive(drives):\n"
        "    return Gain().value * drives.sum(axis=1, keepdims=True)\n"
    )
    with device:
        np.testing.assert_array_equal(device.measure([[0.25, 0.75]]), [[3.0]])


def test_a_file_called_like_a_library_does_not_hide_it(tmp_path):
    path = tmp_path / "json.py"
    path.write_text("def f(x):\n    return x\n")
    with FunctionDevice(f"{path}:f", 1, 1):
        import json

        assert json.loads("1") == 1


@pytest.mark.parametrize("text", ["numpy.tanh", ":tanh", "numpy:", ""])
def test_a_text_without_both_parts_is_refused_at_once(text):
    with pytest.raises(ValueError, match=r"must be 'package.module:name' or 'file.py:name'"):
        FunctionDevice(text, 1, 1)


def test_what_cannot_be_found_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.py"):
        FunctionDevice(f"{tmp_path}/nowhere.py:f", 1, 1).open()
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        FunctionDevice("no_such_module:f", 1, 1).open()
    with pytest.raises(ValueError, match="numpy has no function 'nothing'"):
        FunctionDevice("numpy:nothing", 1, 1).open()
    with pytest.raises(ValueError, match="numpy has no function 'pi'"):
        FunctionDevice("numpy:pi", 1, 1).open()
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    device = FunctionDevice(f"{broken}:f", 1, 1)
    with pytest.raises(ZeroDivisionError):
        device.open()
    assert not device.is_open


def test_an_unknown_argument_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown argument hihg; .*function, n_inputs.*high"):
        FunctionDevice(np.tanh, 1, 1, hihg=2)
    with pytest.raises(ValueError, match=r"low=2\.0, high=1\.0"):
        FunctionDevice(np.tanh, 1, 1, low=2)
