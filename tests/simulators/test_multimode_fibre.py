import math
import pickle

import numpy as np
import pytest
import torch
from richness import figures

from devices import Differentiable, open_device
from simulators import MultimodeFibre, ScatteringMedium
from simulators.optical.fibre_modes import GradedIndexModes, random_coupling

FIBRE = {"core_radius_m": 25e-6, "numerical_aperture": 0.2, "wavelength_m": 1.03e-6}


@pytest.fixture(scope="module")
def modes():
    return GradedIndexModes(**FIBRE)


# -- modes -------------------------------------------------------------------------------------


def test_modes_are_orthonormal(modes):
    x = np.linspace(-60e-6, 60e-6, 2001)
    h = modes.profiles(x)
    np.testing.assert_allclose(h @ h.T * (x[1] - x[0]), np.eye(len(h)), atol=1e-9)


def test_modes_solve_the_wave_equation_of_the_parabola(modes):
    # psi'' + (n(x)^2 k^2 - beta^2) psi = 0; along x with the y part in its ground state, whose
    # own share of beta^2 is k NA / a.
    k, a, n1 = 2 * math.pi / 1.03e-6, 25e-6, 1.45
    x = np.linspace(-20e-6, 20e-6, 8001)
    h = modes.profiles(x)
    for order in (0, 1, 4, 9):
        (mode,) = np.flatnonzero((modes.numbers == (order, 0)).all(axis=1))
        curvature = np.gradient(np.gradient(h[order], x), x)
        bracket = (n1 * k) ** 2 - (k * 0.2 * x / a) ** 2 - modes.beta[mode] ** 2 - k * 0.2 / a
        residual = (curvature + bracket * h[order])[5:-5]
        assert np.abs(residual).max() < 1e-4 * np.abs(curvature).max()


def test_number_of_modes_is_an_eighth_of_v_squared(modes):
    v = 2 * math.pi / 1.03e-6 * 25e-6 * 0.2
    top = math.floor(v / 2)
    assert len(modes.beta) == top * (top + 1) // 2
    assert len(modes.beta) == pytest.approx(v**2 / 8, rel=1 / top)
    # The last group is guided, the next would not be.
    k, n2k = 2 * math.pi / 1.03e-6, 2 * math.pi / 1.03e-6 * math.sqrt(1.45**2 - 0.2**2)
    assert modes.beta.min() >= n2k
    assert modes.beta.min() ** 2 - 2 * k * 0.2 / 25e-6 < n2k**2


def test_a_fibre_without_modes_is_refused():
    with pytest.raises(ValueError, match="no mode is guided"):
        MultimodeFibre(core_radius_m=1e-7)


def test_overlap_counts_the_guided_power(modes):
    # One large square over the fundamental mode, against the error function's closed form.
    width = 20e-6
    overlap = modes.overlap(np.zeros((1, 2)), width)[:, 0]
    along = math.sqrt(2 / math.pi / modes.waist_m**2 / 1) ** 0.5
    along *= modes.waist_m * math.sqrt(math.pi) * math.erf(width / 2 / modes.waist_m)
    assert overlap[0] == pytest.approx(along**2 / width, rel=1e-9)
    assert 0.8 < (overlap**2).sum() < 1
    # Squares that tile the core put less than their own power into the modes, each.
    fine = MultimodeFibre().modes.overlap(np.zeros((1, 2)), 4e-6)
    assert (fine**2).sum() < 1


# -- coupling ----------------------------------------------------------------------------------


def test_coupling_is_unitary(modes):
    u = random_coupling(modes, 1.0, 1.5, np.random.default_rng(0))
    np.testing.assert_allclose(u @ u.conj().T, np.eye(len(u)), atol=1e-10)


def test_strength_is_the_power_that_leaves_a_mode(modes):
    kept = []
    for strength in (0.0, 0.2, 0.5, 4.0):
        u = random_coupling(modes, 1.0, strength, np.random.default_rng(1))
        kept.append((np.abs(np.diag(u)) ** 2).mean())
    assert kept[0] == pytest.approx(1)
    # Second order: 1 - strength^2 on average; the mean over 105 modes of a few partners each.
    assert kept[1] == pytest.approx(math.exp(-(0.2**2)), abs=0.01)
    assert kept[2] == pytest.approx(math.exp(-(0.5**2)), abs=0.05)
    assert kept[3] < 0.1


def test_weak_coupling_stays_near_the_group(modes):
    u = np.abs(random_coupling(modes, 1.0, 0.3, np.random.default_rng(2))) ** 2
    distance = np.abs(modes.groups[:, None] - modes.groups)
    other = ~np.eye(len(u), dtype=bool)
    mean = [u[other & (distance == d)].mean() for d in (0, 1, 3)]
    # Standard deviations fall as (1 + d)^-2: powers by 16 and 256, to first order.
    assert mean[0] / mean[1] == pytest.approx(16, rel=0.35)
    assert mean[0] / mean[2] > 60


def test_without_coupling_a_fibre_images_after_a_period_and_inverts_after_half():
    # Neighbouring groups differ by sqrt(2 D) / a in beta, up to a term of second order: rays come
    # back after 2 pi a n1 / NA, 1.14 mm. High groups are late by up to 0.5 rad there.
    period = 2 * math.pi * 25e-6 * 1.45 / 0.2
    kinds = {"n_inputs": 36, "n_outputs": 400, "coupling": 0.0, "ideal": True}
    near, half, far = (
        MultimodeFibre(**kinds, length_m=length).transmission_matrix
        for length in (0.0, period / 2, period)
    )

    def likeness(a, b):
        overlap = np.abs((a.conj() * b).sum(axis=0))
        return (overlap / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)).mean()

    assert likeness(near, far) > 0.97
    assert likeness(near[::-1], half) > 0.97
    assert likeness(near, half) < 0.3
    # And with no length at all, the pixel of the input is the bright place of the output.
    bright = np.argmax(np.abs(near[:, 7]))
    x, y = (bright % 20 + 0.5) / 20, (bright // 20 + 0.5) / 20
    assert (x, y) == pytest.approx((1.5 / 6, 1.5 / 6), abs=0.08)


# -- the device --------------------------------------------------------------------------------


def uniform(device, rows, seed=0):
    low, high = device.spec.limits
    unit = np.random.default_rng(seed).random((rows, device.spec.n_inputs))
    return low + (high - low) * (np.round(unit) if device.spec.domain == "bits" else unit)


@pytest.mark.parametrize("encoding", ["phase", "amplitude", "binary"])
@pytest.mark.parametrize("zero_order", [0.0, 0.2])
def test_mean_intensity_is_one(encoding, zero_order):
    # 2,000 rows of one fibre: the mean over rows and pixels is known to about 1 %.
    fibre = MultimodeFibre(encoding=encoding, zero_order=zero_order, ideal=True)
    with fibre:
        assert fibre.measure(uniform(fibre, 2000)).mean() == pytest.approx(1, rel=0.03)


def test_answers_are_intensities_of_the_fields_and_of_the_modes():
    fibre = MultimodeFibre(n_inputs=9, n_outputs=30, precision="double", ideal=True)
    drives = uniform(fibre, 3)
    matrix = fibre.transmission_matrix
    assert np.linalg.matrix_rank(matrix) == 9
    with fibre:
        np.testing.assert_allclose(fibre.measure(drives), np.abs(drives @ matrix.T) ** 2)
    few = MultimodeFibre(n_inputs=64, n_outputs=100, core_radius_m=8e-6, ideal=True)
    assert np.linalg.matrix_rank(few.transmission_matrix, tol=1e-5) == len(few.modes.beta) == 10


def test_the_seed_is_of_the_coupling_and_a_copy_is_the_same_fibre():
    one, other = (MultimodeFibre(n_inputs=9, seed=s) for s in (0, 1))
    assert not np.allclose(one.coupling_matrix, other.coupling_matrix)
    copy = pickle.loads(pickle.dumps(other))
    drives = uniform(one, 2)
    with copy, other:
        np.testing.assert_array_equal(copy.measure(drives), other.measure(drives))


def test_forward_and_picture_and_file(tmp_path):
    fibre = MultimodeFibre(n_inputs=9, n_outputs=25, precision="double", ideal=True)
    assert isinstance(fibre, Differentiable)
    drives = torch.from_numpy(uniform(fibre, 3)).requires_grad_()
    with fibre:
        measured = fibre.measure(drives.detach().numpy())
    np.testing.assert_allclose(fibre.forward(drives).detach().numpy(), measured)
    assert torch.autograd.gradcheck(fibre.forward, (drives,))
    picture = fibre.picture(drives.detach().numpy()[0])
    np.testing.assert_allclose(picture.values.ravel(), measured[0])
    assert picture.x[[0, -1]] == pytest.approx([-12, 12])  # micrometres, of 1.2 core radii
    fibre.save(tmp_path / "fibre.npy")
    same = ScatteringMedium(
        matrix=tmp_path / "fibre.npy", encoding="amplitude", precision="double", ideal=True
    )
    with same:
        np.testing.assert_allclose(same.measure(drives.detach().numpy()), measured)


def test_settings_of_the_fibre():
    # Over many rows: 0.54 and 0.36 for rich, an affine R2 near 0.9 for measured-like.
    r2, share = figures(MultimodeFibre(setting="rich"), 1500, 500)
    assert r2 < 0.80
    assert share > 0.25
    assert figures(MultimodeFibre(), 1500, 500)[0] > 0.80


def test_by_name():
    with open_device("sim:multimode-fibre?n_inputs=4&n_outputs=9&detection=holography") as fibre:
        assert fibre.measure(np.zeros((2, 4))).dtype == np.complex64


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n_inputs": 0}, "at least 1"),
        ({"length_m": -1.0}, "at least 0"),
        ({"numerical_aperture": 1.0}, "below 1"),
        ({"core_index": 0.9}, "at least 1"),
        ({"wavelength_m": 0.0}, "above 0"),
        ({"coupling": -0.1}, "at least 0"),
        ({"encoding": "colour"}, "phase, amplitude, binary"),
        ({"zero_order": 1.0}, "below 1"),
        ({"setting": "wild"}, "measured-like, rich"),
        ({"ideal": 1}, "True or False"),
    ],
)
def test_bad_arguments_of_the_fibre_are_named(argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf": {name}={value!r} .*{allowed}"):
        MultimodeFibre(**argument)
