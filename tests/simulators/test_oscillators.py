"""The integrator, pendula and Duffing oscillators."""

import math

import numpy as np
import pytest
from scipy.special import ellipk

from devices import DeviceError
from simulators import DuffingNetwork, PendulumNetwork
from simulators.oscillators.integrators import LARGEST_PHASE, Leap


def period(times, velocities):
    """Mean time between velocities that change from below to above zero."""
    up = np.flatnonzero((velocities[:-1] < 0) & (velocities[1:] >= 0))
    share = velocities[up] / (velocities[up] - velocities[up + 1])
    crossings = times[up] + share * (times[1] - times[0])
    return np.diff(crossings).mean()


# -- the integrator --------------------------------------------------------------------------------


def test_the_integrator_is_of_fourth_order_and_symplectic():
    def run(step):
        leap = Leap(lambda q, t: -np.sin(q), step, 0.0)
        q, v = 1.0, 0.0
        for _ in range(round(20 / step)):
            q, v = leap(q, v)
        return np.array([q, v])

    exact = run(0.01)
    errors = [np.abs(run(step) - exact).max() for step in (0.4, 0.2)]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.15)
    # The largest step that is allowed: 2.3e-5 rad per period, and the energy comes back.
    leap, q, v = Leap(lambda q, t: -q, LARGEST_PHASE, 0.0), 1.0, 0.0
    for _ in range(1000):
        q, v = leap(q, v)
    assert abs(math.atan2(-v, q) - 500 % (2 * math.pi) + 2 * math.pi) % (2 * math.pi) < 2.5e-3
    assert q * q + v * v == pytest.approx(1, abs=1e-4)


def test_damping_and_driving_are_of_fourth_order_too():
    # x'' + 0.2 x' + x = cos t, from rest at 0: x = (sin t - exp(-0.1 t) sin(s t) / s) / 0.2.
    s = math.sqrt(1 - 0.01)

    def error(step):
        leap = Leap(lambda q, t: math.cos(t) - q, step, 0.2)
        q, v, n = 0.0, 0.0, round(12 / step)
        for k in range(n):
            q, v = leap(q, v, k * step)
        t = n * step
        return abs(q - (math.sin(t) - math.exp(-0.1 * t) * math.sin(s * t) / s) / 0.2)

    assert error(0.2) < 1e-5
    assert error(0.4) / error(0.2) == pytest.approx(16, rel=0.25)


# -- pendula ---------------------------------------------------------------------------------------


def test_small_oscillations_have_the_eigenfrequencies_of_the_linear_matrix():
    # Started in a mode, small: all pendula swing with sqrt(eigenvalue). The amplitude shifts the
    # frequency by its square / 16 = 6e-8, the integrator by 2e-6 or less.
    network = PendulumNetwork(n_inputs=6, n_outputs=6, coupling=0.8, seed=1)
    values, modes = np.linalg.eigh(network.stiffness)
    assert values[-1] / values[0] > 1.5
    for value, mode in zip(values, modes.T, strict=True):
        times, angles, velocities = network.trajectory(1e-3 * mode, duration=60.0, n_points=1200)
        k = int(np.argmax(np.abs(mode)))
        assert period(times, velocities[:, k]) == pytest.approx(
            2 * math.pi / math.sqrt(value), rel=1e-5
        )
        np.testing.assert_allclose(angles, np.outer(angles[:, k], mode / mode[k]), atol=1e-8)


def test_the_period_of_a_single_pendulum_grows_with_its_amplitude():
    network = PendulumNetwork(n_inputs=1, n_outputs=1, step=0.1)
    for amplitude in (1.0, math.pi / 2):
        expected = 4 * ellipk(math.sin(amplitude / 2) ** 2)
        times, _, velocities = network.trajectory([amplitude], duration=60.0, n_points=2400)
        assert period(times, velocities[:, 0]) == pytest.approx(expected, abs=2e-5)


def test_energy_is_conserved():
    network = PendulumNetwork(n_inputs=8, n_outputs=8, setting="rich")
    network.program(np.linspace(-0.1, 0.1, 8))
    start = np.random.default_rng(0).uniform(-1.2, 1.2, 8)
    _, angles, velocities = network.trajectory(start, duration=300.0, n_points=300)
    energy = network.energy(angles, velocities)
    assert np.ptp(energy) < 3e-4 * energy[0]  # bounded, and no drift:
    assert abs(energy[150:].mean() - energy[:150].mean()) < 5e-5 * energy[0]


def test_motion_that_runs_away_is_an_error():
    # A torque above 1 turns an undamped pendulum faster and faster.
    network = PendulumNetwork(n_inputs=1, n_outputs=1, bias_range=2.0)
    network.program([1.5])
    with pytest.raises(DeviceError, match=r"turned by 1.* at most 1.5 is allowed"):
        network.trajectory([0.0], duration=100.0)


def test_start_angles_are_what_is_driven():
    network = PendulumNetwork(n_inputs=3, n_outputs=3, ideal=True, duration=2.0)
    start = np.array([0.5, -0.2, 0.9])
    with network:
        seen = network.measure([start])[0]
    np.testing.assert_allclose(seen, network.trajectory(start, duration=2.0)[1][-1], atol=1e-5)
    faster = PendulumNetwork(n_inputs=3, n_outputs=3, ideal=True, duration=2.0, observe="velocity")
    with faster:
        seen = faster.measure([start])[0]
    np.testing.assert_allclose(seen, network.trajectory(start, duration=2.0)[2][-1], atol=1e-5)


def test_more_pendula_than_inputs_get_weighted_copies():
    network = PendulumNetwork(n_inputs=2, n_outputs=5, coupling=0.0, duration=1e-3, ideal=True)
    with network:
        angles = network.measure([[0.4, -0.8]])[0]
    weights = angles / [0.4, -0.8, 0.4, -0.8, 0.4]
    np.testing.assert_allclose(weights[:2], 1.0, atol=1e-5)
    assert (np.abs(weights[2:]) < 1).all()


def test_a_pendulum_that_spins_too_fast_is_an_error_with_the_rows_before():
    network = PendulumNetwork(
        n_inputs=10, n_outputs=10, n_steps=10, reach=3.0, damping=0.0, duration=2.0, ideal=True
    )
    drives = np.zeros((3, 10))
    drives[1:] = 3.0
    with (
        network,
        pytest.raises(DeviceError, match=r"turned by .* at most 1.5 is allowed") as caught,
    ):
        network.measure(drives)
    assert caught.value.failed_row == 1
    assert caught.value.rows.shape == (1, 10)


# -- Duffing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amplitude", "expected"), [(0.5, 5.768846), (1.0, 4.768022), (2.0, 3.179723)]
)
def test_undamped_periods(amplitude, expected):
    # 4 K(m) / sqrt(1 + A^2), m = A^2 / (2 (1 + A^2)). At 60 steps in a period of 2 pi the
    # integrator is off by 1e-6; times are interpolated to about 2e-6.
    network = DuffingNetwork(
        n_inputs=1, n_outputs=1, cubic=1.0, damping=0.0, spread=0.0, n_per_period=60
    )
    times, places, velocities = network.trajectory([amplitude], duration=30.0, n_points=3000)
    assert period(times, velocities[:, 0]) == pytest.approx(expected, abs=5e-6)
    energy = velocities**2 / 2 + places**2 / 2 + places**4 / 4
    assert np.ptp(energy) < 2e-5 * energy[0]


def test_the_answer_of_a_weakly_driven_oscillator_is_the_linear_response():
    # 1 / (a - w^2 + i damping w), up to the transient exp(-damping t / 2) = e^-12 and the cubic
    # term, (3 / 4) 0.5 x^2 = 3e-5 of the stiffness.
    kinds = {"n_inputs": 1, "n_outputs": 1, "force": 0.01, "spread": 0.0, "frequency": 1.3}
    network = DuffingNetwork(**kinds, n_settle=25, observe="complex", ideal=True)
    with network:
        answer = network.measure([[0.01]])[0, 0]
    expected = 0.01 / (1 - 1.3**2 + 0.2j * 1.3)
    assert answer == pytest.approx(expected, rel=2e-4)
    with DuffingNetwork(**kinds, n_settle=25, ideal=True) as network:
        assert network.measure([[0.01]])[0, 0] == pytest.approx(abs(expected), rel=2e-4)


def test_superposition_holds_without_the_cubic_spring_only():
    def defect(cubic):
        network = DuffingNetwork(
            n_inputs=4, n_outputs=4, cubic=cubic, observe="complex", ideal=True, force=0.5
        )
        with network:
            one, two, both = network.measure(
                0.5 * np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
            )
        return np.abs(one + two - both).max()

    assert defect(0.0) < 1e-12
    assert defect(0.5) > 1e-2


def test_a_softening_spring_that_breaks_out_is_an_error_not_nan():
    network = DuffingNetwork(
        n_inputs=2, n_outputs=2, cubic=-1.0, force=1.0, coupling=0.0, spread=0.0, ideal=True
    )
    with network, pytest.raises(DeviceError, match=r"went out to .* good up to 1") as caught:
        network.measure([[0.01, 0.02], [0.02, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert caught.value.failed_row == 2
    assert np.isfinite(caught.value.rows).all()
