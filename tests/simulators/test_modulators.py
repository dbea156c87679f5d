import math

import numpy as np
import pytest
import torch

from devices import LimitError
from simulators import DMD, AmplitudeSLM, PhaseSLM, ScatteringMedium


def field(modulator, drives):
    real, imag = modulator.light(np.asarray(drives, float))
    return real if imag is None else real + 1j * imag


def test_each_kind_does_its_own_to_the_light():
    drives = np.array([[0.0, 0.5, 1.0]])
    np.testing.assert_allclose(field(PhaseSLM(n_pixels=3), drives), np.exp(1j * drives))
    np.testing.assert_allclose(field(AmplitudeSLM(n_pixels=3), drives), drives)
    np.testing.assert_allclose(field(DMD(n_pixels=2), [[0.0, 1.0]]), [[0.0, 1.0]])


def test_levels_are_spread_over_the_legal_range_with_its_ends():
    slm = PhaseSLM(n_pixels=1, levels=5, phase_range=math.pi)
    ramp = np.linspace(0, math.pi, 1000)[:, None]
    seen = np.unique(np.round(np.angle(field(slm, ramp)), 9))
    np.testing.assert_allclose(seen, np.linspace(0, math.pi, 5), atol=1e-9)


def test_crosstalk_smears_over_the_four_neighbours():
    slm = AmplitudeSLM(n_pixels=25, crosstalk=0.2)
    drives = np.zeros((1, 25))
    drives[0, 12] = 1
    around = field(slm, drives).reshape(5, 5)
    expected = np.zeros((5, 5))
    expected[2, 2] = 0.8
    for place in ((1, 2), (3, 2), (2, 1), (2, 3)):
        expected[place] = 0.05
    np.testing.assert_allclose(around, expected)


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_crosstalk_leaves_an_even_drive_alone_whatever_the_shape(n):
    slm = AmplitudeSLM(n_pixels=n, crosstalk=0.7)
    np.testing.assert_allclose(field(slm, np.full((1, n), 0.3)), 0.3)


def test_gaps_reflect_on_liquid_crystal_and_are_dark_between_mirrors():
    np.testing.assert_allclose(
        field(PhaseSLM(n_pixels=1, fill_factor=0.9), [[math.pi]]), -0.8, atol=1e-12
    )
    np.testing.assert_allclose(field(DMD(n_pixels=1, fill_factor=0.9), [[1.0]]), 0.9)


@pytest.mark.parametrize("kind", [PhaseSLM, AmplitudeSLM, DMD])
@pytest.mark.parametrize("zero_order", [0.0, 0.3])
def test_mean_power_and_mean_light_are_those_of_uniform_drives(kind, zero_order):
    modulator = kind(n_pixels=1000, zero_order=zero_order)
    random = np.random.default_rng(0)
    drives = random.uniform(0, modulator.high, (200, 1000))
    if kind is DMD:
        drives = np.round(drives)
    light = field(modulator, drives)
    # 200,000 pixels: means are known to 0.3 %.
    assert (np.abs(light) ** 2).mean() == pytest.approx(modulator.mean_power, abs=0.005)
    assert abs(light.mean() - modulator.mean_light) < 0.005


def test_torch_and_numpy_agree_and_gradients_pass_the_rounding():
    slm = PhaseSLM(n_pixels=9, levels=8, crosstalk=0.1, fill_factor=0.9, zero_order=0.1)
    drives = np.random.default_rng(0).uniform(0, math.pi, (3, 9))
    tensor = torch.from_numpy(drives).requires_grad_()
    real, imag = slm.light(tensor)
    np.testing.assert_allclose((real + 1j * imag).detach().numpy(), field(slm, drives), atol=1e-12)
    (real.sum() + imag.sum()).backward()
    assert (tensor.grad.abs() > 1e-3).all()


def test_a_medium_sees_its_modulator():
    kinds = {"n_inputs": 9, "n_outputs": 7, "precision": "double", "ideal": True}
    rough = ScatteringMedium(**kinds, levels=3, crosstalk=0.25, fill_factor=0.8)
    drives = np.random.default_rng(1).uniform(0, math.pi, (4, 9))
    light = field(PhaseSLM(n_pixels=9, levels=3, crosstalk=0.25, fill_factor=0.8), drives)
    np.testing.assert_allclose(rough.fields(drives), light @ rough.transmission_matrix.T)
    with rough, pytest.raises(LimitError):  # levels and cross-talk do not widen the limits
        rough.measure(drives + math.pi)


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n_pixels": 0}, "at least 1"),
        ({"levels": 1}, "from 2 to 65536"),
        ({"crosstalk": 1.5}, "at most 1"),
        ({"fill_factor": 0.0}, "above 0"),
        ({"zero_order": 1.0}, "below 1"),
        ({"pitch_m": 0.0}, "above 0"),
        ({"phase_range": 7.0}, "at most 6.28"),
    ],
)
def test_bad_arguments_of_modulators_are_named(argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf"PhaseSLM: {name}={value!r} .*{allowed}"):
        PhaseSLM(**{"n_pixels": 4} | argument)
