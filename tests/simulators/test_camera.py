import numpy as np
import pytest

from simulators import Camera

N = 200_000  # pixels: a variance is then known to sqrt(2 / N) = 0.3 %


def exposure(camera, level, *, dtype=np.float64, seed=1):
    return camera.detect(np.full(N, level, dtype), np.random.default_rng(seed))


@pytest.mark.parametrize("electrons", [100.0, 1_000.0, 5_000.0])
def test_variance_of_shot_noise_is_the_mean(electrons):
    # In electrons: 16 bits over 10,000 electrons round to 0.15, far below the noise. The
    # tolerances are five standard deviations of the estimates.
    camera = Camera(full_well=10_000, read_noise=0, bits=16, full_scale=10_000)
    seen = exposure(camera, electrons)
    assert seen.mean() == pytest.approx(electrons, abs=5 * np.sqrt(electrons / N))
    assert seen.var() == pytest.approx(electrons, rel=5 * np.sqrt(2 / N))


def test_read_noise_adds_in_variance():
    camera = Camera(full_well=10_000, read_noise=30, bits=16, full_scale=10_000)
    assert exposure(camera, 1_000.0).var() == pytest.approx(1_900, rel=5 * np.sqrt(2 / N))


def test_noise_follows_the_full_well_and_not_the_unit():
    # Signal to noise at half scale is sqrt(full_well / 2), whatever full_scale is.
    for full_well in (2_000.0, 50_000.0):
        camera = Camera(full_well=full_well, read_noise=0, bits=16, full_scale=0.3)
        seen = exposure(camera, 0.15)
        expected = np.sqrt(full_well / 2)
        assert seen.mean() / seen.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * N))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("full_scale", [0.1, 12.0])
def test_a_full_pixel_answers_full_scale_exactly(dtype, bits, full_scale):
    # 4095 times (0.1 / 4095) is less than 0.1 in float32, and would not be flagged as saturated.
    camera = Camera(bits=bits, full_scale=full_scale)
    seen = exposure(camera, 2 * full_scale, dtype=dtype)
    assert seen.dtype == dtype
    assert (seen == dtype(full_scale)).all()


def test_a_dark_pixel_is_never_negative():
    seen = exposure(Camera(read_noise=20, bits=16, full_scale=10_000), 0.0)
    assert seen.min() == 0
    # Half a normal distribution: mean 0.399 of its standard deviation.
    assert seen.mean() == pytest.approx(0.399 * 20, rel=0.02)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_answers_lie_on_the_levels_of_the_converter(bits):
    camera = Camera(full_well=1_000, bits=bits, full_scale=2.0)
    ramp = np.linspace(0, 2, 10_000)
    levels = np.unique(camera.detect(ramp, np.random.default_rng(0)))
    np.testing.assert_allclose(levels, np.linspace(0, 2, 2**bits), atol=1e-12)


def test_the_exposure_is_left_alone_and_the_noise_is_of_the_generator():
    light = np.full((3, 5), 0.5)
    camera = Camera()
    first = camera.detect(light, np.random.default_rng(4))
    assert (light == 0.5).all()
    np.testing.assert_array_equal(first, camera.detect(light, np.random.default_rng(4)))
    assert (first != camera.detect(light, np.random.default_rng(5))).any()


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"full_well": 10.0}, "at least 100"),
        ({"full_well": float("inf")}, "at least 100"),
        ({"read_noise": -1.0}, "at least 0"),
        ({"bits": 0}, "from 1 to 16"),
        ({"bits": 17}, "from 1 to 16"),
        ({"bits": 8.0}, "from 1 to 16"),
        ({"full_scale": 0.0}, "above 0"),
    ],
)
def test_bad_arguments_are_named_with_value_and_range(argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf"Camera: {name}={value!r} .*{allowed}"):
        Camera(**argument)
