"""What is legal: shapes, types, ranges, bits, codes; and messages that say so."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import DeviceSpec, LimitError


def spec(**fields):
    return DeviceSpec(**{"name": "awg", "n_inputs": 3, "n_outputs": 2} | fields)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n_inputs": 0}, "n_inputs=0"),
        ({"n_outputs": 2.5}, "n_outputs=2.5"),
        ({"n_inputs": True}, "n_inputs=True"),
        ({"attempts": 0}, "attempts=0"),
        ({"max_batch": 0}, "max_batch=0"),
        ({"domain": "volts"}, "domain='volts'"),
        ({"settle_s": -1.0}, "settle_s=-1.0"),
        ({"settle_s": "soon"}, "settle_s='soon'"),
        ({"seconds_per_query": math.nan}, "seconds_per_query=nan"),
        ({"watts": math.inf}, "watts=inf"),
        ({"saturation": -2}, "saturation=-2"),
        ({"low": 1.0, "high": 1.0}, "low=1.0, high=1.0"),
        ({"high": math.inf}, "high=inf"),
        ({"low": (0.0, 0.0)}, r"low has shape \(2,\)"),
        ({"high": "much"}, "high='much'"),
        ({"low": None}, "low=None"),
        ({"output_dtype": "int16"}, "output_dtype='int16'"),
        ({"output_dtype": "volts"}, "output_dtype='volts'"),
        ({"memory": True, "attempts": 2}, "attempts=2 with memory=True"),
    ],
)
def test_a_bad_field_is_named_with_its_value(fields, named):
    with pytest.raises(ValueError, match=named) as caught:
        spec(**fields)
    assert str(caught.value).startswith("awg: ")


def test_limits_may_be_given_as_any_numbers():
    for low, high in ((np.float32(0), np.int64(2)), (0, 2), ([0, 0, 0], np.full(3, 2))):
        lowest, highest = spec(low=low, high=high).limits
        np.testing.assert_array_equal(lowest, [0, 0, 0])
        np.testing.assert_array_equal(highest, [2, 2, 2])


def test_is_complex_follows_the_output_type():
    assert spec(output_dtype="complex64").is_complex
    assert not spec(output_dtype="float32").is_complex


@pytest.mark.parametrize(
    "drives",
    [
        [[0, 1, 0]],
        [[False, True, True]],
        np.zeros((2, 3), np.float32),
        [[Decimal("0.5")] * 3],
        np.zeros((0, 3)),
    ],
)
def test_real_numbers_of_any_type_become_floats(drives):
    rows = spec().check_drives(drives)
    assert rows.dtype == np.float64
    assert rows.shape == np.shape(drives)


@pytest.mark.parametrize(
    "drives",
    [
        [[0j, 0, 0]],
        [["0", "0", "0"]],
        [[0, 0, 0], [0, 0]],
        [[object()] * 3],
        [[10**400] * 3],
        [[1j, None, 0]],
        np.zeros((1, 3), "datetime64[s]"),
    ],
)
def test_anything_but_real_numbers_is_refused(drives):
    with pytest.raises(LimitError, match="awg: the drives are not real numbers"):
        spec().check_drives(drives)


def test_a_single_row_gets_a_hint():
    with pytest.raises(LimitError, match=r"shape \(3,\).*\(batch, 3\).*drives\[None, :\]"):
        spec().check_drives(np.zeros(3))
    with pytest.raises(LimitError, match=r"shape \(1, 4\), expected \(batch, 3\)$"):
        spec().check_drives(np.zeros((1, 4)))
    with pytest.raises(LimitError, match=r"shape \(1, 1, 3\)"):
        spec().check_drives(np.zeros((1, 1, 3)))


def test_the_message_names_row_input_value_range_and_unit():
    drives = np.zeros((4, 3))
    drives[2, 1] = 3.5
    with pytest.raises(LimitError) as caught:
        spec(low=-1, high=2, input_unit="V").check_drives(drives)
    assert "awg: drive 3.5 at row 2, input 1 is outside [-1, 2] V" in str(caught.value)
    assert caught.value.failed_row == 2
    assert caught.value.rows is None


def test_a_value_a_hair_outside_is_shown_with_all_its_digits():
    with pytest.raises(LimitError, match=r"drive 1\.000000001 at row 0, input 0 .* \[0, 1\]"):
        spec().check_drives([[1 + 1e-9, 0, 0]])
    with pytest.raises(LimitError, match=r"\[0, 3\.141592653589793\] rad"):
        spec(high=math.pi, input_unit="rad").check_drives(np.full((1, 3), np.float32(math.pi)))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1e-9, 1e9), (0.1, 0.3), (-5, -math.pi)])
def test_the_ends_are_legal_and_the_next_number_is_not(low, high):
    one = DeviceSpec(name="awg", n_inputs=1, n_outputs=1, low=low, high=high)
    one.check_drives([[low], [high]])
    for value in (np.nextafter(low, -math.inf), np.nextafter(high, math.inf)):
        with pytest.raises(LimitError, match="at row 0, input 0 is outside"):
            one.check_drives([[value]])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_called_so(value):
    with pytest.raises(LimitError, match=r"at row 1, input 2 is not finite"):
        spec().check_drives([[0, 0, 0], [0, 0, value]])


def test_limits_are_those_of_each_input():
    channels = spec(low=(-1, 0, 5), high=(1, 2, 6))
    channels.check_drives([[-1, 0, 5], [1, 2, 6]])
    with pytest.raises(LimitError, match=r"drive 1\.5 at row 0, input 0 is outside \[-1, 1\]"):
        channels.check_drives([[1.5, 1.5, 5.5]])
    with pytest.raises(LimitError, match=r"input 2 is outside \[5, 6\]"):
        channels.check_drives([[0, 0, 0]])


def test_bits_are_one_of_two_values():
    bits = spec(domain="bits", low=-1, high=(1, 1, 3))
    bits.check_drives([[-1, 1, 3]])
    with pytest.raises(LimitError, match="drive 0 at row 0, input 1 is neither -1 nor 1"):
        bits.check_drives([[-1, 0, 3]])
    with pytest.raises(LimitError, match="drive 1 at row 0, input 2 is neither -1 nor 3"):
        bits.check_drives([[-1, 1, 1]])


def test_codes_are_whole_numbers():
    codes = spec(domain="codes", high=255)
    codes.check_drives([[0, 255, 17]])
    with pytest.raises(LimitError, match=r"drive 1\.5 at row 0, input 2 is not a whole number"):
        codes.check_drives([[0, 255, 1.5]])


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-6, 1e6),
    value=st.floats() | st.floats(-2e6, 2e6),
)
def test_a_drive_passes_exactly_if_it_is_inside(low, width, value):
    high = low + width
    if not low < high:
        return
    legal = spec(low=low, high=high)
    if low <= value <= high:
        assert legal.check_drives([[value] * 3])[0, 0] == value
    else:
        with pytest.raises(LimitError):
            legal.check_drives([[value] * 3])
