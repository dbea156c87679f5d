"""What stands in the device's place: of the right width, and what it says it is."""

import numpy as np
import pytest
from black_boxes import Box
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from calibration import AffineMap
from devices import DeviceSpec, FunctionDevice
from pnn.controls import AffineStandIn, Bypass, fit_linear, random_features, stand_in
from pnn.layer import PhysicalLayer


def spec(n_inputs, n_outputs, **others):
    settings = {"name": "box", "low": -1.0, "high": 3.0} | others
    return DeviceSpec(n_inputs=n_inputs, n_outputs=n_outputs, **settings)


def drives(n_inputs, rows=50, low=-1.0, high=3.0):
    return np.random.default_rng(0).uniform(low, high, (rows, n_inputs))


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("n_outputs", [2, 5, 9])
def test_the_bypass_is_the_drive_padded_or_cut(n_outputs, dtype):
    width = n_outputs * (2 if dtype == "complex128" else 1)
    u = drives(5)
    with Bypass(spec(5, n_outputs, output_dtype=dtype)) as device:
        answers = device.measure(u)
    assert answers.shape == (50, width)
    n = min(5, width)
    np.testing.assert_array_equal(answers[:, :n], u[:, :n])
    assert not answers[:, n:].any()


@pytest.mark.parametrize("complex_", [False, True])
def test_the_affine_stand_in_of_an_affine_device_is_that_device(complex_):
    rng = np.random.default_rng(1)
    matrix, offset = rng.standard_normal((4, 6)), rng.standard_normal(6)
    if complex_:
        matrix, offset = matrix * (1 + 2j), offset * 1j
    kind = "complex128" if complex_ else "float64"
    device = FunctionDevice(lambda u: u @ matrix + offset, 4, 6, output_dtype=kind)
    layer = PhysicalLayer(device)
    with device:
        layer.fit_encoder(drives(4)).raw(drives(4), purpose="train")
        new = np.random.default_rng(2).random((20, 4))
        expected = device.measure(new)
    with stand_in("affine", layer, 0) as control:
        np.testing.assert_allclose(control.measure(new), expected, rtol=1e-9, atol=1e-9)
    assert control.spec.is_complex is complex_
    assert PhysicalLayer(control).fit_encoder(new).n_features == layer.n_features
    assert control.multiply_adds == 24


def test_the_affine_stand_in_of_a_bent_device_is_its_best_fit():
    device = Box(3, 2)
    layer = PhysicalLayer(device)
    X = np.random.default_rng(0).random((60, 3))
    with device:
        layer.fit_encoder(X).raw(X, purpose="train")
    fit = AffineMap(3, 2)
    fit.update(device.rows, device.respond(device.rows))
    matrix, offset = fit.solve()
    with stand_in("affine", layer, 0) as control:
        answers = control.measure(device.rows)
    np.testing.assert_allclose(answers, device.rows @ matrix.T + offset)
    assert np.abs(answers - device.respond(device.rows)).max() > 0.01


@pytest.mark.parametrize(("dtype", "width"), [("float32", 40), ("complex64", 80)])
def test_random_features_are_as_wide_as_the_answers_and_cut_off_at_zero(dtype, width):
    made = spec(6, 40, output_dtype=dtype)
    with random_features(made, 3) as device, random_features(made, 3) as same:
        answers = device.measure(u := drives(6, rows=400))
        np.testing.assert_array_equal(answers, same.measure(u))
    with random_features(made, 4) as other:
        assert not np.array_equal(answers, other.measure(u))
    assert answers.shape == (400, width)
    assert answers.min() == 0
    assert 0.2 < (answers == 0).mean() < 0.8
    assert device.multiply_adds == 6 * width


def test_random_features_do_not_depend_on_the_unit_of_the_drives():
    u = drives(6, low=0, high=1)
    with (
        random_features(spec(6, 8, low=0.0, high=1.0), 0) as volts,
        random_features(spec(6, 8, low=0.0, high=1000.0), 0) as millivolts,
    ):
        np.testing.assert_allclose(volts.measure(u), millivolts.measure(1000 * u), atol=1e-12)


@pytest.mark.parametrize("name", ["bypassed", "affine", "matched_digital"])
def test_a_stand_in_takes_the_same_drives(name):
    layer = PhysicalLayer(Box(4, 6, domain="bits", low=-1.0, high=1.0))
    layer.affine.update(np.eye(4), np.ones((4, 6)))
    control = stand_in(name, layer, 0)
    for field in ("n_inputs", "low", "high", "domain", "n_outputs"):
        assert getattr(control.spec, field) == getattr(layer.device.spec, field)
    assert control.spec.name != layer.device.spec.name


def test_an_affine_stand_in_needs_no_more_than_a_map():
    with AffineStandIn(spec(2, 3), np.ones((3, 2)), np.arange(3.0)) as device:
        np.testing.assert_array_equal(device.measure([[1, 2]]), [[3, 4, 5]])


# -- linear ------------------------------------------------------------------------------------


@pytest.mark.parametrize("regression", [False, True])
def test_the_linear_control_chooses_its_strength_on_the_validation_rows(regression):
    rng = np.random.default_rng(0)
    X, V = rng.standard_normal((40, 30)), rng.standard_normal((400, 30))
    y, v = X[:, 0] + rng.standard_normal(40), V[:, 0]  # learned with noise, judged without
    if not regression:
        y, v = (y > 0).astype(int), (v > 0).astype(int)
    kind, name = (Ridge, "alpha") if regression else (LogisticRegression, "C")
    scores = {}
    for strength in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        model = kind(**{name: 1 / strength if regression else strength})
        scores[strength] = make_pipeline(StandardScaler(), model).fit(X, y).score(V, v)
    best = max(scores, key=scores.__getitem__)
    assert min(scores.values()) < scores[best] - 0.01
    chosen = getattr(fit_linear(X, y, V, v, regression=regression)[-1], name)
    assert chosen == (1 / best if regression else best)


def test_the_linear_control_is_fitted_on_all_rows_in_the_end():
    rng = np.random.default_rng(0)
    X, V = rng.standard_normal((5, 2)), rng.standard_normal((500, 2))
    model = fit_linear(X, X @ [1, 2], V, V @ [1, 2], regression=True)
    assert model[0].n_samples_seen_ == 505
