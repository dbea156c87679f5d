import math
import pickle

import numpy as np
import pytest
import torch
from richness import figures
from scipy.stats import unitary_group

from devices import Differentiable, LimitError, Programmable
from simulators import InterferometerMesh
from simulators.optical.clements import cell, cell_places, decompose, rebuild
from simulators.optical.mesh_chip import MeshChip


def haar(n, seed=0):
    return unitary_group.rvs(n, random_state=seed)


# -- the decomposition -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [4, 8, 16])
@pytest.mark.parametrize("seed", range(5))
def test_haar_random_unitaries_are_rebuilt(n, seed):
    # An entry passes 2 n rotations of 2e-16 each, there and back; 2e-15 was the most ever seen.
    unitary = haar(n, seed)
    assert np.abs(rebuild(*decompose(unitary)) - unitary).max() < 1e-14


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_any_size_and_degenerate_matrices(n):
    for unitary in (np.eye(n), np.eye(n)[::-1], np.roll(np.eye(n), 1, axis=0), 1j * np.eye(n)):
        inner, outer, out = decompose(unitary)
        assert np.abs(rebuild(inner, outer, out) - unitary).max() < 1e-14
        assert len(inner) == n * (n - 1) // 2
        for phases in (inner, outer, out):
            assert ((phases >= 0) & (phases < 2 * math.pi)).all()


def test_the_rectangle_is_as_deep_as_it_is_wide():
    places = cell_places(6)
    assert len(places) == 15
    assert places[:, 0].max() == 5
    assert np.bincount(places[:, 0]).tolist() == [3, 2, 3, 2, 3, 2]


def test_a_cell_is_a_beam_splitter_of_any_ratio():
    np.testing.assert_allclose(np.abs(cell(math.pi, 0.3)), np.eye(2), atol=1e-15)  # bar
    np.testing.assert_allclose(np.abs(cell(0.0, 0.3)), np.eye(2)[::-1], atol=1e-15)  # cross
    np.testing.assert_allclose(np.abs(cell(math.pi / 2, 0.0)) ** 2, 0.5)
    mixed = cell(1.1, 2.2)
    np.testing.assert_allclose(mixed.conj().T @ mixed, np.eye(2), atol=1e-15)


def test_what_is_not_unitary_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"1 \+ 3; at most 1e-08"):
        decompose(2 * np.eye(3))
    with pytest.raises(ValueError, match="square"):
        decompose(np.ones((2, 3)))


def test_the_chip_is_the_product_of_its_cells():
    inner, outer, out = decompose(haar(7))
    chip = MeshChip(7)
    phases = np.concatenate([inner, outer, out])
    np.testing.assert_allclose(chip.matrix(phases), haar(7), atol=1e-14)


# -- the device ------------------------------------------------------------------------------------


def test_an_ideal_mesh_applies_its_matrix():
    unitary = haar(6)
    drives = np.random.default_rng(0).uniform(0, 1, (4, 6))
    kinds = {"n_inputs": 6, "matrix": unitary, "ideal": True}
    with InterferometerMesh(**kinds) as mesh:
        np.testing.assert_allclose(mesh.measure(drives), np.abs(drives @ unitary.T) ** 2)
    with InterferometerMesh(**kinds, encoding="phase", detection="complex") as mesh:
        np.testing.assert_allclose(mesh.measure(drives), np.exp(1j * drives) @ unitary.T)


def test_a_layer_realises_any_matrix_that_does_not_amplify():
    random = np.random.default_rng(0)
    wanted = random.standard_normal((7, 4)) + 1j * random.standard_normal((7, 4))
    kinds = {"n_inputs": 4, "n_outputs": 7, "layout": "layer", "ideal": True}
    mesh = InterferometerMesh(**kinds)
    scale = mesh.program_matrix(wanted)
    assert scale == pytest.approx(1 / np.linalg.norm(wanted, 2))
    np.testing.assert_allclose(mesh.matrix, scale * wanted, atol=1e-14)
    assert mesh.program_matrix(0.01 * wanted) == 1.0
    np.testing.assert_allclose(mesh.matrix, 0.01 * wanted, atol=1e-14)
    np.testing.assert_allclose(
        InterferometerMesh(**kinds, matrix=0.01 * wanted).matrix, mesh.matrix
    )
    narrow = InterferometerMesh(n_inputs=7, n_outputs=4, layout="layer", ideal=True)
    np.testing.assert_allclose(
        narrow.program_matrix(wanted.T) * wanted.T, narrow.matrix, atol=1e-14
    )


def test_programming_changes_the_law_and_the_state():
    mesh = InterferometerMesh(n_inputs=4, ideal=True)
    assert isinstance(mesh, Programmable)
    assert mesh.parameters.shape == (16,)
    before, law = mesh.state_id, mesh.matrix
    mesh.program(np.full(16, math.pi))
    assert mesh.state_id != before
    assert np.abs(mesh.matrix - law).max() > 0.1
    copy = pickle.loads(pickle.dumps(mesh))
    np.testing.assert_array_equal(copy.matrix, mesh.matrix)
    with pytest.raises(LimitError, match=r"parameter 3 = 7 is outside \[0, 6.28"):
        mesh.program([0, 0, 0, 7.0] + 12 * [0])


def test_strong_light_passes_the_absorber_and_weak_light_does_not():
    # I exp(-depth / (1 + I)) on each port.
    kinds = {"n_inputs": 2, "matrix": np.eye(2), "absorption": 3.0, "ideal": True}
    with InterferometerMesh(**kinds) as mesh:
        strong, weak = mesh.measure([[1.0, 0.01]])[0] / [1.0, 0.01**2]
    assert strong == pytest.approx(math.exp(-1.5))
    assert weak == pytest.approx(math.exp(-3.0 / 1.0001))
    with InterferometerMesh(**kinds, detection="complex") as mesh:
        assert mesh.measure([[1.0, 0.0]])[0, 0] == pytest.approx(math.exp(-0.75))


# -- imperfections ---------------------------------------------------------------------------------

OFF = {"splitting_error": 0.0, "phase_noise": 0.0, "crosstalk": 0.0, "loss_db": 0.0, "noise": 0.0}


def test_uneven_couplers_leave_light_where_it_should_not_be():
    # A cell meant for the bar state, with couplers off by d1 and d2, leaks sin(d1 - d2) into the
    # other port; for the cross state it leaks sin(d1 + d2).
    chip = MeshChip(2, np.array([[0.03], [0.01]]))
    bar, cross = (chip.matrix(np.array([inner, 0.0, 0.0, 0.0])) for inner in (math.pi, 0.0))
    assert abs(bar[0, 1]) == pytest.approx(math.sin(0.02), rel=1e-6)
    assert abs(cross[0, 0]) == pytest.approx(math.sin(0.04), rel=1e-6)
    # It stays unitary: a passive, lossless error.
    uneven = InterferometerMesh(n_inputs=8, **OFF | {"splitting_error": 0.05}).matrix
    np.testing.assert_allclose(uneven.conj().T @ uneven, np.eye(8), atol=1e-13)
    assert np.abs(uneven - InterferometerMesh(n_inputs=8, **OFF).matrix).max() > 0.01


def test_each_cell_loses_its_share():
    # Four columns, and the inner ports of a mesh of 4 meet a cell in each; port 0 in two of them.
    mesh = InterferometerMesh(n_inputs=4, **OFF | {"loss_db": 1.0}, matrix=np.eye(4))
    power = np.sum(np.abs(mesh.matrix) ** 2, axis=0)
    assert (power < 10**-0.2 + 1e-12).all()
    assert (power > 10**-0.4 - 1e-12).all()


def test_heaters_warm_their_neighbours():
    # One cell at the columns 0 (outer) and 1 (inner) of the upper port; output phases at column 4.
    chip = MeshChip(2, crosstalk=0.1)
    leaked = chip.effective(np.array([1.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(leaked, [1.0, 0.1, 0.0, 0.0])
    # Two columns of cells: the outer heater of the second is two pitches from that of the first.
    wide = MeshChip(3, crosstalk=0.1).effective(np.array([0, 0, 0, 1.0, 0, 0, 0, 0, 0]))
    assert wide[0] == pytest.approx(0.1)  # its own inner phase
    assert wide[4] == pytest.approx(0.1 ** math.hypot(2, 1))  # the next column, one port lower
    tensor = chip.effective(torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64))
    np.testing.assert_allclose(tensor, leaked)


def test_phase_noise_is_new_in_each_row_and_as_large_as_stated():
    # A balanced cell turns a phase error e into a power error sin(e) / 2 at the output.
    mesh = InterferometerMesh(n_inputs=2, **OFF | {"phase_noise": 5e-3})
    mesh.program([math.pi / 2, 0.0, 0.0, 0.0])
    with mesh:
        seen = mesh.measure(np.tile([[1.0, 0.0]], (4000, 1)))[:, 0]
    # The spread of 4,000 numbers is known to 1.1 %.
    assert seen.std() == pytest.approx(5e-3 / 2, rel=0.05)
    assert seen.mean() == pytest.approx(0.5, abs=3e-4)


@pytest.mark.parametrize("detection", ["intensity", "complex"])
def test_detector_noise_is_as_stated(detection):
    mesh = InterferometerMesh(n_inputs=4, detection=detection, **OFF | {"noise": 0.02})
    with mesh:
        seen = mesh.measure(np.zeros((2000, 4)))
    assert np.sqrt(np.mean(np.abs(seen) ** 2)) == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize("layout", ["unitary", "layer"])
def test_answers_are_seeded_and_do_not_depend_on_batches(layout):
    drives = np.random.default_rng(0).uniform(0, 1, (300, 40))
    kinds = {"n_inputs": 40, "layout": layout, "seed": 4}
    with InterferometerMesh(**kinds) as one, InterferometerMesh(**kinds) as two:
        whole = one.measure(drives)
        apart = np.concatenate([two.measure(drives[:7]), two.measure(drives[7:])])
    np.testing.assert_allclose(apart, whole, rtol=0, atol=1e-13)


def test_ideal_switches_everything_off():
    strong = dict.fromkeys(("splitting_error", "phase_noise", "crosstalk", "loss_db", "noise"), 0.3)
    drives = np.ones((3, 5))
    with (
        InterferometerMesh(n_inputs=5, **strong, ideal=True) as ideal,
        InterferometerMesh(n_inputs=5, **OFF) as off,
    ):
        np.testing.assert_array_equal(ideal.measure(drives), off.measure(drives))


# -- learning --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["unitary", "layer"])
def test_derivatives_by_drives_and_parameters(layout):
    kinds = {"n_inputs": 3, "layout": layout, "n_outputs": 4 if layout == "layer" else None}
    mesh = InterferometerMesh(setting="rich", **kinds, phase_noise=0.0, noise=0.0)
    drives = np.random.default_rng(0).uniform(0, 3, (2, 3))
    u = torch.tensor(drives, requires_grad=True)
    p = torch.tensor(mesh.parameters, requires_grad=True)
    with mesh:
        np.testing.assert_allclose(mesh.forward(u).detach(), mesh.measure(drives))
    np.testing.assert_allclose(mesh.forward(u, p).detach(), mesh.forward(u).detach())
    assert torch.autograd.gradcheck(mesh.forward, (u, p))
    assert isinstance(mesh, Differentiable)
    with pytest.raises(ValueError, match="parameters"):
        mesh.forward(u, p[:-1])


def test_the_rich_setting_is_rich():
    for ideal in (True, False):
        r2, ratio = figures(InterferometerMesh(setting="rich", ideal=ideal), 320, 160)
        assert r2 < 0.80
        assert ratio > 0.25


def test_the_picture_follows_the_light():
    picture = InterferometerMesh(n_inputs=6, ideal=True).picture()
    assert picture.values.shape == (6, 7)
    np.testing.assert_allclose(picture.values.sum(axis=0), 1.0)


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n_inputs": 0}, "at least 1"),
        ({"n_outputs": 3}, "layout='layer'"),
        ({"setting": "poor"}, "measured-like, rich"),
        ({"layout": "tree"}, "unitary, layer"),
        ({"encoding": "bits"}, "amplitude, phase"),
        ({"phase_range": 7.0}, "at most 6.28"),
        ({"detection": "colour"}, "intensity, complex"),
        ({"absorption": -1.0}, "at least 0"),
        ({"saturation_power": 0.0}, "above 0"),
        ({"splitting_error": -0.1}, "at least 0"),
        ({"phase_noise": -0.1}, "at least 0"),
        ({"crosstalk": 0.6}, "at most 0.5"),
        ({"loss_db": -1.0}, "at least 0"),
        ({"noise": float("inf")}, "at least 0"),
        ({"seed": -1}, "at least 0"),
        ({"ideal": "no"}, "True or False"),
    ],
)
def test_bad_arguments_are_named_with_value_and_range(argument, allowed):
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match=rf"{name}={value!r}.*{allowed}"):
        InterferometerMesh(**{"n_inputs": 4} | argument)


def test_a_matrix_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"matrix has shape \(3, 3\), expected \(4, 4\)"):
        InterferometerMesh(n_inputs=4, matrix=np.eye(3))
    with pytest.raises(ValueError, match="not finite"):
        InterferometerMesh(n_inputs=2, layout="layer", matrix=np.full((2, 2), np.nan))
