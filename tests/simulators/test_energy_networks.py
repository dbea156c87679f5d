"""Networks that come to rest: energy, the linear case, nudges, pairs."""

import numpy as np
import pytest
import torch

from devices import DeviceError, LimitError, Noisy, nudgeable_of
from simulators import DyadicNetwork, EnergyNetwork, RandomFeatures

RNG = np.random.default_rng(0)
SMALL = {"n_inputs": 5, "n_outputs": 4, "hidden": (6, 3), "ideal": True}
KINDS = [EnergyNetwork, DyadicNetwork]
DRIVES = RNG.uniform(-1, 1, (7, 5))


def strong(kind, **options):
    """A network whose couplings matter, with biases."""
    network = kind(**SMALL | {"cubic": 1.5, "gain": 1.2, "coupling": 0.6, "seed": 2} | options)
    values = network.parameters
    network.program(values + np.random.default_rng(1).uniform(-0.2, 0.2, values.shape))
    return network


def matrices(network):
    """The couplings between layers and the biases, unpacked by hand."""
    at, found = 0, []
    for below, n in zip(network.sizes, network.sizes[1:], strict=False):
        W = network.parameters[at : at + below * n].reshape(below, n)
        found.append((W, network.parameters[at + below * n : at + below * n + n]))
        at += below * n + n
    return found


# -- rest --------------------------------------------------------------------------------------


def test_without_hardening_the_state_of_rest_solves_the_linear_system():
    network = strong(EnergyNetwork, cubic=0.0, coupling=0.3)
    (W1, b1), (W2, b2), (W3, b3) = matrices(network)
    coupled = np.eye(13)
    coupled[:6, 6:9], coupled[6:9, :6] = -W2, -W2.T
    coupled[6:9, 9:], coupled[9:, 6:9] = -W3, -W3.T
    forces = RNG.uniform(-1, 1, (7, 4))
    pull = np.hstack([DRIVES @ W1 + b1, np.tile(b2, (7, 1)), b3 + forces])
    with network:
        found = network.relax(DRIVES, forces)
    np.testing.assert_allclose(found, np.linalg.solve(coupled, pull.T).T, atol=1e-6)


def test_couplings_that_linear_springs_cannot_hold_are_refused():
    network = EnergyNetwork(**SMALL, cubic=0.0)
    with pytest.raises(LimitError, match="smallest stiffness of a mode -"):
        network.program(np.full_like(network.parameters, 1.5))


def test_every_node_is_at_a_minimum_of_the_energy():
    network, forces = strong(EnergyNetwork), RNG.uniform(-1, 1, (7, 4))
    with network:
        rest = network.relax(DRIVES, forces)
    lowest = network.energy(rest, DRIVES, forces)
    for step in (1e-3, 1e-2):
        for _ in range(20):
            aside = rest + step * RNG.standard_normal(rest.shape)
            assert (network.energy(aside, DRIVES, forces) > lowest).all()


def test_the_damped_motion_loses_energy_and_ends_where_the_network_is_read():
    network = strong(EnergyNetwork)
    times, states, velocities = network.trajectory(DRIVES[0], duration=60.0, damping=0.6)
    total = (
        network.energy(states, np.tile(DRIVES[0], (len(times), 1)))
        + (velocities**2).sum(axis=1) / 2
    )
    assert (np.diff(total) < 1e-6).all()
    assert total[0] - total[-1] > 0.1
    with network:
        np.testing.assert_allclose(states[-1], network.relax(DRIVES[:1])[0], atol=1e-6)


def test_pairs_without_a_force_are_a_feed_forward_network():
    network = strong(DyadicNetwork)
    with network:
        answers, pairs = network.measure(DRIVES), network.relax(DRIVES)
    expected = DRIVES
    for W, b in matrices(network):
        pull = expected @ W + b
        expected = pairs[:, 0, : pull.shape[1]]
        pairs = pairs[:, :, pull.shape[1] :]
        np.testing.assert_allclose(expected + 1.5 * expected**3, pull, atol=1e-6)
    np.testing.assert_allclose(answers, expected, atol=1e-6)
    _, states, _ = network.trajectory(DRIVES[0], duration=60.0)
    np.testing.assert_allclose(states[-1, -4:], answers[0], atol=1e-6)


# -- nudges ------------------------------------------------------------------------------------


def gradient(network, forces, size, centred=True):
    """What two states of rest say of d(forces . answers) / dparameters and / ddrives."""
    with network:
        if network.dyadic:
            pairs = network.relax(DRIVES, size * forces)
            first, second = pairs[:, 0], pairs[:, 1]
        else:
            first = network.relax(DRIVES, size * forces)
            second = network.relax(DRIVES, -size * forces if centred else None)
    sides = 1 + centred
    return network.contrast(first, second, DRIVES, np.full(len(DRIVES), -1 / (sides * size)))


def exact(network, forces):
    drives = torch.from_numpy(DRIVES).requires_grad_()
    parameters = torch.from_numpy(network.parameters).requires_grad_()
    (network.forward(drives, parameters) * torch.from_numpy(forces)).sum().backward()
    return parameters.grad.numpy(), drives.grad.numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_two_states_of_rest_give_the_gradient_as_the_nudge_goes_to_zero(kind):
    network, forces = strong(kind), RNG.standard_normal((7, 4))
    expected = exact(network, forces)
    errors = []
    for size in (0.1, 0.05, 0.025):
        found = gradient(network, forces, size)
        errors.append(
            [
                np.linalg.norm(f - e) / np.linalg.norm(e)
                for f, e in zip(found, expected, strict=True)
            ]
        )
    errors = np.array(errors)
    assert (errors[-1] < 0.01).all()
    # Centred: of second order.
    np.testing.assert_allclose(errors[1] / errors[2], 4, rtol=0.2)


def test_one_nudge_against_the_free_state_is_of_first_order():
    network, forces = strong(EnergyNetwork), RNG.standard_normal((7, 4))
    expected, _ = exact(network, forces)
    errors = [
        np.linalg.norm(gradient(network, forces, size, centred=False)[0] - expected)
        for size in (0.02, 0.01)
    ]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_derivative_offered_is_that_of_what_is_measured(kind):
    network, step = strong(kind), 1e-4
    direction = RNG.standard_normal(len(network.parameters))
    forces = np.ones((7, 4))
    by_parameters, _ = exact(network, forces)
    values, sums = network.parameters, []
    with network:
        for sign in (1, -1):
            network.program(values + sign * step * direction)
            sums.append(network.measure(DRIVES).sum())
    assert (sums[0] - sums[1]) / (2 * step) == pytest.approx(by_parameters @ direction, rel=1e-3)


# -- the contract ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_relaxing_is_checked_and_counted(kind):
    network = kind(**SMALL)
    with pytest.raises(DeviceError, match="is not open"):
        network.relax(DRIVES)
    with network:
        network.relax(DRIVES, purpose="train")
        assert network.ledger.queries["train"] == 7
        with pytest.raises(LimitError, match="force 11 at row 2, output 1 is outside"):
            network.relax(DRIVES, 11.0 * (np.arange(28).reshape(7, 4) == 9))
        with pytest.raises(LimitError, match="the forces have shape"):
            network.relax(DRIVES, np.zeros((7, 5)))
        with pytest.raises(LimitError, match="outside"):
            network.relax(2 * DRIVES / np.abs(DRIVES).max())
        assert network.ledger.total == 7


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_new_in_every_reading_and_off_when_ideal(kind):
    noisy, ideal = kind(**SMALL | {"ideal": False}), kind(**SMALL)
    with noisy, ideal:
        for read in ("measure", "relax"):
            spread = np.std(getattr(noisy, read)(DRIVES) - getattr(ideal, read)(DRIVES))
            assert spread == pytest.approx(0.005, rel=0.4)
            assert (getattr(ideal, read)(DRIVES) == getattr(ideal, read)(DRIVES)).all()


def test_what_can_be_nudged_is_found_through_wrappers():
    network = EnergyNetwork(**SMALL)
    assert nudgeable_of(Noisy(network, 0.1)) is network
    assert nudgeable_of(RandomFeatures(3, 3)) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, r"hidden=.*0.* must be a whole number of at least 1"),
        ({"hidden": 2.5}, r"hidden=.*2\.5.* must be a whole number of at least 1"),
        ({"cubic": -1.0}, "cubic=-1"),
        ({"coupling_range": 0.0}, "coupling_range=0"),
        ({"setting": "wild"}, "setting='wild' is not one of measured-like, rich"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        EnergyNetwork(**options)


def test_a_picture_shows_the_nodes_coming_to_rest():
    picture = EnergyNetwork(**SMALL).picture()
    assert picture.values.shape == (13, len(picture.x))
    assert np.abs(picture.values[:, -1] - picture.values[:, -20]).max() < 1e-3
