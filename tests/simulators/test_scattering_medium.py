import math
import pickle

import numpy as np
import pytest

from devices import Flag, LimitError
from simulators import ScatteringMedium


def random_drives(medium, rows, seed=0):
    random, spec = np.random.default_rng(seed), medium.spec
    if spec.domain == "bits":
        return random.integers(0, 2, (rows, spec.n_inputs)).astype(float)
    return random.uniform(spec.low, spec.high, (rows, spec.n_inputs))


# -- the medium --------------------------------------------------------------------------------


def test_singular_values_lie_between_the_edges():
    # Marchenko and Pastur: T / sqrt(M) with unit variance has its singular values inside
    # 1 -+ sqrt(N / M), and fills that range. The outermost of this size fluctuate by a few
    # M**(-2/3) = 0.6 %, so 3 % outside is never seen and 6 % inside is always reached.
    n, m = 256, 2048
    matrix = ScatteringMedium(n_inputs=n, n_outputs=m).transmission_matrix
    values = np.linalg.svd(matrix * math.sqrt(n / m), compute_uv=False)
    low, high = 1 - math.sqrt(n / m), 1 + math.sqrt(n / m)
    assert low - 0.03 < values.min() < low + 0.06
    assert high - 0.06 < values.max() < high + 0.03


@pytest.mark.parametrize("encoding", ["phase", "amplitude", "binary"])
@pytest.mark.parametrize("zero_order", [0.0, 0.2])
@pytest.mark.parametrize("phase_range", [math.pi, 1.0])
@pytest.mark.parametrize("polarised", [True, False])
def test_mean_intensity_is_one_for_uniform_drives(encoding, zero_order, phase_range, polarised):
    # The part of the field that all drives share is one speckle, whose mean over 5,000 pixels is
    # known to 1.4 %; the power of 64 random bits, over 500 rows, to 0.6 %.
    medium = ScatteringMedium(
        n_inputs=64,
        n_outputs=5_000,
        encoding=encoding,
        zero_order=zero_order,
        phase_range=phase_range,
        polarised=polarised,
        ideal=True,
    )
    with medium:
        answers = medium.measure(random_drives(medium, 500))
    assert answers.mean() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(("polarised", "contrast"), [(True, 1.0), (False, 1 / math.sqrt(2))])
def test_speckle_contrast(polarised, contrast):
    # Contrast of 65,536 independent pixels: its standard deviation is below sqrt(2 / N) = 0.6 %.
    medium = ScatteringMedium(n_inputs=32, n_outputs=2**16, polarised=polarised, ideal=True)
    with medium:
        (speckle,) = medium.measure(random_drives(medium, 1))
    assert speckle.std() / speckle.mean() == pytest.approx(contrast, rel=0.025)


def test_fields_explain_the_intensities():
    for polarised in (True, False):
        medium = ScatteringMedium(
            n_inputs=5, n_outputs=7, polarised=polarised, ideal=True, precision="double"
        )
        drives = random_drives(medium, 3)
        matrix, fields = medium.transmission_matrix, medium.fields(drives)
        np.testing.assert_allclose(fields, np.exp(1j * drives) @ np.swapaxes(matrix, -1, -2))
        intensity = np.abs(fields) ** 2
        with medium:
            np.testing.assert_allclose(
                medium.measure(drives), intensity if polarised else intensity.sum(axis=0)
            )


def test_zero_order_is_a_share_of_the_power_that_no_drive_changes():
    medium = ScatteringMedium(
        n_inputs=3, n_outputs=4, zero_order=0.25, phase_range=2 * math.pi, precision="double"
    )
    matrix = medium.transmission_matrix
    drives = random_drives(medium, 2)
    light = math.sqrt(0.75) * np.exp(1j * drives) + math.sqrt(0.25)
    np.testing.assert_allclose(medium.fields(drives), light @ matrix.T)


def test_grain_is_the_distance_of_intensity_correlation():
    # exp(-(d / grain)**2). With 20,000 pixels (5,000 grains) and 40 drives of 32 pixels, a
    # correlation is known to about 1 / sqrt(5,000) = 1.4 %; three times that is allowed.
    grain = 4.0
    medium = ScatteringMedium(n_inputs=32, n_outputs=20_000, grain=grain, ideal=True)
    with medium:
        speckle = medium.measure(random_drives(medium, 40))
    speckle = speckle - speckle.mean()
    for distance in (1, 4, 6, 20):
        seen = (speckle[:, :-distance] * speckle[:, distance:]).mean() / speckle.var()
        assert seen == pytest.approx(math.exp(-((distance / grain) ** 2)), abs=0.045)
    assert speckle.std() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("grain", [0.0, 3.0])
@pytest.mark.parametrize("polarised", [True, False])
def test_a_larger_camera_sees_more_of_the_same_medium(grain, polarised):
    small, large = (
        ScatteringMedium(n_inputs=6, n_outputs=m, grain=grain, polarised=polarised, seed=3)
        for m in (10, 50)
    )
    np.testing.assert_array_equal(small.transmission_matrix, large.transmission_matrix[..., :10, :])


# -- what is done with it in the laboratory ----------------------------------------------------


def test_phase_only_conjugation_enhances_by_pi_quarter():
    # Vellekoop and Mosk 2007: the focus is pi / 4 (N - 1) + 1 times the mean. For one target the
    # spread is about sqrt(N); the mean over 500 targets is known to about 0.5 %.
    n, m = 64, 500
    medium = ScatteringMedium(n_inputs=n, n_outputs=m, phase_range=2 * math.pi, ideal=True)
    conjugate = np.angle(medium.transmission_matrix.conj()) % (2 * math.pi)
    with medium:
        focus = np.diag(medium.measure(conjugate))
        background = medium.measure(random_drives(medium, 500)).mean()
    enhancement = focus.mean() / background
    assert enhancement == pytest.approx(math.pi / 4 * (n - 1) + 1, rel=0.03)


def test_four_phase_steps_recover_the_matrix_up_to_a_factor_per_row():
    # Half of the modulator is a reference that stays, the other half shows a Hadamard pattern at
    # four phases: I_k = |R + S exp(i k pi / 2)|^2, and the sum of I_k exp(-i k pi / 2) is
    # 4 conj(R) S exactly (Popoff et al. 2010). Undoing the Hadamard basis leaves conj(R) T.
    n, half, m = 16, 8, 12
    medium = ScatteringMedium(
        n_inputs=n, n_outputs=m, phase_range=2 * math.pi, precision="double", ideal=True
    )
    hadamard = np.array([[1.0]])
    while len(hadamard) < half:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    pattern = np.where(hadamard > 0, 0.0, math.pi)
    total = 0.0
    with medium:
        for k in range(4):
            stepped = (pattern + k * math.pi / 2) % (2 * math.pi)
            drives = np.concatenate([np.zeros((half, half)), stepped], axis=1)
            total = total + medium.measure(drives) * np.exp(-1j * k * math.pi / 2)
    found = (hadamard.T @ total / (4 * half)).T  # (m, half): conj(R) T of the stepped half
    matrix = medium.transmission_matrix
    factor = found[:, :1] / matrix[:, half : half + 1]
    np.testing.assert_allclose(found, factor * matrix[:, half:], rtol=1e-9)
    # And the factor is the conjugate of the reference field, which differs from row to row.
    np.testing.assert_allclose(factor[:, 0], matrix[:, :half].sum(axis=1).conj(), rtol=1e-9)


# -- as a device -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "domain", "high", "unit"),
    [
        ("phase", "phase", math.pi, "rad"),
        ("amplitude", "amplitude", 1, "1"),
        ("binary", "bits", 1, "1"),
    ],
)
def test_limits_follow_the_encoding(encoding, domain, high, unit):
    medium = ScatteringMedium(n_inputs=2, n_outputs=3, encoding=encoding)
    spec = medium.spec
    assert (spec.domain, spec.low, spec.high, spec.input_unit) == (domain, 0, high, unit)
    with medium, pytest.raises(LimitError, match="nothing was driven"):
        medium.measure([[0.0, high + 0.1]])
    if encoding == "binary":
        with medium, pytest.raises(LimitError, match="neither 0 nor 1"):
            medium.measure([[0.0, 0.5]])


def test_the_default_range_keeps_the_ends_apart():
    # 0 and pi are opposite signs of the field; 0 and 2 pi would be the same light.
    medium = ScatteringMedium(n_inputs=1, n_outputs=4, precision="double")
    at_ends = medium.fields([[0.0], [medium.spec.high]])
    np.testing.assert_allclose(at_ends[0], -at_ends[1])


@pytest.mark.parametrize("ideal", [True, False])
def test_same_seed_same_answers(ideal):
    def answers(**change):
        medium = ScatteringMedium(
            **{"n_inputs": 8, "n_outputs": 20, "seed": 5, "ideal": ideal} | change
        )
        with medium:
            return medium.measure(random_drives(medium, 4))

    np.testing.assert_array_equal(answers(), answers())
    assert np.abs(answers() - answers(seed=6)).max() > 0.1


def test_noise_is_new_in_each_measurement_and_separate_from_the_medium():
    medium = ScatteringMedium(n_inputs=8, n_outputs=400)
    drives = random_drives(medium, 1)
    light = np.abs(medium.fields(drives)) ** 2
    with medium:
        seen = medium.measure(drives, averages=400)
        assert (medium.measure(drives) != medium.measure(drives)).any()
    # 12 / 10,000 of relative intensity per electron. A mean of 400 exposures of the brightest
    # pixels (some 5,000 electrons) is known to 4 electrons = 0.004; dark pixels are cut at zero.
    bright = light > 0.1
    np.testing.assert_allclose(seen[bright], light[bright], atol=0.025)


def test_the_camera_is_on_by_default_and_off_when_ideal():
    drives = np.zeros((1, 4))
    kinds = {"n_inputs": 4, "n_outputs": 3000, "bits": 8}
    with ScatteringMedium(**kinds) as real, ScatteringMedium(**kinds, ideal=True) as ideal:
        levels = real.measure(drives) / (12 / 255)
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
        np.testing.assert_allclose(
            ideal.measure(drives), np.abs(ideal.fields(drives)) ** 2, rtol=1e-5
        )
        assert ideal.spec.saturation is None


def test_a_row_with_a_full_pixel_is_flagged():
    kinds = {"n_inputs": 16, "n_outputs": 64}
    with ScatteringMedium(**kinds, full_scale=0.5) as medium:
        result = medium.acquire(random_drives(medium, 5))
        assert result.outputs.max() == medium.spec.saturation == 0.5
        assert (result.flags & Flag.SATURATED).all()
    with ScatteringMedium(**kinds, full_scale=100.0) as medium:
        assert not medium.acquire(random_drives(medium, 5)).flags.any()


@pytest.mark.parametrize(("precision", "rtol"), [("single", 1e-4), ("double", 1e-11)])
@pytest.mark.parametrize("polarised", [True, False])
def test_a_batch_is_the_same_as_single_rows(precision, rtol, polarised):
    # 300 rows of 1,024 outputs are more than one block of the computation.
    medium = ScatteringMedium(precision=precision, polarised=polarised, ideal=True)
    drives = random_drives(medium, 300)
    with medium:
        batch = medium.measure(drives)
        assert batch.dtype == medium.spec.output_dtype
        single = np.concatenate([medium.measure(drives[k : k + 1]) for k in (0, 127, 128, 299)])
    # A dark pixel is a difference of terms of order one: the tolerance is absolute as well.
    np.testing.assert_allclose(batch[[0, 127, 128, 299]], single, rtol=rtol, atol=rtol)


def test_noise_does_not_depend_on_how_rows_are_batched():
    whole, split = (ScatteringMedium(n_outputs=700, precision="double", seed=2) for _ in range(2))
    drives = random_drives(whole, 400)
    with whole, split:
        together = whole.measure(drives)
        apart = np.concatenate([split.measure(drives[:1]), split.measure(drives[1:])])
    # One level apart where rounding falls on an edge.
    assert np.abs(together - apart).max() <= 12 / 1023 + 1e-9
    assert (together == apart).mean() > 0.9999


def test_one_input_and_one_output_work():
    with ScatteringMedium(n_inputs=1, n_outputs=1, ideal=True) as medium:
        answer = medium.measure([[0.0], [2.0]])
        assert answer[0, 0] == pytest.approx(np.abs(medium.transmission_matrix[0, 0]) ** 2)
        assert answer[1, 0] == pytest.approx(answer[0, 0])  # a phase alone is not seen
        assert medium.measure(np.empty((0, 1))).shape == (0, 1)


def test_a_pickled_medium_is_the_same_medium():
    medium = ScatteringMedium(n_inputs=5, n_outputs=9, grain=2.0, polarised=False, seed=11)
    copy = pickle.loads(pickle.dumps(medium))
    np.testing.assert_array_equal(copy.transmission_matrix, medium.transmission_matrix)
    drives = random_drives(medium, 3)
    with medium, copy:
        np.testing.assert_array_equal(copy.measure(drives), medium.measure(drives))


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n_inputs": 0}, "at least 1"),
        ({"n_outputs": 2.5}, "at least 1"),
        ({"encoding": "colour"}, "phase, amplitude, binary"),
        ({"phase_range": 0.0}, "above 0"),
        ({"phase_range": 7.0}, "at most 6.28"),
        ({"zero_order": 1.0}, "below 1"),
        ({"zero_order": -0.1}, "at least 0"),
        ({"grain": float("nan")}, "at least 0"),
        ({"polarised": "no"}, "True or False"),
        ({"full_well": 1}, "at least 100"),
        ({"full_scale": -1.0}, "above 0"),
        ({"precision": "half"}, "single, double"),
        ({"seed": -1}, "at least 0"),
        ({"ideal": 1}, "True or False"),
    ],
)
def test_bad_arguments_are_named_with_value_and_range(argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf"{name}={value!r} .*{allowed}"):
        ScatteringMedium(**argument)
