import math
import pickle

import h5py
import numpy as np
import pytest
import torch
from richness import figures

from devices import Differentiable, build_device
from simulators import ScatteringMedium

SMALL = {"n_inputs": 6, "n_outputs": 9, "precision": "double", "ideal": True}


def drives_for(medium, rows=4, seed=0):
    random, spec = np.random.default_rng(seed), medium.spec
    if spec.domain == "bits":
        return random.integers(0, 2, (rows, spec.n_inputs)).astype(float)
    return random.uniform(spec.low, spec.high, (rows, spec.n_inputs))


# -- settings and passes -----------------------------------------------------------------------


def test_measured_like_is_the_default():
    named, plain = ScatteringMedium(setting="measured-like"), ScatteringMedium()
    np.testing.assert_array_equal(named.transmission_matrix, plain.transmission_matrix)
    assert named.camera == plain.camera
    drives = drives_for(plain)
    with named, plain:
        np.testing.assert_array_equal(named.measure(drives), plain.measure(drives))


def test_rich_is_rich():
    # Over many rows: 0.11 and 0.43 of the outputs (a ratio from R rows is biased to the low side).
    r2, share = figures(ScatteringMedium(setting="rich"), 1500, 500)
    assert r2 < 0.80
    assert share > 0.25
    assert r2 < 0.5 * figures(ScatteringMedium(), 1500, 500)[0]


def test_an_argument_overrides_its_setting():
    medium = ScatteringMedium(setting="rich", bits=7)
    assert (medium.camera.bits, medium.camera.full_well) == (7, 10_000)
    with pytest.raises(ValueError, match="setting='wild' is not one of measured-like, rich"):
        ScatteringMedium(setting="wild")


@pytest.mark.parametrize("encoding", ["phase", "amplitude", "binary"])
def test_each_pass_multiplies_by_the_modulator_again(encoding):
    once = ScatteringMedium(**SMALL, encoding=encoding, zero_order=0.1)
    twice, thrice = (
        ScatteringMedium(**SMALL, encoding=encoding, zero_order=0.1, passes=p) for p in (2, 3)
    )
    # The medium itself does not depend on the passes.
    np.testing.assert_array_equal(once.transmission_matrix, twice.transmission_matrix)
    # With the modulator as m: the field is quadratic in m for two passes, cubic for three. An
    # amplitude scales m, so it scales the field by its power.
    if encoding == "amplitude":
        for medium, degree in ((twice, 2), (thrice, 3)):
            bare = ScatteringMedium(**SMALL, encoding=encoding, passes=degree)
            drives = drives_for(bare)
            np.testing.assert_allclose(bare.fields(drives / 2), bare.fields(drives) / 2**degree)
            assert medium.fields(drives).shape == (4, 9)
    drives = drives_for(twice)
    # Light is zero order and modulated light: rebuild the quadratic form from its definition.
    real, imag = twice.modulator.light(drives)
    light = real + 0j if imag is None else real + 1j * imag
    between = twice._between[0]
    expected = (light * (light @ between.T)) @ twice.transmission_matrix.T
    np.testing.assert_allclose(twice.fields(drives), expected, atol=1e-12)


@pytest.mark.parametrize("encoding", ["phase", "amplitude", "binary"])
def test_mean_intensity_is_about_one_for_any_number_of_passes(encoding):
    # One medium between the passes is one draw: 64 x 64 entries scatter the mean by some 10 %.
    medium = ScatteringMedium(n_outputs=2000, encoding=encoding, passes=2, ideal=True)
    with medium:
        assert medium.measure(drives_for(medium, 400)).mean() == pytest.approx(1, rel=0.25)


# -- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["phase", "amplitude"])
@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("detection", ["intensity", "holography"])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_forward_is_the_ideal_answer(encoding, passes, detection, precision):
    medium = ScatteringMedium(
        n_inputs=6,
        n_outputs=9,
        encoding=encoding,
        passes=passes,
        detection=detection,
        precision=precision,
        zero_order=0.1,
        ideal=True,
    )
    assert isinstance(medium, Differentiable)
    drives = drives_for(medium)
    tensor = torch.from_numpy(drives).requires_grad_()
    answers = medium.forward(tensor)
    with medium:
        measured = medium.measure(drives)
    tolerance = 1e-5 if precision == "single" else 1e-12
    np.testing.assert_allclose(answers.detach().numpy(), measured, atol=tolerance)
    assert answers.detach().numpy().dtype == measured.dtype
    answers.abs().sum().backward()
    assert torch.isfinite(tensor.grad).all()


def test_gradients_are_those_of_the_device():
    for change in ({}, {"polarised": False}, {"passes": 2, "encoding": "amplitude"}):
        medium = ScatteringMedium(**SMALL | change, optical_depth=1.0, crosstalk=0.1)
        drives = torch.from_numpy(drives_for(medium)).requires_grad_()
        assert torch.autograd.gradcheck(medium.forward, (drives,))


# -- matrices in files -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["npy", "npz", "h5"])
@pytest.mark.parametrize("polarised", [True, False])
def test_a_saved_matrix_is_the_same_medium(tmp_path, ending, polarised):
    medium = ScatteringMedium(**SMALL, polarised=polarised)
    path = tmp_path / f"medium.{ending}"
    medium.save(path)
    again = build_device(
        {"name": "sim:scattering-medium", "matrix": str(path), "precision": "double", "ideal": True}
    )
    np.testing.assert_array_equal(again.transmission_matrix, medium.transmission_matrix)
    drives = drives_for(medium)
    with medium, again, pickle.loads(pickle.dumps(again)).open() as copy:
        np.testing.assert_array_equal(again.measure(drives), medium.measure(drives))
        np.testing.assert_array_equal(copy.measure(drives), medium.measure(drives))


def test_a_measured_matrix_may_have_any_name_and_be_an_array(tmp_path):
    matrix = np.arange(6.0).reshape(3, 2) * (1 + 2j)
    with h5py.File(tmp_path / "bench.h5", "w") as file:
        file["measured/T"] = 1.0  # groups are not looked into
        file["T"] = matrix
    np.savez(tmp_path / "bench.npz", T=matrix)
    for source in (matrix, tmp_path / "bench.h5", tmp_path / "bench.npz"):
        medium = ScatteringMedium(matrix=source, precision="double", ideal=True)
        np.testing.assert_array_equal(medium.transmission_matrix, matrix)


def test_a_matrix_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "t.npy"
    ScatteringMedium(**SMALL).save(path)
    with pytest.raises(ValueError, match=r"n_inputs=7 does not fit the matrix, which has 6"):
        ScatteringMedium(matrix=path, n_inputs=7)
    with pytest.raises(ValueError, match=r"n_outputs=8 does not fit the matrix, which has 9"):
        ScatteringMedium(matrix=path, n_outputs=8)
    with pytest.raises(ValueError, match=r"matrix='.*gone.npy': there is no such file"):
        ScatteringMedium(matrix=str(tmp_path / "gone.npy"))
    with pytest.raises(ValueError, match=r"path='.*t.csv' must end in .npy, .npz or .h5"):
        ScatteringMedium(**SMALL).save(tmp_path / "t.csv")


@pytest.mark.parametrize("ending", ["npy", "npz", "h5", "csv"])
def test_a_file_that_is_no_matrix_is_refused(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    path.write_text("not a matrix")
    with pytest.raises(ValueError, match=rf"ScatteringMedium: matrix='.*t.{ending}': "):
        ScatteringMedium(matrix=path)


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        (np.ones(3), r"shape \(3,\), expected \(n_outputs, n_inputs\)"),
        (np.ones((3, 4, 5)), r"shape \(3, 4, 5\)"),
        (np.ones((0, 4)), r"shape \(0, 4\)"),
        (np.array([["a"]]), "expected real or complex numbers"),
        (np.array([[np.nan]]), "not finite"),
    ],
)
def test_an_array_that_is_no_matrix_is_refused(matrix, problem):
    with pytest.raises(ValueError, match=problem):
        ScatteringMedium(matrix=matrix)


def test_a_file_with_several_arrays_needs_the_name(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.eye(2), b=np.eye(2))
    with pytest.raises(ValueError, match=r"expected an array named 'transmission_matrix', found"):
        ScatteringMedium(matrix=tmp_path / "two.npz")


# -- pictures ----------------------------------------------------------------------------------


def test_picture_is_a_map_where_the_camera_is_a_square():
    medium = ScatteringMedium(**SMALL)
    drive = drives_for(medium)[0]
    picture = medium.picture(drive)
    assert picture.values.shape == (3, 3)
    with medium:
        np.testing.assert_allclose(picture.values.ravel(), medium.measure(drive[None])[0])
    line = ScatteringMedium(n_inputs=6, n_outputs=10, polarised=False).picture(drive)
    assert line.values.shape == line.x.shape == (10,)
    assert line.y is None


@pytest.mark.parametrize("passes", [0, 1.5])
def test_bad_passes_are_named(passes):
    with pytest.raises(ValueError, match=rf"passes={passes} must be a whole number of at least 1"):
        ScatteringMedium(passes=passes)


def test_phases_beyond_pi_fold_back():
    # Why the default range is pi: 0 and 2 pi are the same light.
    medium = ScatteringMedium(n_inputs=1, n_outputs=4, phase_range=2 * math.pi, precision="double")
    at_ends = medium.fields([[0.0], [2 * math.pi]])
    np.testing.assert_allclose(at_ends[0], at_ends[1])
