"""Imperfections: their laws, their seeds, and the switch that turns them off."""

import math

import numpy as np
import pytest
from device_spy import Spy
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import Device, Drifting, FunctionDevice, LimitError, Noisy, Quantised, Saturating


def constant(value, n=400):
    """A device that always answers `value`."""
    dtype = "complex128" if isinstance(value, complex) else "float64"
    return FunctionDevice(lambda d: np.full((len(d), n), value), 1, n, output_dtype=dtype)


def identity(n=4, low=-1.0, high=1.0, **spec):
    return FunctionDevice(lambda d: d, n, n, low=low, high=high, name="identity", **spec)


def answers(device: Device, drives):
    with device:
        return device.measure(drives)


ROWS = np.zeros((50, 1))
ALL = {
    "noisy": lambda d, **k: Noisy(d, 0.3, 0.2, **k),
    "quantised": lambda d, **k: Quantised(d, 3, 4, 0.7, **k),
    "saturating": lambda d, **k: Saturating(d, 0.4, **k),
    "hard": lambda d, **k: Saturating(d, 0.4, hard=True, **k),
    "drifting": lambda d, **k: Drifting(d, 0.2, 10.0, **k),
}


# -- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(ALL))
def test_ideal_is_exactly_transparent(kind):
    drives = np.random.default_rng(0).uniform(-1, 1, (30, 4))
    with identity() as bare, ALL[kind](identity(), ideal=True) as off:
        np.testing.assert_array_equal(off.measure(drives), bare.measure(drives))
    with identity() as bare, ALL[kind](identity()) as on:
        assert not np.array_equal(on.measure(drives), bare.measure(drives))


@pytest.mark.parametrize("kind", sorted(ALL))
def test_the_seed_decides(kind):
    drives = np.random.default_rng(0).uniform(-1, 1, (30, 4))
    first, again, other = (answers(ALL[kind](identity(), seed=s), drives) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (kind not in ("noisy", "drifting"))


@pytest.mark.parametrize("kind", sorted(ALL.keys() - {"noisy"}))
def test_a_batch_is_the_same_as_its_rows_one_by_one(kind):
    drives = np.random.default_rng(0).uniform(-1, 1, (6, 4))
    with ALL[kind](identity()) as whole, ALL[kind](identity()) as single:
        rows = np.concatenate([single.measure(row[None]) for row in drives])
        np.testing.assert_array_equal(whole.measure(drives), rows)


def test_repr_shows_them():
    device = Noisy(Quantised(Spy(), 8, seed=1), 0.5, ideal=True)
    assert repr(device) == "Noisy(device=Quantised(device=Spy(), drive_bits=8, seed=1), " + (
        "additive=0.5, ideal=True)"
    )


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda d: Noisy(d, -0.1), "Noisy: additive=-0.1"),
        (lambda d: Noisy(d, 0.1, math.nan), "Noisy: multiplicative=nan"),
        (lambda d: Quantised(d, 0), "Quantised: drive_bits=0"),
        (lambda d: Quantised(d, None, 8), "answer_bits=8 needs full_scale above 0, not None"),
        (lambda d: Quantised(d, None, 8, -1.0), "full_scale above 0, not -1.0"),
        (lambda d: Saturating(d, 0.0), "Saturating: level=0.0"),
        (lambda d: Saturating(d, math.inf), "Saturating: level=inf"),
        (lambda d: Drifting(d, -1.0), "Drifting: rate=-1.0"),
        (lambda d: Drifting(d, 0.1, 0.5), "Drifting: relaxation=0.5"),
    ],
)
def test_bad_arguments_are_named(make, named):
    with pytest.raises(ValueError, match=named):
        make(Spy())


# -- noise -----------------------------------------------------------------------------------------


def test_additive_noise_has_its_standard_deviation_whatever_the_answer():
    for value in (0.0, 100.0):
        noise = answers(Noisy(constant(value), 0.3), ROWS) - value
        assert noise.std() == pytest.approx(0.3, rel=0.03)
        assert noise.mean() == pytest.approx(0, abs=0.01)


def test_multiplicative_noise_is_a_share_of_the_answer():
    assert not answers(Noisy(constant(0.0), 0, 0.1), ROWS).any()
    noisy = answers(Noisy(constant(-20.0), 0, 0.1), ROWS)
    assert noisy.std() == pytest.approx(2.0, rel=0.03)
    assert noisy.mean() == pytest.approx(-20, abs=0.05)


def test_both_kinds_add_in_power():
    noisy = answers(Noisy(constant(1.0), 0.3, 0.4), ROWS)
    assert noisy.std() == pytest.approx(0.5, rel=0.03)


def test_complex_noise_is_circular_with_the_same_power():
    noise = answers(Noisy(constant(1 + 1j), 0.3), ROWS) - (1 + 1j)
    assert np.sqrt((abs(noise) ** 2).mean()) == pytest.approx(0.3, rel=0.03)
    assert noise.real.std() == pytest.approx(0.3 / math.sqrt(2), rel=0.03)
    assert noise.imag.std() == pytest.approx(0.3 / math.sqrt(2), rel=0.03)
    assert abs((noise**2).mean()) < 0.003


def test_every_row_and_output_has_noise_of_its_own():
    noise = answers(Noisy(constant(0.0, 6), 1.0), np.zeros((4000, 1)))
    assert abs(np.corrcoef(noise.T) - np.eye(6)).max() < 0.08
    assert abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 0.08


# -- resolution ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(1, 12),
    low=st.floats(-100, 100),
    width=st.floats(1e-3, 100),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_drives_go_to_the_nearest_of_so_many_levels(bits, low, width, shares):
    high = low + width
    drives = np.clip(low + width * np.array([0.0, 1.0, *shares]), low, high)[:, None]
    with Quantised(spy := Spy(1, 1, low=low, high=high), bits) as device:
        device.measure(drives)
        driven = spy.rows.copy()
        device.measure(driven)
    step = (high - low) / (2**bits - 1)
    assert (driven[0], driven[1]) == (low, high)  # the ends are levels
    assert abs(driven - drives).max() <= step / 2 * (1 + 1e-6) + 1e-12 * abs(high)
    np.testing.assert_allclose((driven - low) / step, np.round((driven - low) / step), atol=1e-6)
    np.testing.assert_array_equal(spy.rows[len(drives) :], driven)  # a level stays a level


def test_the_number_of_levels_is_two_to_the_bits():
    drives = np.linspace(-1, 1, 2000)[:, None]
    for bits in (1, 3, 6):
        assert len(np.unique(answers(Quantised(identity(1), bits), drives))) == 2**bits
        converter = Quantised(identity(1), None, bits, 1.0)
        assert len(np.unique(answers(converter, drives))) == 2**bits
    camera = Quantised(identity(1), None, 3, 1.0, unipolar=True)
    np.testing.assert_allclose(np.unique(answers(camera, drives)), np.arange(8) / 7)


@given(low=st.floats(-10, 10), width=st.floats(0.001, 10), bits=st.integers(1, 8))
def test_bits_stay_bits(low, width, bits):
    with Quantised(Spy(1, 1, low=low, high=low + width, domain="bits"), bits) as device:
        device.measure([[low], [low + width]])


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(1, 12),
    full_scale=st.floats(1e-3, 1e3),
    unipolar=st.booleans(),
    values=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20),
)
def test_answers_are_clipped_and_rounded_once_and_for_all(bits, full_scale, unipolar, values):
    table = np.array(values)[:, None]

    def convert(table):
        device = FunctionDevice(lambda d: table, 1, 1)
        converter = Quantised(device, None, bits, full_scale, unipolar=unipolar)
        return answers(converter, np.zeros((len(table), 1)))

    once = convert(table)
    low = 0.0 if unipolar else -full_scale
    step = (full_scale - low) / (2**bits - 1)
    assert ((once >= low) & (once <= full_scale)).all()
    assert (abs(once - np.clip(table, low, full_scale)) <= step / 2 * (1 + 1e-6)).all()
    np.testing.assert_array_equal(convert(once), once)


def test_real_and_imaginary_parts_are_converted_apart():
    got = answers(Quantised(constant(0.9 - 5j, 2), None, 1, 1.0), [[0]])
    np.testing.assert_array_equal(got, [[1 - 1j, 1 - 1j]])


def test_levels_are_those_of_each_input():
    with Quantised(spy := Spy(2, 1, low=(0, -10), high=(1, 10)), 1) as device:
        device.measure([[0.4, 4], [0.6, -4]])
        with pytest.raises(LimitError, match="input 0"):  # rounding rescues no illegal drive
            device.measure([[1.1, 0]])
    np.testing.assert_array_equal(spy.rows, [[0, 10], [1, -10]])


# -- saturation ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(level=st.floats(1e-3, 1e3), value=st.floats(-1e6, 1e6))
def test_saturation_laws(level, value):
    smooth = answers(Saturating(constant(value, 1), level), [[0]])[0, 0]
    hard = answers(Saturating(constant(value, 1), level, hard=True), [[0]])[0, 0]
    assert smooth == pytest.approx(level * math.tanh(value / level), rel=1e-9, abs=1e-300)
    assert hard == pytest.approx(max(-level, min(level, value)), rel=1e-12)
    if abs(value) < level:
        assert hard == value


def test_complex_answers_saturate_in_magnitude_and_keep_their_phase():
    value = 3 * np.exp(0.7j)
    for hard, size in ((True, 2.0), (False, 2 * math.tanh(1.5))):
        got = answers(Saturating(constant(complex(value), 1), 2.0, hard=hard), [[0]])[0, 0]
        assert abs(got) == pytest.approx(size)
        assert np.angle(got) == pytest.approx(0.7)
    assert answers(Saturating(constant(0j, 1), 2.0), [[0]])[0, 0] == 0


# -- drift -----------------------------------------------------------------------------------------


def test_a_free_walk_spreads_with_the_root_of_the_rows():
    gains = answers(Drifting(constant(1.0, 3000), 0.01, seed=2), np.zeros((400, 1)))
    spread = gains.std(axis=1)
    for row in (0, 24, 99, 399):
        assert spread[row] == pytest.approx(0.01 * math.sqrt(row + 1), rel=0.06)
    assert gains[-1].mean() == pytest.approx(1, abs=0.02)


def test_a_relaxing_walk_stays_bounded():
    gains = answers(Drifting(constant(1.0, 3000), 0.01, 50.0, seed=2), np.zeros((400, 1)))
    spread = gains.std(axis=1)
    assert spread[0] == pytest.approx(0.01, rel=0.06)
    assert spread[-1] == pytest.approx(0.01 * math.sqrt(50 / 2), rel=0.06)
    assert spread.max() < 0.01 * math.sqrt(50 / 2) * 1.15


def test_drift_goes_on_between_calls_and_is_the_same_for_each_drive():
    with Drifting(constant(1.0, 3000), 0.1, seed=1) as device:
        for _ in range(99):
            device.measure([[0]])
        late = device.measure([[0]])
    assert late.std() == pytest.approx(1.0, rel=0.06)


def test_drift_scales_with_the_answer_and_never_turns_a_phase():
    got = answers(Drifting(constant(2j, 50), 0.01), ROWS)
    assert not got.real.any()
    assert not answers(Drifting(constant(0.0, 50), 0.5), ROWS).any()
