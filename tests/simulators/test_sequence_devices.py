"""What all devices with a state share: rows, memory, settings, derivatives."""

import pickle

import numpy as np
import pytest
import torch
from richness import figures

from devices import Averaged, Cached, DeviceError, Differentiable, Programmable
from simulators import DelayLineReservoir, DuffingNetwork, PendulumNetwork

ALL = [PendulumNetwork, DuffingNetwork, DelayLineReservoir]


def uniform(device, rows, seed=0):
    low, high = device.spec.limits
    return np.random.default_rng(seed).uniform(low, high, (rows, device.spec.n_inputs))


# -- steps, settings, gradients --------------------------------------------------------------------


def test_long_steps_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"step is 0.9; .* frequency, 1 .* at most 0.5"):
        PendulumNetwork(n_inputs=1, n_outputs=1, step=0.9)
    with pytest.raises(ValueError, match=r"n_per_period=6 is 1.047; .* at most"):
        DuffingNetwork(n_inputs=4, n_outputs=4, n_per_period=6)
    with pytest.raises(ValueError, match=r"samples=2 .* 0.5 response times long; at most 0.25"):
        DelayLineReservoir(spacing=1.0, samples=2)


def test_unstable_couplings_are_refused():
    with pytest.raises(ValueError, match=r"smallest stiffness of a mode -1; it must be above 0"):
        PendulumNetwork(n_inputs=2, n_outputs=2, couplings=[[0.0, -1.0], [-1.0, 0.0]])
    with pytest.raises(ValueError, match="symmetric"):
        DuffingNetwork(n_inputs=2, n_outputs=2, couplings=[[0.0, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize("kind", ALL)
def test_the_rich_setting_is_rich(kind):
    for ideal in (True, False):
        r2, ratio = figures(kind(setting="rich", ideal=ideal), 320, 160)
        assert r2 < 0.80
        assert ratio > 0.25


@pytest.mark.parametrize("kind", ALL)
def test_the_default_is_nearly_affine(kind):
    assert figures(kind(), 320, 160)[0] > 0.9


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("n_steps", [1, 2])
def test_forward_is_the_noiseless_device_and_its_derivative(kind, n_steps):
    shape = {"n_inputs": 2, "n_outputs": 4, "n_steps": n_steps, "ideal": True}
    # Short, as the numerical derivative costs a run for each number.
    if kind is DuffingNetwork:
        shape |= {"n_settle": 1, "n_read": 1}
    device = kind(**shape)
    assert isinstance(device, Differentiable)
    assert isinstance(device, Programmable)
    drives = np.abs(uniform(device, 2)) * 0.9 + 0.02
    u = torch.tensor(drives, requires_grad=True)
    p = torch.tensor(device.parameters + 0.05, requires_grad=True)
    with device:
        np.testing.assert_allclose(device.forward(u).detach(), device.measure(drives), atol=1e-12)
        device.program(device.parameters + 0.05)
        np.testing.assert_allclose(
            device.forward(u, p).detach(), device.measure(drives), atol=1e-12
        )
    assert torch.autograd.gradcheck(device.forward, (u, p), atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_noise_is_seeded_does_not_depend_on_batches_and_is_off_when_ideal(kind):
    shape = {"n_inputs": 6, "n_outputs": 6, "seed": 5}
    one, two, ideal = kind(**shape), kind(**shape), kind(**shape, ideal=True)
    drives = uniform(one, 20)
    with one, two, ideal:
        whole = one.measure(drives)
        apart = np.concatenate([two.measure(drives[:3]), two.measure(drives[3:])])
        np.testing.assert_allclose(apart, whole, rtol=0, atol=1e-12)
        assert (one.measure(drives) != whole).any()
        clean = ideal.measure(drives)
        np.testing.assert_array_equal(ideal.measure(drives), clean)
        noise = (whole - clean).std()
    assert 0.004 < noise < 0.03  # 0.005 or 0.02, of 120 numbers
    copy = pickle.loads(pickle.dumps(ideal))
    with copy:
        np.testing.assert_array_equal(copy.measure(drives), clean)


# -- rows and memory -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_a_row_is_a_whole_sequence_from_rest(kind):
    shape = {"n_inputs": 8, "n_steps": 4, "ideal": True}
    each, last = kind(n_outputs=12, **shape), kind(n_outputs=3, read="last", **shape)
    drives = uniform(each, 5)
    with each, last:
        states = each.measure(drives).reshape(5, 4, 3)
        np.testing.assert_allclose(last.measure(drives), states[:, -1])
        # Rows do not know each other; what is driven later does not change what was read before.
        np.testing.assert_allclose(each.measure(drives[::-1])[::-1].reshape(5, 4, 3), states)
        drives[:, 4:] = uniform(each, 5, seed=1)[:, 4:]
        later = each.measure(drives).reshape(5, 4, 3)
    np.testing.assert_allclose(later[:, :2], states[:, :2])
    assert np.abs(later[:, 2:] - states[:, 2:]).max() > 1e-3


@pytest.mark.parametrize("kind", ALL)
def test_memory_keeps_the_state_from_row_to_row_until_reset(kind):
    whole = kind(n_inputs=8, n_outputs=12, n_steps=4, ideal=True)
    piece = {"n_inputs": 2, "n_outputs": 3, "memory": True, "ideal": True}
    drives = uniform(whole, 1)
    with whole, kind(**piece) as kept:
        assert kept.spec.memory
        sequence = whole.measure(drives).reshape(4, 3)
        # Four rows are the sequence, in one call or in several.
        np.testing.assert_allclose(kept.measure(drives.reshape(4, 2)), sequence)
        kept.reset()
        rows = [kept.measure(drives.reshape(4, 2)[k : k + 1])[0] for k in range(4)]
        np.testing.assert_allclose(rows, sequence)
        # Order matters, and without a reset so does what was before.
        again = kept.measure(drives.reshape(4, 2))
        assert np.abs(again - sequence).max() > 1e-4
        kept.reset()
        assert np.abs(kept.measure(drives.reshape(4, 2)[::-1])[::-1] - sequence).max() > 1e-4
    with kept:  # opened anew: at rest
        np.testing.assert_allclose(kept.measure(drives.reshape(4, 2)), sequence)


@pytest.mark.parametrize("kind", ALL)
def test_what_would_repeat_or_reorder_rows_refuses_memory(kind):
    device = kind(n_inputs=2, n_outputs=2, memory=True)
    with device, pytest.raises(ValueError, match="memory"):
        device.measure([[0.1, 0.1]], averages=2)
    with pytest.raises(ValueError, match="memory"), Averaged(device, 2) as averaged:
        averaged.measure([[0.1, 0.1]])
    with pytest.raises(ValueError, match="memory"):
        Cached(device)
    with pytest.raises(ValueError, match="memory=False"):
        device.forward(torch.zeros(1, 2))


def test_a_row_that_fails_leaves_a_device_with_memory_at_rest():
    kinds = {"n_inputs": 1, "n_outputs": 1, "cubic": -1.0, "spread": 0.0, "force": 1.0}
    with DuffingNetwork(**kinds, memory=True, ideal=True) as device:
        first = device.measure([[0.01]])
        with pytest.raises(DeviceError, match="went out") as caught:
            device.measure([[0.02], [1.0], [0.02]])
        assert caught.value.failed_row == 1
        np.testing.assert_allclose(device.measure([[0.01]]), first)


# -- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "argument", "allowed"),
    [
        (PendulumNetwork, {"n_inputs": 0}, "at least 1"),
        (PendulumNetwork, {"setting": "poor"}, "measured-like, rich"),
        (PendulumNetwork, {"drive": "push"}, "angle, torque"),
        (PendulumNetwork, {"reach": 0.0}, "above 0"),
        (PendulumNetwork, {"duration": -1.0}, "above 0"),
        (PendulumNetwork, {"coupling": 1.0}, "below 1"),
        (PendulumNetwork, {"damping": -0.1}, "at least 0"),
        (PendulumNetwork, {"bias_range": 0.0}, "above 0"),
        (PendulumNetwork, {"observe": "energy"}, "angle, velocity"),
        (PendulumNetwork, {"n_steps": 0}, "at least 1"),
        (PendulumNetwork, {"read": "all"}, "each, last"),
        (PendulumNetwork, {"memory": 1}, "True or False"),
        (PendulumNetwork, {"noise": -1.0}, "at least 0"),
        (DuffingNetwork, {"force": 0.0}, "above 0"),
        (DuffingNetwork, {"cubic": float("nan")}, "finite"),
        (DuffingNetwork, {"damping": -1.0}, "at least 0"),
        (DuffingNetwork, {"frequency": 0.0}, "above 0"),
        (DuffingNetwork, {"spread": 0.3}, "below 0.3"),
        (DuffingNetwork, {"observe": "phase"}, "amplitude, complex"),
        (DuffingNetwork, {"n_settle": -1}, "at least 0"),
        (DuffingNetwork, {"n_read": 0}, "at least 1"),
        (DuffingNetwork, {"n_per_period": 2}, "at least 4"),
        (DelayLineReservoir, {"nonlinearity": "tanh"}, "sin2, mackey-glass"),
        (DelayLineReservoir, {"exponent": 1.0}, "at least 2"),
        (DelayLineReservoir, {"feedback": 3.0}, "at most 2"),
        (DelayLineReservoir, {"input_gain": -1.0}, "at least 0"),
        (DelayLineReservoir, {"bias": 7.0}, "at most 6.28"),
        (DelayLineReservoir, {"spacing": 0.0}, "above 0"),
        (DelayLineReservoir, {"samples": 0}, "at least 1"),
        (DelayLineReservoir, {"loops": 0}, "at least 1"),
        (DelayLineReservoir, {"seed": -1}, "at least 0"),
    ],
)
def test_bad_arguments_are_named_with_value_and_range(kind, argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf"{kind.__name__}: {name}={value!r}.*{allowed}"):
        kind(**argument)


def test_arguments_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"n_inputs=64 must be a multiple of n_steps=3"):
        PendulumNetwork(n_steps=3)
    with pytest.raises(ValueError, match=r"drive='torque'"):
        PendulumNetwork(n_steps=4, drive="angle")
    with pytest.raises(ValueError, match=r"mask must be finite numbers of shape \(4, 2\)"):
        DelayLineReservoir(n_inputs=2, n_outputs=4, mask=np.ones((2, 4)))


def test_pictures_have_axes_of_their_own():
    for device in (
        PendulumNetwork(n_inputs=4, n_outputs=4),
        DuffingNetwork(n_inputs=4, n_outputs=4),
    ):
        picture = device.picture(duration=10.0)
        assert picture.values.shape == (4, 201)
    picture = DelayLineReservoir(n_inputs=4, n_outputs=20, n_steps=4).picture([0, 1, 0, 0])
    assert picture.values.shape == (len(picture.y), len(picture.x)) == (5, 6)
