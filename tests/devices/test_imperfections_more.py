"""The other imperfections: shot noise, outliers, jitter, jumps, common modes, broken channels."""

import copy
import math
import pickle

import numpy as np
import pytest
from device_spy import Spy

from devices import (
    CommonMode,
    CrossTalk,
    DeadChannels,
    Device,
    DeviceSpec,
    FunctionDevice,
    Jitter,
    Jumping,
    Noisy,
    Outliers,
    Programmable,
    Quantised,
    Recorded,
    ShotNoise,
    idealised,
    imperfections_on,
)


def constant(value, n=400):
    dtype = "complex128" if isinstance(value, complex) else "float64"
    return FunctionDevice(lambda d: np.full((len(d), n), value), 1, n, output_dtype=dtype)


def identity(n=4, low=-1.0, high=1.0, **spec):
    return FunctionDevice(lambda d: d, n, n, low=low, high=high, name="identity", **spec)


def answers(device, drives):
    with device:
        return device.measure(drives)


ROWS = np.zeros((50, 1))
ALL = {
    "shot": lambda d, **k: ShotNoise(d, 100.0, **k),
    "outliers": lambda d, **k: Outliers(d, 0.2, 3.0, **k),
    "lost rows": lambda d, **k: Outliers(d, 0.2, 3.0, rows=True, **k),
    "jitter": lambda d, **k: Jitter(d, 0.5, **k),
    "jump": lambda d, **k: Jumping(d, 3, 0.2, 0.5, **k),
    "common": lambda d, **k: CommonMode(d, 0.2, 0.1, 5.0, **k),
    "dead": lambda d, **k: DeadChannels(d, 1, 1, **k),
    "leak": lambda d, **k: CrossTalk(d, 0.1, 0.1, **k),
}
RANDOM = ALL.keys() - {"leak"}


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
    first, again, *others = (
        answers(ALL[kind](identity(), seed=s), drives) for s in (5, 5, 6, 7, 8, 9)
    )
    np.testing.assert_array_equal(first, again)
    assert all(np.array_equal(first, other) for other in others) == (kind not in RANDOM)


@pytest.mark.parametrize("kind", sorted(ALL))
def test_a_batch_is_the_same_as_its_rows_one_by_one(kind):
    drives = np.random.default_rng(0).uniform(-1, 1, (12, 4))
    with ALL[kind](identity()) as whole, ALL[kind](identity()) as single:
        rows = np.concatenate([single.measure(row[None]) for row in drives])
        np.testing.assert_array_equal(whole.measure(drives), rows)


@pytest.mark.parametrize("kind", sorted(ALL))
@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_answers_keep_their_type(kind, dtype):
    device = ALL[kind](FunctionDevice(lambda d: d.astype(dtype), 4, 4, output_dtype=dtype))
    assert answers(device, np.full((6, 4), 0.5)).dtype == dtype


@pytest.mark.parametrize("kind", sorted(ALL))
def test_no_rows_and_a_copy(kind):
    device = ALL[kind](Spy(4, 4))
    assert answers(device, np.zeros((0, 4))).shape == (0, 4)
    drives = np.random.default_rng(0).uniform(0, 1, (12, 4))
    fresh = answers(ALL[kind](Spy(4, 4)), drives)
    np.testing.assert_array_equal(answers(copy.copy(device), drives), fresh)
    np.testing.assert_array_equal(answers(pickle.loads(pickle.dumps(device)), drives), fresh)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda d: ShotNoise(d, 0.0), "ShotNoise: quanta=0.0"),
        (lambda d: ShotNoise(d, math.inf), "ShotNoise: quanta=inf"),
        (lambda d: Outliers(d, 1.5, 1.0), "Outliers: rate=1.5"),
        (lambda d: Outliers(d, math.nan, 1.0), "Outliers: rate=nan"),
        (lambda d: Outliers(d, 0.5, -1.0), "Outliers: size=-1.0"),
        (lambda d: Jitter(d, -1.0), "Jitter: std=-1.0"),
        (lambda d: Jitter(d, 1.0, 3), "Jitter: n_waveforms=3 .* divides the 2 outputs"),
        (lambda d: Jumping(d, -1), "Jumping: after=-1"),
        (lambda d: Jumping(d, 2.5), "Jumping: after=2.5"),
        (lambda d: Jumping(d, 2, -0.1), "Jumping: gain=-0.1"),
        (lambda d: Jumping(d, 2, 0.1, 1.1), "Jumping: mixing=1.1"),
        (lambda d: CommonMode(d, -1.0), "CommonMode: gain=-1.0"),
        (lambda d: CommonMode(d, 1.0, relaxation=0.5), "CommonMode: relaxation=0.5"),
        (lambda d: DeadChannels(d, 3), "DeadChannels: outputs=3 .* from 0 to 2"),
        (lambda d: DeadChannels(d, [2]), r"DeadChannels: outputs=\[2\]"),
        (lambda d: DeadChannels(d, 0, [0, 0]), r"DeadChannels: inputs=\[0, 0\]"),
        (lambda d: DeadChannels(d, True), "DeadChannels: outputs=True"),
        (lambda d: DeadChannels(d, "all"), "DeadChannels: outputs='all'"),
        (lambda d: DeadChannels(d, 0, 1, input_value=2.0), "input_value=2.0 must be a legal"),
        (lambda d: DeadChannels(d, 1, output_value=math.nan), "output_value=nan"),
        (lambda d: CrossTalk(d, 0.6), "CrossTalk: outputs=0.6"),
        (lambda d: CrossTalk(d, 0.1, math.nan), "CrossTalk: inputs=nan"),
        (lambda d: Outliers(d, 0.1, 1.0, ideal="no"), "Outliers: ideal='no'"),
        (lambda d: Outliers(d, 0.1, 1.0, seed=-1), "Outliers: seed=-1"),
    ],
)
def test_bad_arguments_are_named(make, named):
    with pytest.raises(ValueError, match=named):
        make(Spy())


# -- single readings -------------------------------------------------------------------------------


def test_shot_noise_has_the_variance_of_counting():
    for value in (0.05, 4.0, -4.0):
        got = answers(ShotNoise(constant(value), 50.0), ROWS)
        assert got.mean() == pytest.approx(value, rel=0.03)
        assert got.var() == pytest.approx(abs(value) / 50, rel=0.05)
        np.testing.assert_allclose(got * 50, np.round(got * 50), atol=1e-9)  # whole quanta
    assert not answers(ShotNoise(constant(0.0), 50.0), ROWS).any()


def test_shot_noise_of_complex_answers_and_of_many_quanta():
    got = answers(ShotNoise(constant(3 - 2j), 50.0), ROWS)
    assert got.mean() == pytest.approx(3 - 2j, rel=0.02)
    assert got.real.var() == pytest.approx(3 / 50, rel=0.05)
    assert got.imag.var() == pytest.approx(2 / 50, rel=0.05)
    assert answers(ShotNoise(constant(2.0, 3), 1e300), [[0]]) == pytest.approx(np.full((1, 3), 2.0))


def test_outliers_come_at_their_rate_and_size():
    error = answers(Outliers(constant(5.0), 0.1, 2.0), ROWS) - 5
    hit = error != 0
    assert hit.mean() == pytest.approx(0.1, rel=0.06)
    assert error[hit].std() == pytest.approx(2.0, rel=0.05)
    rows = answers(Outliers(constant(5.0), 0.3, 2.0, rows=True), np.zeros((500, 1))) != 5
    assert (rows.all(axis=1) | ~rows.any(axis=1)).all()
    assert rows.any(axis=1).mean() == pytest.approx(0.3, abs=0.07)


def test_jitter_shifts_a_row_as_a_whole():
    # A ramp tells the shift, all samples but those at the ends by the same; parabolas are exact.
    t = np.arange(40.0)
    table = np.concatenate([t, (t - 20) ** 2])
    device = FunctionDevice(lambda d: np.tile(table, (len(d), 1)), 1, 80)
    got = answers(Jitter(device, 0.7, 2), np.zeros((3000, 1)))
    late = t[5:-5] - got[:, 5:35]
    np.testing.assert_allclose(late, late[:, :1] + np.zeros(30), atol=1e-9)
    shift = late[:, :1]
    assert shift.std() == pytest.approx(0.7, rel=0.05)
    assert shift.mean() == pytest.approx(0, abs=0.05)
    np.testing.assert_allclose(got[:, 45:75], (t[5:-5] - shift - 20) ** 2, atol=1e-8)
    # It holds its ends, but for the kernel's overshoot, and never reads the other waveform.
    assert got[:, :40].min() > -0.1
    assert got[:, :40].max() < 39.1


def test_no_jitter_is_no_change():
    drives = np.random.default_rng(0).uniform(-1, 1, (5, 4))
    np.testing.assert_allclose(answers(Jitter(identity(), 0.0), drives), drives, atol=1e-15)


# -- changes of the transfer -----------------------------------------------------------------------


def test_a_jump_comes_after_its_rows_and_stays():
    drives = np.random.default_rng(0).uniform(-1, 1, (300, 200))
    with Jumping(identity(200), 100, 0.1, 0.6) as device:
        got = np.concatenate([device.measure(drives[:70]), device.measure(drives[70:])])
    np.testing.assert_array_equal(got[:100], drives[:100])
    matrix = np.linalg.lstsq(drives[100:], got[100:], rcond=None)[0].T  # 200 equations for each
    np.testing.assert_allclose(got[100:], drives[100:] @ matrix.T, atol=1e-8)
    gains = matrix.diagonal() / math.sqrt(1 - 0.6**2)
    assert gains.std() == pytest.approx(0.1, rel=0.15)
    leak = (matrix - np.diag(matrix.diagonal())) / gains[:, None]
    other = np.abs(leak).argmax(axis=1)
    assert sorted(other) == list(range(200))  # each serves once
    np.testing.assert_allclose(leak[np.arange(200), other], 0.6, atol=1e-6)


def test_a_jump_at_once_and_one_output():
    got = answers(Jumping(identity(1), 0, 0.5), [[1.0], [0.5]])
    assert got[0, 0] == pytest.approx(2 * got[1, 0])
    assert got[0, 0] != 1.0


def test_a_common_mode_is_the_same_for_all_outputs_and_slow():
    device = CommonMode(constant(2.0, 30), 0.1, 0.0, 20.0)
    got = answers(device, np.zeros((20_000, 1)))
    assert np.ptp(got, axis=1).max() == 0
    course = (got[:, 0] / 2 - 1) / 0.1
    assert abs(course[0]) < 1  # it starts where it was calibrated
    assert course.std() == pytest.approx(1, rel=0.1)
    correlation = np.corrcoef(course[:-20], course[20:])[0, 1]
    assert correlation == pytest.approx(math.exp(-1), abs=0.07)
    assert device.temperature == pytest.approx(course[-1])


def test_a_common_offset_ignores_the_answer():
    got = answers(CommonMode(constant(0.0, 3), 0.0, 0.5, 10.0), np.zeros((8000, 1)))
    assert got.std() == pytest.approx(0.5, rel=0.1)


# -- broken channels -------------------------------------------------------------------------------


def test_dead_channels_stay_where_they_are():
    drives = np.random.default_rng(0).uniform(0.1, 1, (20, 6))
    device = DeadChannels(identity(6), [1, 4], [0, 4], output_value=7.0, input_value=-0.5)
    got = answers(device, drives)
    assert (got[:, [1, 4]] == 7).all()
    assert (got[:, 0] == -0.5).all()
    np.testing.assert_array_equal(got[:, [2, 3, 5]], drives[:, [2, 3, 5]])


def test_a_number_of_dead_channels_is_drawn():
    device = DeadChannels(spy := Spy(50, 40), 7, 11, seed=3)
    got = answers(device, np.full((1, 50), 0.5))
    assert len(device.dead_outputs) == 7
    assert set(np.flatnonzero(got[0] == 0)) == set(device.dead_outputs)
    assert len(device.dead_inputs) == 11
    assert set(np.flatnonzero(spy.rows[0] == 0)) == set(device.dead_inputs)


def test_dead_inputs_are_stuck_at_a_legal_drive():
    for spec, stuck in (
        ({"low": 2.0, "high": 3.0}, 2.0),
        ({"low": -1.0, "high": 1.0, "domain": "bits"}, -1.0),
        ({"low": -1.0, "high": 0.0, "domain": "bits"}, 0.0),
        ({"low": -8, "high": 7, "domain": "codes"}, 0.0),
    ):
        with DeadChannels(spy := Spy(2, 2, **spec), 0, [1]) as device:
            device.measure([[spec["high"], spec["high"]]])
        np.testing.assert_array_equal(spy.rows, [[spec["high"], stuck]])
    with pytest.raises(ValueError, match=r"input_value=0.5 must be a legal drive"):
        DeadChannels(Spy(domain="bits"), 0, 1, input_value=0.5)


def test_cross_talk_leaks_to_both_neighbours_and_keeps_the_sum():
    got = answers(CrossTalk(identity(5), 0.1), [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]])
    np.testing.assert_allclose(got, [[0, 0.1, 0.8, 0.1, 0], [0.9, 0.1, 0, 0, 0]])
    np.testing.assert_allclose(answers(CrossTalk(identity(5), 0.3), [[0.7] * 5]), 0.7)


def test_cross_talk_of_inputs_stays_legal():
    low, high = (0.0, -10.0, 5.0), (1.0, 10.0, 6.0)
    with CrossTalk(spy := Spy(3, 1, low=low, high=high), 0, 0.5) as device:
        device.measure([[1.0, -10.0, 6.0], [1.0, 10.0, 6.0]])
    np.testing.assert_allclose(spy.rows, [[0.5, 10.0, 5.5], [1.0, 10.0, 6.0]])
    with pytest.raises(ValueError, match=r"inputs=0\.1 must be 0 for spy, whose inputs are bits"):
        CrossTalk(Spy(domain="bits"), 0.0, 0.1)


# -- the switch ------------------------------------------------------------------------------------


class Wobbly(Programmable):
    """A simulator with noise of its own and a programmable gain."""

    def __init__(self, n: int = 4, *, ideal: bool = False) -> None:
        self.spec = DeviceSpec(name="wobbly", n_inputs=n, n_outputs=n)
        self.ideal = ideal
        self._start_parameters(0.0, 10.0, [1.0])

    def _program(self, values):
        pass

    def _measure(self, drives):
        noise = 0.0 if self.ideal else np.random.default_rng(0).normal(size=drives.shape)
        return self.parameters[0] * drives + noise


def stack() -> tuple[Device, Wobbly]:
    inner = Wobbly()
    return Noisy(CrossTalk(DeadChannels(Quantised(inner, 2), 1), 0.2, ideal=True), 0.5), inner


def test_everything_is_off_at_one_switch():
    device, inner = stack()
    inner.program([3.0])
    drives = np.random.default_rng(0).uniform(0, 1, (5, 4))
    ideal = idealised(device)
    np.testing.assert_allclose(answers(ideal, drives), 3 * drives)  # parameters go along
    assert not np.allclose(answers(device, drives), 3 * drives)  # and the old one is as it was
    assert imperfections_on(ideal) == ()
    assert type(ideal) is Noisy
    assert repr(ideal).count("ideal=True") == 5


def test_what_is_on_is_listed():
    device, _ = stack()
    assert imperfections_on(device) == (
        "Noisy(additive=0.5)",
        "DeadChannels(outputs=1)",
        "Quantised(drive_bits=2)",
        "Wobbly()",
    )
    assert imperfections_on(identity()) == ()


def test_other_wrappers_stay_in_the_stack(tmp_path):
    device = idealised(Recorded(ShotNoise(identity(), 5.0), tmp_path / "rows.h5"))
    assert isinstance(device, Recorded)
    drives = np.full((2, 4), 0.3)
    np.testing.assert_array_equal(answers(device, drives), drives)
    assert (tmp_path / "rows.h5").exists()
