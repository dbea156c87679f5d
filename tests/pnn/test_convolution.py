"""Convolutional encoders: the same filters all over an image, before and between devices."""

import numpy as np
import pytest
from black_boxes import BlackBox, digits

from pnn import PhysicalClassifier
from pnn.convolution import local_filters
from pnn.encoders import make_encoder

DATA = digits()


@pytest.mark.parametrize(
    ("n_inputs", "maps", "places"), [(72, 2, 6), (36, 1, 6), (20, 2, 3), (9, 1, 3), (1, 1, 1)]
)
def test_maps_are_as_many_and_as_dense_as_there_is_room_for(n_inputs, maps, places):
    matrix, words = local_filters(64, n_inputs, np.random.default_rng(0))
    assert words == f"convolved 8 x 8 -> {maps} x {places} x {places}"
    used = maps * places**2
    assert (np.count_nonzero(matrix, axis=0) == np.where(np.arange(n_inputs) < used, 9, 0)).all()


def test_a_map_moves_with_the_image():
    rng = np.random.default_rng(0)
    matrix, _ = local_filters(64, 72, rng)
    image = np.zeros((8, 8))
    image[2:5, 2:5] = rng.random((3, 3))
    seen, moved = (
        (a.ravel() @ matrix).reshape(2, 6, 6) for a in (image, np.roll(image, (1, 2), (0, 1)))
    )
    np.testing.assert_allclose(moved[:, 1:, 2:], seen[:, :-1, :-2])
    assert np.abs(seen).max() > 0


@pytest.mark.parametrize("n_features", [1, 4, 15])
def test_what_is_no_square_image_is_refused(n_features):
    encoder = make_encoder("auto", BlackBox(40).spec, adapter="convolve")
    with pytest.raises(ValueError, match=f"a square image of 3 x 3 .* not {n_features}; use"):
        encoder.fit(np.random.default_rng(0).random((9, n_features)), BlackBox(40).spec)


@pytest.mark.parametrize("rule", ["scalable-forward-forward", "phyll"])
@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_networks_learn_with_convolutions_before_and_between_devices(rule):
    box = BlackBox(40, 64)
    estimator = PhysicalClassifier(
        box, rule, adapter="convolve", layers=2, width=36, epochs=15, random_state=0
    ).fit(DATA.X[:300], DATA.y[:300])
    words = [layer.encoder.adapter_ for layer in estimator.network_.layers]
    assert words == ["convolved 4 x 4 -> 10 x 2 x 2", "convolved 6 x 6 -> 2 x 4 x 4"]
    assert estimator.score(DATA.X[300:], DATA.y[300:]) > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "convolve", "width": 30}, "a square image .* not 30; .* between layers"),
        ({"adapter": "pad", "width": 50}, "has 40 inputs, too few for 50 channels"),
    ],
)
def test_a_width_that_does_not_suit_the_next_layer_is_refused_before_anything_is_driven(
    options, message
):
    box = BlackBox(40, 64)
    with pytest.raises(ValueError, match=message):
        PhysicalClassifier(box, "phyll", layers=2, **options).fit(DATA.X, DATA.y)
    assert not box.ledger.queries
