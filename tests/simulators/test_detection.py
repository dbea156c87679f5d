import math

import numpy as np
import pytest
import torch
from scipy.special import lambertw

from simulators import Camera, OffAxisHolography, SaturableAbsorber, ScatteringMedium


def speckle(*shape, seed=0):
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / math.sqrt(2)


# -- holography --------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 5, 32, 33])
def test_without_noise_the_field_comes_back_exactly(m):
    bench = OffAxisHolography(camera=Camera(full_scale=48.0))
    fields = speckle(3, 2, m)
    fringes = bench.hologram(fields)
    assert fringes.shape == (3, 2, 4 * m)
    assert fringes.min() >= 0
    np.testing.assert_allclose(bench.demodulate(fringes), fields, atol=1e-12)


def test_the_brightest_fringe_of_a_full_field_just_fills_a_pixel():
    bench = OffAxisHolography(camera=Camera(full_scale=10.0))
    fringes = bench.hologram(np.full((1, 64), bench.reference + 0j))
    assert fringes.max() == pytest.approx(10.0, rel=1e-3)


def test_noise_of_the_recovered_field_follows_from_that_of_the_pixels():
    # <|dF|^2> = s^2 / (4 R^2), where s^2 is the mean variance of a pixel: read noise, shot noise
    # of |F|^2 + R^2, and the converter's step^2 / 12. 40,000 samples know it to 0.7 %.
    camera = Camera(full_well=10_000, read_noise=30, bits=10, full_scale=48.0)
    bench = OffAxisHolography(camera=camera)
    fields = speckle(200, 200)
    seen = bench.detect(fields, np.random.default_rng(1))
    gain = camera.full_scale / camera.full_well
    electrons = (1 + bench.reference**2) / gain
    step = camera.full_scale / 1023
    expected = ((electrons + 30**2) * gain**2 + step**2 / 12) / (4 * bench.reference**2)
    assert (np.abs(seen - fields) ** 2).mean() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("n_outputs", [49, 50])
def test_a_medium_answers_with_fields(n_outputs):
    kinds = {"n_inputs": 8, "n_outputs": n_outputs, "detection": "holography"}
    drives = np.random.default_rng(0).uniform(0, math.pi, (300, 8))
    with ScatteringMedium(**kinds, ideal=True) as ideal, ScatteringMedium(**kinds) as real:
        assert ideal.spec.output_dtype == real.spec.output_dtype == "complex64"
        light = ideal.measure(drives)
        np.testing.assert_allclose(light, ideal.fields(drives), rtol=1e-5, atol=1e-6)
        result = real.acquire(drives)
    error = np.sqrt((np.abs(result.outputs - light) ** 2).mean())
    assert 0.02 < error < 0.1  # the mean field is 1; see the noise above
    assert not result.flags.any()


def test_an_overfull_hologram_is_flagged():
    kinds = {"n_inputs": 8, "n_outputs": 16, "detection": "holography", "full_scale": 1.0}
    with ScatteringMedium(**kinds) as medium:
        assert medium.acquire(np.zeros((1, 8))).flags.all()


def test_holography_needs_one_polarisation():
    with pytest.raises(ValueError, match="polarised=True"):
        ScatteringMedium(detection="holography", polarised=False)
    with pytest.raises(ValueError, match="detection='phase' is not one of intensity, holography"):
        ScatteringMedium(detection="phase")


# -- saturable absorber ------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "within"), [(0.1, 0.002), (0.5, 0.05), (1.0, 0.14)])
def test_absorber_against_the_thick_solution(depth, within):
    # dI/dz = -a I / (1 + I / s) has the solution I = s W((I0 / s) exp(I0 / s - a z)).
    intensity = np.geomspace(1e-3, 1e2, 50)
    thick = lambertw(intensity * np.exp(intensity - depth)).real / intensity
    thin = SaturableAbsorber(optical_depth=depth).transmittance(intensity)
    np.testing.assert_allclose(thin, thick, rtol=within)
    assert np.abs(thin / thick - 1).max() > within / 4  # the bound is not an idle one


def test_weak_light_sees_the_depth_and_strong_light_passes():
    absorber = SaturableAbsorber(optical_depth=2.0, saturation_intensity=3.0)
    np.testing.assert_allclose(
        absorber.transmittance(np.array([0.0, 3.0, 1e9])), np.exp([-2.0, -1.0, 0.0])
    )


@pytest.mark.parametrize("detection", ["intensity", "holography"])
@pytest.mark.parametrize("polarised", [True, False])
def test_a_medium_with_an_absorber(detection, polarised):
    if detection == "holography" and not polarised:
        return
    kinds = {"n_inputs": 5, "n_outputs": 6, "detection": detection, "polarised": polarised}
    medium = ScatteringMedium(
        **kinds, optical_depth=1.5, saturation_intensity=0.5, precision="double", ideal=True
    )
    drives = np.random.default_rng(0).uniform(0, math.pi, (4, 5))
    fields = medium.fields(drives)
    intensity = (np.abs(fields) ** 2).reshape(-1, 4, 6).sum(axis=0)
    through = np.exp(-1.5 / (1 + intensity / 0.5))
    expected = intensity * through if detection == "intensity" else fields * np.sqrt(through)
    with medium:
        np.testing.assert_allclose(medium.measure(drives), expected)
        np.testing.assert_allclose(medium.forward(torch.from_numpy(drives)).numpy(), expected)


def test_bad_arguments_of_an_absorber_are_named():
    with pytest.raises(ValueError, match=r"optical_depth=-1 must be a finite number of at least 0"):
        ScatteringMedium(optical_depth=-1)
    with pytest.raises(ValueError, match=r"saturation_intensity=0 must be a finite number above 0"):
        ScatteringMedium(saturation_intensity=0)
