import copy
import math
import pickle

import numpy as np
import pytest
import torch
from richness import figures

from devices import Differentiable, Flag, LimitError, Programmable, build_device
from simulators import AngularSpectrum, DiffractiveStack

SMALL = {
    "n_inputs": 9,
    "n_outputs": 16,
    "n_grid": 32,
    "layer_pixels": 8,
    "distance_m": 2e-3,
    "precision": "double",
    "ideal": True,
}


def uniform(device, rows, seed=0):
    low, high = device.spec.limits
    unit = np.random.default_rng(seed).random((rows, device.spec.n_inputs))
    return low + (high - low) * (np.round(unit) if device.spec.domain == "bits" else unit)


# -- the light ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["amplitude", "phase", "binary"])
@pytest.mark.parametrize("rows", [3, 20])  # fewer than n_inputs go field by field, more by matrix
def test_answers_are_those_of_planes_and_free_space(encoding, rows):
    stack = DiffractiveStack(**SMALL, encoding=encoding, zero_order=0.1)
    drives = uniform(stack, rows)
    real, imag = stack.modulator.light(drives)
    pixels = real + 0j if imag is None else real + 1j * imag
    # 3 x 3 inputs of 5 x 5 samples fill 15 of the 16 samples of the middle half.
    plane = np.zeros((rows, 32, 32), complex)
    plane[:, 8:23, 8:23] = np.kron(pixels.reshape(rows, 3, 3), np.ones((5, 5)))
    space = AngularSpectrum(n=32, pitch_m=8e-6, wavelength_m=532e-9, distance_m=2e-3)
    field = space(plane)
    for layer in stack.parameters.reshape(2, 8, 8):
        field = space(field * np.exp(1j * np.kron(layer, np.ones((4, 4)))))
    bins = (np.abs(field) ** 2).reshape(rows, 4, 8, 4, 8).sum((2, 4)).reshape(rows, 16)
    expected = bins * 16 / (9 * 25 * stack.modulator.mean_power)
    with stack:
        np.testing.assert_allclose(stack.measure(drives), expected, rtol=1e-9)


def test_the_mean_answer_is_the_share_of_the_light_that_arrives():
    # Close planes lose nothing: the mean answer is then the power of the drives.
    stack = DiffractiveStack(**SMALL | {"distance_m": 1e-4})
    drives = np.full((2, 9), [[1.0], [0.5]])
    with stack:
        answers = stack.measure(drives).mean(axis=1)
    # The mean power of uniform amplitudes is 1/3. A little light leaves by the edges.
    np.testing.assert_allclose(answers, [3.0, 0.75], rtol=0.02)
    far = DiffractiveStack(**SMALL | {"distance_m": 0.05})
    with far:
        assert far.measure(drives)[0].mean() < 1.0


def test_flat_layers_are_free_space():
    stack = DiffractiveStack(**SMALL)
    stack.program(np.zeros(stack.parameters.shape))
    longer = DiffractiveStack(**SMALL | {"n_layers": 1, "distance_m": 3e-3})
    longer.program(np.zeros(longer.parameters.shape))
    drives = uniform(stack, 3)
    with stack, longer:
        # The apertures between are in different places: the light at the edges differs.
        np.testing.assert_allclose(stack.measure(drives), longer.measure(drives), atol=0.1)


def test_a_lens_in_the_layer_focuses():
    stack = DiffractiveStack(
        n_inputs=1, n_outputs=64, n_layers=1, layer_pixels=64, distance_m=0.02, ideal=True
    )
    at = (np.arange(64) - 31.5) * 8e-6
    # Light from a square of 256 um is nearly plane at 2 cm: a lens of that focal length.
    lens = -math.pi / 532e-9 / 0.02 * (at[:, None] ** 2 + at**2) % (2 * math.pi)
    with stack:
        stack.program(np.zeros(64**2))
        plain = stack.measure([[1.0]]).reshape(8, 8)[3:5, 3:5].sum() / 64
        stack.program(lens.ravel())
        focused = stack.measure([[1.0]]).reshape(8, 8)[3:5, 3:5].sum() / 64
    assert focused > 1.5 * plain


def test_an_absorber_on_each_layer_makes_light_act_on_light():
    stack = DiffractiveStack(**SMALL, optical_depth=2.0, saturation_intensity=0.5)
    drives = uniform(stack, 20)
    clear = DiffractiveStack(**SMALL)
    with stack, clear:
        dim, bright = stack.measure(0.1 * drives), stack.measure(drives)
        # Without absorbers, answers go with the square of the amplitudes.
        np.testing.assert_allclose(clear.measure(0.1 * drives), 0.01 * clear.measure(drives))
        assert dim.sum() < 0.01 * 0.5 * bright.sum()


# -- parameters --------------------------------------------------------------------------------


def test_parameters_change_the_answers_and_the_state():
    stack = DiffractiveStack(**SMALL)
    assert isinstance(stack, Programmable)
    assert stack.parameters.shape == (2 * 8 * 8,)
    assert (stack.parameter_low.max(), stack.parameter_high.min()) == (0, 2 * math.pi)
    drives = uniform(stack, 20)
    with stack:
        before, name = stack.measure(drives), stack.state_id
        start = stack.parameters
        stack.program(np.full(128, 1.0))
        assert stack.state_id != name
        assert np.abs(stack.measure(drives) - before).max() > 0.1
        stack.program(start)
        assert stack.state_id == name
        np.testing.assert_array_equal(stack.measure(drives), before)
        with pytest.raises(LimitError, match="nothing was changed"):
            stack.program(np.full(128, 7.0))


def test_a_copy_keeps_its_parameters():
    stack = DiffractiveStack(**SMALL, seed=3)
    stack.program(np.linspace(0, 6, 128))
    drives = uniform(stack, 4)
    for twin in (copy.copy(stack), pickle.loads(pickle.dumps(stack))):
        with stack, twin:
            np.testing.assert_array_equal(twin.measure(drives), stack.measure(drives))


def test_layer_levels_round_the_phases():
    rough, fine = DiffractiveStack(**SMALL, layer_levels=4), DiffractiveStack(**SMALL)
    fine.program(np.round(fine.parameters / (math.pi / 2)) * (math.pi / 2))
    drives = uniform(fine, 3)
    with rough, fine:
        np.testing.assert_allclose(rough.measure(drives), fine.measure(drives), rtol=1e-9)


# -- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["amplitude", "phase"])
@pytest.mark.parametrize("depth", [0.0, 1.0])
def test_forward_is_the_ideal_answer_and_has_its_gradients(encoding, depth):
    stack = DiffractiveStack(
        **SMALL | {"n_grid": 8, "layer_pixels": 4, "n_inputs": 4, "n_outputs": 4},
        encoding=encoding,
        optical_depth=depth,
    )
    assert isinstance(stack, Differentiable)
    drives = torch.from_numpy(uniform(stack, 2)).requires_grad_()
    with stack:
        measured = stack.measure(drives.detach().numpy())
    np.testing.assert_allclose(stack.forward(drives).detach().numpy(), measured, rtol=1e-10)
    parameters = torch.from_numpy(stack.parameters).requires_grad_()
    assert torch.autograd.gradcheck(stack.forward, (drives, parameters))


def test_phases_found_by_gradients_send_the_light_where_it_is_wanted():
    stack = DiffractiveStack(
        n_inputs=4, n_outputs=4, n_grid=32, layer_pixels=32, distance_m=4e-3, ideal=True
    )
    drives = np.ones((1, 4))
    phases = torch.from_numpy(stack.parameters).requires_grad_()
    optimiser = torch.optim.Adam([phases], lr=0.2)
    with stack:
        before = stack.measure(drives)[0]
        for _ in range(30):
            optimiser.zero_grad()
            (-stack.forward(torch.from_numpy(drives), phases)[0, 2]).backward()
            optimiser.step()
        stack.program(phases.detach().numpy() % (2 * math.pi))
        after = stack.measure(drives)[0]
    assert after[2] > 2 * before[2]
    assert after[2] > 0.8 * after.sum()


# -- the device --------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_batch_is_the_same_as_single_rows_of_the_stack(precision):
    stack = DiffractiveStack(precision=precision, ideal=True)
    drives = uniform(stack, 70)
    fresh = DiffractiveStack(precision=precision, ideal=True)
    with stack, fresh:
        batch = stack.measure(drives)
        single = np.concatenate([fresh.measure(drives[k : k + 1]) for k in (0, 69)])
    assert batch.dtype == np.dtype(stack.spec.output_dtype)
    tolerance = 1e-4 if precision == "single" else 1e-11
    np.testing.assert_allclose(batch[[0, 69]], single, atol=tolerance)


def test_camera_noise_is_on_by_default_and_separate_from_the_layers():
    kinds = {key: SMALL[key] for key in ("n_inputs", "n_outputs", "n_grid", "layer_pixels")}
    with DiffractiveStack(**kinds) as real, DiffractiveStack(**kinds, ideal=True) as ideal:
        np.testing.assert_array_equal(real.parameters, ideal.parameters)
        drives = uniform(real, 3)
        assert (real.measure(drives) != real.measure(drives)).any()
        mean = real.measure(drives, averages=300)
        light = ideal.measure(drives)
        np.testing.assert_allclose(mean[light > 0.2], light[light > 0.2], atol=0.02)
        assert ideal.spec.saturation is None
    with DiffractiveStack(**kinds, full_scale=0.1) as bright:
        assert (bright.acquire(drives).flags & Flag.SATURATED).all()


def test_settings_of_the_stack():
    # Over many rows: 0.50 and 0.48 for rich, an affine R2 of 0.88 for measured-like.
    r2, share = figures(DiffractiveStack(setting="rich"), 1500, 500)
    assert r2 < 0.80
    assert share > 0.25
    assert figures(DiffractiveStack(), 1500, 500)[0] > 0.80


def test_picture_is_the_plane_of_the_camera():
    stack = DiffractiveStack(**SMALL)
    drive = uniform(stack, 1)[0]
    picture = stack.picture(drive)
    assert picture.values.shape == (32, 32)
    with stack:
        share = stack.measure(drive[None]).mean()
    assert picture.values.sum() / (9 * 25) == pytest.approx(share)
    assert picture.x[-1] == pytest.approx(15.5 * 8e-3)


def test_by_name_and_with_odd_numbers():
    stack = build_device("sim:diffractive-stack?n_inputs=74&n_outputs=10&setting=rich")
    with stack:
        assert stack.measure(uniform(stack, 2)).shape == (2, 10)
        assert stack.measure(np.empty((0, 74))).shape == (0, 10)


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n_inputs": 0}, "from 1 to 1024"),
        ({"n_inputs": 1025}, "from 1 to 1024"),
        ({"n_outputs": 4097}, "from 1 to 4096"),
        ({"n_layers": 0}, "at least 1"),
        ({"layer_pixels": 24}, "must divide n_grid=64; use 8"),
        ({"layer_levels": 1}, "at least 2"),
        ({"distance_m": -1.0}, "at least 0"),
        ({"precision": "half"}, "single, double"),
        ({"encoding": "colour"}, "phase, amplitude, binary"),
        ({"setting": "wild"}, "measured-like, rich"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_bad_arguments_of_the_stack_are_named(argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf"DiffractiveStack: {name}={value!r} .*{allowed}"):
        DiffractiveStack(**argument)
