"""Devices by name, from a text, a table or a file."""

import functools
from urllib.parse import quote

import numpy as np
import pytest
from device_spy import Spy
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import (
    Averaged,
    FunctionDevice,
    LimitError,
    Noisy,
    Quantised,
    available_devices,
    build_device,
    open_device,
    register_device,
    registry,
)


class Box:
    """Keeps what it was called with."""

    def __call__(self, **arguments):
        self.arguments = arguments
        return Spy()


@pytest.fixture(autouse=True)
def _only_here(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture
def box():
    box = Box()
    register_device("test:box", box)
    return box


# -- texts -----------------------------------------------------------------------------------------

words = st.text(
    st.characters(codec="utf-8", exclude_characters=",", exclude_categories=["Cs", "Cc"])
)


def is_text(text):
    """Whether `text` can only be read as a text."""
    if text.strip().lower() in ("true", "false", "none"):
        return False
    try:
        float(text.strip() or "x")
    except ValueError:
        return True
    return False


values = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    words.filter(is_text),
    st.lists(st.one_of(st.integers(), st.floats(allow_nan=False)), min_size=2, max_size=4),
)
keys = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True).filter(
    lambda key: key not in ("name", "wrap")
)


def written(value):
    if isinstance(value, list):
        return ",".join(map(written, value))
    return quote(value) if isinstance(value, str) else str(value)


@settings(deadline=None)
@given(arguments=st.dictionaries(keys, values, max_size=4))
def test_what_is_written_is_what_arrives(arguments):
    box = Box()
    registry._registered["test:box"] = box  # anew for each example
    text = "&".join(f"{key}={written(value)}" for key, value in arguments.items())
    build_device(f"test:box?{text}")
    assert box.arguments == arguments
    assert {k: type(v) for k, v in box.arguments.items()} == {
        k: type(v) for k, v in arguments.items()
    }


def test_texts_arrive_as_a_user_writes_them(box):
    build_device("test:box?path=runs/a b+c.h5&rate=1e+3&port=COM3&note=a%26b&empty=&flag=True")
    assert box.arguments == {
        "path": "runs/a b+c.h5",
        "rate": 1000.0,
        "port": "COM3",
        "note": "a&b",
        "empty": "",
        "flag": True,
    }


def test_a_name_alone_and_arguments_on_top(box):
    build_device("test:box")
    assert box.arguments == {}
    build_device("test:box?")
    build_device("test:box?a=1&b=2", b=3, c=4)
    assert box.arguments == {"a": 1, "b": 3, "c": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test:box?a", "after '\\?' expected key=value&key=value"),
        ("test:box?a=1&&b", "after '\\?' expected key=value"),
        ("test:box?a=1&a=2", "a is given twice"),
        ("", "there is no device ''"),
        ("?a=1", "there is no device ''"),
    ],
)
def test_malformed_texts(box, text, message):
    with pytest.raises(ValueError, match=message):
        build_device(text)


def test_an_unknown_name_gets_a_suggestion_and_the_list():
    with pytest.raises(ValueError, match=r"no device 'functoin'\. Did you mean 'function'\? Known"):
        build_device("functoin")
    with pytest.raises(ValueError, match=r"no device 'zzzzz'\. Known: .*function"):
        build_device("zzzzz")


def test_unknown_and_missing_arguments_list_the_valid_ones():
    def factory(n_inputs, gain=2.0):
        return Spy(n_inputs, 1)

    register_device("test:factory", factory)
    assert build_device("test:factory?n_inputs=3").spec.n_inputs == 3
    message = r"'test:factory': .*'n_input'.*; its arguments are n_inputs, gain=2\.0"
    with pytest.raises(ValueError, match=message):
        build_device("test:factory?n_inputs=1&n_input=3")
    with pytest.raises(ValueError, match="missing a required argument: 'n_inputs'"):
        build_device("test:factory")
    function = "function?function=numpy:tanh&n_inputs=2&n_outputs=2"
    with pytest.raises(ValueError, match=r"unknown argument hihg; .*high"):
        build_device(f"{function}&hihg=3")
    with pytest.raises(ValueError, match=r"low=5\.0, high=1\.0"):  # a bad value
        build_device(f"{function}&low=5")


def test_what_is_no_device_is_refused(box):
    register_device("test:nothing", lambda: 3)
    with pytest.raises(ValueError, match="returned 3, which is no Device"):
        build_device("test:nothing")
    with pytest.raises(ValueError, match="a device needs a name, got None"):
        build_device({"n_inputs": 2})
    with pytest.raises(ValueError, match="a device needs a name, got 3"):
        build_device({"name": 3})


# -- registration ----------------------------------------------------------------------------------


def test_registered_names_are_known_once():
    register_device("test:mine", Spy)
    assert available_devices()["test:mine"] == "device_spy:Spy"
    assert isinstance(build_device("test:mine?n_inputs=4"), Spy)
    for name in ("test:mine", "function", "a?b"):
        with pytest.raises(ValueError, match=f"'{name}' is taken".replace("?", r"\?")):
            register_device(name, Spy)


def test_any_callable_may_be_registered(box):
    register_device("test:partial", functools.partial(Spy, 7))
    assert build_device("test:partial").spec.n_inputs == 7
    assert {"test:partial", "test:box"} <= available_devices().keys()


def test_entry_points_of_the_package_are_known():
    names = available_devices()
    assert list(names) == sorted(names)
    assert names["function"] == "devices.function:FunctionDevice"
    assert {"wrap:averaged", "wrap:cached", "wrap:recorded"} <= names.keys()
    assert {"wrap:noisy", "wrap:quantised", "wrap:saturating", "wrap:drifting"} <= names.keys()


# -- tables and files ------------------------------------------------------------------------------

TABLE = {
    "name": "function",
    "function": "numpy:tanh",
    "n_inputs": 2,
    "n_outputs": 2,
    "low": [-1, -2],
    "wrap": [
        {"name": "quantised", "drive_bits": 2},
        {"name": "noisy", "additive": 0.5, "ideal": True},
        {"name": "averaged", "n": 3},
    ],
}


def check(device):
    assert isinstance(device, Averaged)
    assert isinstance(device.inner, Noisy)
    assert isinstance(device.inner.inner, Quantised)
    assert isinstance(device.inner.inner.inner, FunctionDevice)
    assert device.spec.low == (-1, -2)
    with device:
        np.testing.assert_allclose(device.measure([[-1, 1]]), np.tanh([[-1, 1]]))
        assert device.ledger.total == 3


def test_a_table_with_wraps_innermost_first():
    before = str(TABLE)
    device = build_device(TABLE)
    assert not device.is_open
    check(device)
    assert str(TABLE) == before


def test_a_toml_file(tmp_path):
    path = tmp_path / "device.toml"
    path.write_text(
        """
        [device]
        name = "function"
        function = "numpy:tanh"
        n_inputs = 2
        n_outputs = 2
        low = [-1, -2]
        [[device.wrap]]
        name = "quantised"
        drive_bits = 2
        [[device.wrap]]
        name = "noisy"
        additive = 0.5
        ideal = true
        [[device.wrap]]
        name = "averaged"
        n = 3
        """
    )
    check(build_device(path))
    check(build_device(str(path)))
    assert build_device(path, high=4).spec.high == 4


def test_a_table_may_carry_a_full_text_and_its_own_entries_win(box):
    build_device({"name": "test:box?a=1&b=2", "b": 3})
    assert box.arguments == {"a": 1, "b": 3}


def test_files_that_will_not_do_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"device file .*missing\.toml"):
        build_device(str(tmp_path / "missing.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("[device\n")
    with pytest.raises(ValueError, match=r"device file .*broken\.toml"):
        build_device(broken)
    empty = tmp_path / "empty.toml"
    empty.write_text("device = 3\n")
    with pytest.raises(ValueError, match=r"empty\.toml: it has no table \[device\]"):
        build_device(empty)


@pytest.mark.parametrize("wrap", ["averaged", ["averaged"], [3], 3])
def test_wraps_are_tables(box, wrap):
    with pytest.raises(ValueError, match="must be a list of tables"):
        build_device({"name": "test:box", "wrap": wrap})


def test_an_unknown_wrap_gets_a_suggestion(box):
    with pytest.raises(ValueError, match="Did you mean 'wrap:averaged'"):
        build_device({"name": "test:box", "wrap": [{"name": "average", "n": 3}]})
    with pytest.raises(ValueError, match=r"'wrap:averaged': .*'m'.*; its arguments are n$"):
        build_device({"name": "test:box", "wrap": [{"name": "averaged", "n": 2, "m": 3}]})


def test_a_device_is_handed_on_as_it_is():
    spy = Spy()
    assert build_device(spy) is spy
    with pytest.raises(ValueError, match=r"made already; arguments \['n_inputs'\] are late"):
        build_device(spy, n_inputs=3)


def test_open_device_opens(box):
    with open_device("test:box") as device:
        assert device.is_open
        with pytest.raises(LimitError):
            device.measure([[9, 9]])
    assert not device.is_open
