"""A layer: what its readout sees, whatever the device's units."""

import numpy as np
import pytest
from black_boxes import Box

from devices import FunctionDevice
from pnn.encoders import AmplitudeEncoder
from pnn.layer import CHUNK, PhysicalLayer, PhysicalNetwork

X = np.random.default_rng(0).random((100, 4))


def seen(layer, inputs=X, purpose="train"):
    """Features of a layer that is fitted to them."""
    with layer.device:
        raw = layer.fit_encoder(inputs).raw(inputs, purpose=purpose)
    return layer.fit_scaling(raw).scaled(raw).numpy()


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("skip", [False, True])
def test_features_have_mean_0_and_length_1_in_any_unit(unit, skip):
    box = Box(4, 12)
    device = FunctionDevice(lambda drives: unit * (box.respond(drives) + 3), 4, 12)
    features = seen(PhysicalLayer(device, skip=skip))
    assert features.shape == (100, 16 if skip else 12)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(features.std(axis=0), features.shape[1] ** -0.5, rtol=1e-3)
    assert (features**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-2)


def test_an_output_that_never_moves_is_silent():
    device = FunctionDevice(lambda u: np.stack([u[:, 0], np.full(len(u), 0.1)], axis=1), 4, 2)
    features = seen(PhysicalLayer(device))
    assert features[:, 0].std() > 0
    assert (features[:, 1] == 0).all()


def test_complex_answers_count_as_real_and_imaginary_parts():
    layer = PhysicalLayer(box := Box(4, 5, output_dtype="complex128"))
    with box:
        raw = layer.fit_encoder(X).raw(X, purpose="train")
    answers = box.respond(box.rows)
    np.testing.assert_allclose(raw, np.hstack([answers.real, answers.imag]), rtol=1e-5, atol=1e-6)
    assert layer.n_features == 10


def test_masks_widen_the_features_and_a_skip_joins_the_scaled_input():
    layer = PhysicalLayer(Box(6, 5), masks=3, skip=True)
    with layer.device:
        raw = layer.fit_encoder(X, n_labels=2).raw(X, np.arange(100) % 2, purpose="train")
    assert raw.shape == (100, layer.n_features) == (100, 5 * 3 + 4 + 2)
    np.testing.assert_allclose(raw[:, 15:], layer.encoder.channels(X, np.arange(100) % 2))


def test_nothing_goes_around_the_device_unless_asked():
    device = FunctionDevice(lambda drives: np.zeros((len(drives), 3)), 4, 3)
    assert (seen(PhysicalLayer(device)) == 0).all()


def test_more_rows_than_a_call_takes_are_all_measured_once_and_in_order():
    inputs = np.random.default_rng(1).random((CHUNK + 10, 4))
    layer, shown = PhysicalLayer(box := Box(4, 3)), []
    with box:
        raw = layer.fit_encoder(inputs).raw(
            inputs, purpose="train", progress=lambda done, total: shown.append((done, total))
        )
    np.testing.assert_allclose(raw, box.respond(layer.encoder.encode(inputs)), rtol=1e-5)
    assert box.ledger.queries == {"train": CHUNK + 10}
    assert shown == [(CHUNK, CHUNK + 10), (CHUNK + 10, CHUNK + 10)]


def test_training_rows_alone_teach_the_affine_map():
    layer = PhysicalLayer(Box(4, 3))
    with layer.device:
        layer.fit_encoder(X)
        layer.raw(X, purpose="test")
        layer.raw(X, purpose="validation")
        assert layer.affine.rows == 0
        layer.raw(X, purpose="train")
    assert layer.affine.rows == 100


def test_a_network_lists_a_shared_device_once():
    one, other = Box(), Box()
    network = PhysicalNetwork([PhysicalLayer(one), PhysicalLayer(other), PhysicalLayer(one)])
    assert network.devices == [one, other]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="a network needs at least one layer"):
        PhysicalNetwork([])
    with pytest.raises(ValueError, match="width=0 must be at least 1"):
        PhysicalLayer(Box(), width=0)
    with pytest.raises(ValueError, match=r"\['masks'\] come with a made encoder"):
        PhysicalLayer(Box(), AmplitudeEncoder(), masks=2)
