import math
import pickle

import numpy as np
import pytest
import torch
from richness import figures

from devices import DeviceError, Differentiable, Flag
from simulators import KerrFibre
from simulators.optical.split_step import SplitStep, check_steps


def soliton(order, n_samples=512, window=40.0):
    time = (np.arange(n_samples) - n_samples // 2) * window / n_samples
    return order / np.cosh(time) + 0j


def propagate(field, length, n_steps, window=40.0, every=0, **physics):
    solver = SplitStep(
        n_samples=field.shape[-1], window=window, length=length, n_steps=n_steps, **physics
    )
    end, phase, kept = solver.run(np.fft.fft(field).reshape(1, -1, field.shape[-1]), every)
    return np.fft.ifft(end)[0], phase[0], [np.fft.ifft(spectrum)[0] for spectrum in kept]


# -- the equation ----------------------------------------------------------------------------------


def test_the_first_soliton_keeps_its_shape_to_second_order():
    # sech(t) exp(i z / 2). The largest difference of the complex fields at z = pi: 6.4e-5, 1.6e-5
    # and 4.0e-6 were computed independently; the splitting half linear, Kerr, half linear gives
    # them, and Kerr first 7.8e-5. The grid does not matter: at |t| = 20 the pulse is 4e-9, and at
    # the highest frequency, 40, exp(-63). Two digits are given, hence 1 %.
    exact = soliton(1) * np.exp(0.5j * math.pi)
    errors = [
        np.abs(propagate(soliton(1), math.pi, n)[0][0] - exact).max() for n in (200, 400, 800)
    ]
    np.testing.assert_allclose(errors, [6.4e-5, 1.6e-5, 4.0e-6], rtol=0.01)


def test_the_second_soliton_revives_and_is_16_half_way():
    # The error is that of the step, of second order in it (a factor of 4 for half the step).
    start = soliton(2)
    peaks, revivals = [], []
    for n_steps in (400, 800):
        end, _, kept = propagate(start, math.pi / 2, n_steps, every=n_steps // 2)
        peaks.append(abs(np.abs(kept[1][0]).max() ** 2 - 16))
        revivals.append(np.abs(np.abs(end[0]) - np.abs(start)).max())
    assert peaks[1] < 0.01
    assert revivals[1] < 2e-3
    assert revivals[0] / revivals[1] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("n_modes", [1, 3])
def test_energy_is_conserved_to_rounding(n_modes):
    # Every part is unitary: what remains is rounding, 1e-16 for each of 300 steps.
    field = soliton(2) * np.array([1.0, 0.5, 0.2j])[:n_modes, None]
    end, _, _ = propagate(field, 2.0, 300, n_modes=n_modes, coupling=0.7, cross=2.0)
    assert np.sum(np.abs(end) ** 2) == pytest.approx(np.sum(np.abs(field) ** 2), rel=1e-12)


def test_without_nonlinearity_a_gaussian_spreads_as_it_must():
    # |A|^2 has the width sqrt(1 + (beta2 z)^2) (Agrawal, ch. 3); exact at any step.
    time = (np.arange(512) - 256) * 40 / 512
    end, _, _ = propagate(np.exp(-(time**2) / 2) + 0j, 1.5, 3, gamma=0.0, beta2=0.8)
    width = 1 + (0.8 * 1.5) ** 2
    np.testing.assert_allclose(
        np.abs(end[0]) ** 2, np.exp(-(time**2) / width) / math.sqrt(width), atol=1e-12
    )


def test_two_coupled_modes_exchange_their_light():
    # Without dispersion and Kerr effect: cos^2 and sin^2 of coupling z.
    field = np.stack([soliton(1), 0 * soliton(1)])
    end, _, _ = propagate(field, 1.0, 4, n_modes=2, coupling=0.6, gamma=0.0, beta2=0.0)
    energy = np.sum(np.abs(end) ** 2, axis=1)
    share = energy / energy.sum()
    np.testing.assert_allclose(share, [math.cos(0.6) ** 2, math.sin(0.6) ** 2], rtol=1e-12)


def test_cross_kerr_turns_the_phase_of_a_weak_neighbour():
    # Without dispersion and coupling: gamma cross |A_1|^2 z on the second mode, exact.
    field = np.stack([soliton(1), 1e-6 * soliton(1)])
    end, _, _ = propagate(field, 0.5, 20, n_modes=2, coupling=0.0, cross=1.5, beta2=0.0)
    bright = np.abs(field[0]) > 1e-3  # the phase of what is darker is rounding
    turned = np.angle(end[1] / field[1])
    np.testing.assert_allclose(turned[bright], 0.5 * 1.5 * np.abs(field[0, bright]) ** 2, atol=1e-9)


def test_a_long_step_is_refused_with_both_numbers():
    # Nonlinear length 1 / 4: a step of 1 / 20 turns the phase by 0.2 rad, and 0.1 is allowed.
    with pytest.raises(ValueError, match=r"nonlinear length of 0.25 .* 0.2 rad; at most 0.1 .*40"):
        check_steps("fibre", 20, 1.0, nonlinear=4.0, linear=1.0)
    with pytest.raises(ValueError, match=r"edge of the grid turns .* 10 rad; at most 3.142"):
        check_steps("fibre", 20, 1.0, nonlinear=1.0, linear=200.0)
    assert check_steps("fibre", None, 1.0, nonlinear=4.0, linear=1.0) == 80
    with pytest.raises(ValueError, match=r"KerrFibre: n_steps=10 .*nonlinear length"):
        KerrFibre(power=4.0, n_steps=10)


# -- the device ------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["measured-like", "rich"])
def test_mean_answer_is_one_for_uniform_drives(setting):
    # Up to the light that misses the spectrometer (1.5 % of the rich setting's slots).
    with KerrFibre(setting=setting, ideal=True) as fibre:
        high = fibre.spec.high
        answers = fibre.measure(np.random.default_rng(0).uniform(0, high, (200, 64)))
    assert 0.97 < answers.mean() < 1.01


def test_a_short_weak_fibre_shows_the_shaped_spectrum():
    # No nonlinearity: the power in a bin is u^2 times that of the pulse.
    with KerrFibre(power=1e-6, output_band=4.0, ideal=True) as fibre:
        full, half = fibre.measure([np.ones(64), np.full(64, 0.5)])
        np.testing.assert_allclose(half, full / 4, rtol=1e-5)
        alone = fibre.measure(np.eye(64)[20:21])[0]
    assert int(np.argmax(alone)) == 20
    assert alone[18:23].sum() == pytest.approx(alone.sum(), rel=1e-6)
    centres = (fibre.output_edges[1:] + fibre.output_edges[:-1]) / 2
    # The sech pulse's own spectrum, up to the bins at the shaper's edges. The mean over a bin of
    # width w differs from the middle by up to pi^2 w^2 / 24 and, for the reference, half of that.
    shape = 1 / np.cosh(math.pi * centres / 2) ** 2
    np.testing.assert_allclose(full[2:-2] / full[32], (shape / shape[32])[2:-2], rtol=3e-3)


@pytest.mark.parametrize("settings", [{}, {"setting": "rich"}, {"n_modes": 2, "power": 2.0}])
def test_a_finer_fibre_gives_the_same_answers(settings):
    # The chosen step turns phases by 0.05 rad: errors of the order of 0.05^2 / 10.
    drives = np.random.default_rng(0).uniform(0, 1, (3, 16))
    shape = {"n_inputs": 16, "n_outputs": 16, "ideal": True} | settings
    with KerrFibre(**shape) as coarse:
        n_steps, n_samples = coarse.solver.n_steps, coarse.launch.n_samples
        answers = coarse.measure(drives)
    with KerrFibre(n_steps=16 * n_steps, n_samples=2 * n_samples, **shape) as fine:
        np.testing.assert_allclose(fine.measure(drives), answers, atol=2e-3)


def test_the_rich_setting_is_rich():
    noisy = figures(KerrFibre(setting="rich"), 320, 160)
    ideal = figures(KerrFibre(setting="rich", ideal=True), 320, 160)
    for r2, ratio in (noisy, ideal):
        assert r2 < 0.80
        assert ratio > 0.25


def test_the_default_is_nearly_affine():
    assert figures(KerrFibre(), 320, 160)[0] > 0.85


@pytest.mark.parametrize("kind", [{}, {"setting": "rich"}, {"n_modes": 2}])
def test_forward_is_the_noiseless_device_and_its_derivative(kind):
    fibre = KerrFibre(n_inputs=4, n_outputs=6, ideal=True, length=0.2, **kind)
    drives = np.random.default_rng(0).uniform(0.1, 0.9, (2, 4))
    tensor = torch.tensor(drives, requires_grad=True)
    with fibre:
        np.testing.assert_allclose(fibre.forward(tensor).detach(), fibre.measure(drives))
    assert isinstance(fibre, Differentiable)
    assert torch.autograd.gradcheck(fibre.forward, (tensor,), atol=1e-5)
    with pytest.raises(ValueError, match=r"shape \(batch, 4\)"):
        fibre.forward(torch.zeros(2, 5))


def test_noise_is_seeded_does_not_depend_on_batches_and_is_off_when_ideal():
    drives = np.random.default_rng(0).uniform(0, 1, (40, 16))
    shape = {"n_inputs": 16, "n_outputs": 16, "seed": 3}
    with KerrFibre(**shape) as one, KerrFibre(**shape) as two, KerrFibre(**shape, ideal=True) as no:
        whole = one.measure(drives)
        np.testing.assert_array_equal(
            whole, np.concatenate([two.measure(drives[:1]), two.measure(drives[1:])])
        )
        assert (one.measure(drives) != whole).any()
        np.testing.assert_array_equal(no.measure(drives), no.measure(drives))
        # Shot noise of an intensity I is sqrt(16 I / 10,000): 0.1 for the brightest.
        assert np.abs(whole - no.measure(drives)).max() < 0.5


def test_a_full_spectrometer_is_flagged():
    with KerrFibre(n_inputs=8, n_outputs=8, full_scale=0.5) as fibre:
        assert fibre.acquire(np.ones((1, 8))).flags[0] & Flag.SATURATED


def test_light_that_outgrows_the_grid_is_an_error_with_the_rows_before():
    # A soliton of order 5 splits up and broadens far beyond the grid that is forced on it.
    fibre = KerrFibre(n_inputs=4, n_outputs=4, power=25.0, length=0.5, n_samples=64, ideal=True)
    with fibre, pytest.raises(DeviceError, match=r"at most 0.4.*at most 0.001.*n_steps=") as caught:
        fibre.measure([np.full(4, 0.1), np.ones(4)])
    assert caught.value.failed_row == 1
    assert caught.value.rows.shape == (1, 4)


def test_a_pickled_fibre_is_the_same_fibre():
    fibre = KerrFibre(n_inputs=4, n_outputs=4, setting="rich", seed=2)
    copy = pickle.loads(pickle.dumps(fibre))
    with fibre, copy:
        np.testing.assert_array_equal(fibre.measure(np.ones((2, 4))), copy.measure(np.ones((2, 4))))


def test_the_picture_shows_the_pulse_along_the_fibre():
    picture = KerrFibre(n_inputs=8, n_outputs=8).picture(np.ones(8))
    assert picture.values.shape == (len(picture.y), len(picture.x))
    assert picture.x[np.argmax(picture.values[0])] == 0.0
    assert (picture.y[0], picture.y[-1]) == (0.0, pytest.approx(1.0, rel=0.1))


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n_inputs": 0}, "at least 1"),
        ({"setting": "poor"}, "measured-like, rich"),
        ({"bins": "colour"}, "spectral, temporal"),
        ({"encoding": "binary"}, "amplitude, phase"),
        ({"phase_range": 7.0}, "at most 6.28"),
        ({"span": 0.0}, "above 0"),
        ({"power": -1.0}, "above 0"),
        ({"length": 0.0}, "above 0"),
        ({"beta2": float("nan")}, "finite number"),
        ({"n_modes": 0}, "at least 1"),
        ({"cross": -1.0}, "at least 0"),
        ({"output_band": 0.0}, "above 0"),
        ({"n_samples": 8}, "at least 16"),
        ({"n_steps": 0}, "at least 1"),
        ({"full_scale": 0.0}, "above 0"),
        ({"seed": -1}, "at least 0"),
        ({"ideal": 1}, "True or False"),
    ],
)
def test_bad_arguments_are_named_with_value_and_range(argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf"{name}={value!r}.*{allowed}"):
        KerrFibre(**argument)


def test_a_grid_that_cannot_hold_the_light_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"n_samples=64 .* reach up to 0.5 .* need 4, take 1024"):
        KerrFibre(n_samples=64)
    with pytest.raises(ValueError, match=r"1000 output bins .*0.006 wide; .* resolves 0.01562"):
        KerrFibre(n_outputs=1000)
