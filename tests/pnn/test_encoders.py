"""Encoders: legal drives from any features, the same in every batch."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devices import DeviceSpec
from pnn.encoders import (
    ENCODERS,
    AmplitudeEncoder,
    BitsEncoder,
    CodesEncoder,
    PhaseEncoder,
    WidthWarning,
    make_encoder,
)


def spec(n_inputs=4, domain="amplitude", low=0.0, high=1.0, **others):
    return DeviceSpec(
        name="box", n_inputs=n_inputs, n_outputs=1, domain=domain, low=low, high=high, **others
    )


def fitted(kind, features, spec, n_labels=0, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WidthWarning)
        return kind(**options).fit(np.asarray(features, float), spec, n_labels)


X = np.array([[0.0, 10.0], [4.0, 20.0], [1.0, 12.0]])

# -- legality ----------------------------------------------------------------------------------

numbers = st.floats(-1e6, 1e6, width=32)
limits = st.integers(-5, 5) | st.floats(-100, 100, width=32)


@st.composite
def cases(draw):
    """A spec, an encoder with its options, training features and other features."""
    domain = draw(st.sampled_from(list(ENCODERS)))
    n_inputs, n_features = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    low = draw(arrays(float, n_inputs, elements=limits))
    least = 1 if domain == "codes" else 1e-3  # codes: a whole number lies between the limits
    high = low + draw(arrays(float, n_inputs, elements=st.floats(least, 50)))
    if draw(st.booleans()):
        low, high = low[:1].repeat(n_inputs), high[:1].repeat(n_inputs)
    made = spec(n_inputs, domain, tuple(low), tuple(high))
    n_labels = draw(st.sampled_from([0, 2, 3]))
    options = {
        "scaling": draw(st.sampled_from(["feature", "global", "sigma"])),
        "masks": draw(st.integers(1, 3)),
        "label_scale": draw(st.floats(0.1, 1.0)),
        "adapter": draw(st.sampled_from(["auto", "project"])),
        "seed": draw(st.integers(0, 9)),
    }
    train = draw(arrays(float, (draw(st.integers(1, 6)), n_features), elements=numbers))
    other = draw(arrays(float, (draw(st.integers(0, 4)), n_features), elements=numbers))
    return made, n_labels, options, train, other


@settings(deadline=None)
@given(cases())
def test_whatever_comes_in_what_goes_out_is_legal(case):
    made, n_labels, options, train, other = case
    encoder = fitted(ENCODERS[made.domain], train, made, n_labels, **options)
    for rows in (train, other):
        labels = np.arange(len(rows)) % n_labels if n_labels else None
        drives = encoder.encode(rows, labels)
        assert drives.shape == (len(rows) * options["masks"], made.n_inputs)
        made.check_drives(drives)  # raises where the device would


@settings(deadline=None)
@given(cases())
def test_a_row_is_driven_alike_alone_and_in_a_batch(case):
    made, n_labels, options, train, other = case
    encoder = fitted(ENCODERS[made.domain], train, made, n_labels, **options)
    rows = np.vstack([train, other])
    labels = np.arange(len(rows)) % n_labels if n_labels else None
    together = encoder.encode(rows, labels)
    alone = [
        encoder.encode(rows[i : i + 1], None if labels is None else labels[i : i + 1])
        for i in range(len(rows))
    ]
    if made.domain not in ("bits", "codes"):  # which round, and a sum may be rounded either way
        np.testing.assert_allclose(np.vstack(alone), together, rtol=1e-9, atol=1e-9)
    elif encoder.multiply_adds == 0:
        np.testing.assert_array_equal(np.vstack(alone), together)


@settings(deadline=None)
@given(cases())
def test_what_was_learned_is_kept_and_taken_over(case):
    made, n_labels, options, train, other = case
    encoder = fitted(ENCODERS[made.domain], train, made, n_labels, **options)
    kept = {key: np.array(value, copy=True) for key, value in encoder.state().items()}
    again = ENCODERS[made.domain](**options).restore(kept, made, n_labels)
    rows = np.vstack([train, other])
    labels = np.arange(len(rows)) % n_labels if n_labels else None
    np.testing.assert_array_equal(again.encode(rows, labels), encoder.encode(rows, labels))


# -- scaling -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("feature", [[0, 0], [1, 1], [0.25, 0.2]]),
        ("global", [[0, 0.5], [0.2, 1], [0.05, 0.6]]),
    ],
)
def test_training_features_fill_the_limits(scaling, expected):
    encoder = fitted(AmplitudeEncoder, X, spec(2, low=-2.0, high=2.0), scaling=scaling)
    np.testing.assert_allclose(encoder.encode(X), -2 + 4 * np.array(expected))


def test_sigma_puts_the_mean_in_the_middle_and_three_deviations_at_the_ends():
    train = np.random.default_rng(0).normal(5, 2, (1000, 1))
    encoder = fitted(AmplitudeEncoder, train, spec(1), scaling="sigma")
    mean, std = train.mean(), train.std()
    drives = encoder.encode(np.array([[mean], [mean + 3 * std], [mean - 3 * std], [mean + std]]))
    np.testing.assert_allclose(drives[:, 0], [0.5, 1, 0, 0.5 + 1 / 6], atol=1e-12)


def test_features_beyond_the_training_range_are_clipped_to_its_ends():
    encoder = fitted(AmplitudeEncoder, X, spec(2, low=0.0, high=5.0))
    np.testing.assert_array_equal(encoder.encode(np.array([[-1e9, 1e9]])), [[0, 5]])


@pytest.mark.parametrize("domain", ENCODERS)
@pytest.mark.parametrize("masks", [1, 2])
def test_no_feature_is_too_far_out_for_any_domain(domain, masks):
    made = spec(4, domain, low=-2.0, high=2.0)
    encoder = fitted(ENCODERS[domain], X, made, masks=masks)
    far = np.array([[-1e9, 1e9]])
    made.check_drives(encoder.encode(far))
    np.testing.assert_array_equal(encoder.channels(far), [[0, 1]])  # what a skip hands on, too


def test_each_channel_has_limits_of_its_own():
    made = spec(2, low=(0.0, -1.0), high=(10.0, 1.0))
    np.testing.assert_allclose(
        fitted(AmplitudeEncoder, X, made).encode(X), [[0, -1], [10, 1], [2.5, -0.6]]
    )


def test_a_feature_that_never_moved_rests_at_the_low_end():
    encoder = fitted(AmplitudeEncoder, [[7.0, 1], [7.0, 2]], spec(2))
    np.testing.assert_array_equal(encoder.encode(np.array([[7.0, 2]])), [[0, 1]])


# -- labels ------------------------------------------------------------------------------------


def test_a_hypothesis_is_one_channel_at_the_label_scale_whatever_the_batch():
    encoder = fitted(AmplitudeEncoder, X, spec(5), n_labels=3, label_scale=0.6)
    drives = encoder.encode(X, np.array([0, 1, 2]))
    np.testing.assert_allclose(drives[:, 2:], 0.6 * np.eye(3))
    np.testing.assert_allclose(encoder.encode(X[:1] * 1e-3, np.array([2]))[:, 2:], [[0, 0, 0.6]])
    np.testing.assert_allclose(encoder.encode(X)[:, 2:], 0)


def test_hypotheses_can_be_told_apart_after_a_projection():
    train = np.random.default_rng(0).random((50, 6))
    encoder = fitted(AmplitudeEncoder, train, spec(4), n_labels=3)
    one, two, three = (encoder.encode(train[:1], np.array([label])) for label in range(3))
    assert min(np.abs(one - two).max(), np.abs(one - three).max(), np.abs(two - three).max()) > 0.02


# -- masks -------------------------------------------------------------------------------------


def test_masks_send_each_sample_as_it_is_and_then_with_fixed_halves_inverted():
    rng = np.random.default_rng(0)
    train = rng.random((20, 200))
    encoder = fitted(AmplitudeEncoder, train, spec(200), masks=3, seed=4)
    plain = fitted(AmplitudeEncoder, train, spec(200)).encode(train)
    rows = encoder.encode(train).reshape(20, 3, 200)
    np.testing.assert_array_equal(rows[:, 0], plain)
    for k in (1, 2):
        inverted = np.isclose(rows[:, k], 1 - plain)
        kept = np.isclose(rows[:, k], plain)
        assert (inverted | kept).all()
        mask = inverted.all(axis=0)
        assert 0.3 < mask.mean() < 0.7
        assert kept[:, ~mask].all()
    assert not np.array_equal(rows[:, 1], rows[:, 2])
    other = fitted(AmplitudeEncoder, train, spec(200), masks=3, seed=5).encode(train)
    assert not np.array_equal(other.reshape(20, 3, 200), rows)


# -- width -------------------------------------------------------------------------------------


def test_unused_inputs_rest_at_their_low_end():
    encoder = fitted(AmplitudeEncoder, X, spec(4, low=-1.0))
    np.testing.assert_array_equal(encoder.encode(X)[:, 2:], -1)
    assert encoder.adapter_ == "padded 2 -> 4"
    assert encoder.multiply_adds == 0


def test_as_many_features_as_inputs_go_as_they_are():
    assert fitted(AmplitudeEncoder, X, spec(2)).adapter_ == "as they are"


def test_too_many_features_are_projected_with_a_warning_that_says_what_is_lost():
    train = np.random.default_rng(0).random((30, 6))
    with pytest.warns(
        WidthWarning, match=r"8 channels \(6 features and 2 labels\).* 3 inputs of box: information"
    ):
        encoder = AmplitudeEncoder().fit(train, spec(3), n_labels=2)
    assert encoder.adapter_ == "projected at random 8 -> 3"
    assert encoder.multiply_adds == 24
    drives = encoder.encode(train, np.zeros(30, int))
    # What is projected stays off the ends: a drive that is mostly clipped would say little.
    assert ((drives > 0) & (drives < 1)).mean() > 0.9
    assert (drives.std(axis=0) > 0.03).all()


def test_a_projection_can_be_asked_for_and_loses_nothing_where_there_is_room():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder = AmplitudeEncoder(adapter="project").fit(X, spec(5))
    assert encoder.adapter_ == "projected at random 2 -> 5"
    assert np.linalg.matrix_rank(encoder.encode(X) - encoder.encode(X).mean(axis=0)) == 2


def test_padding_without_room_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"box has 3 inputs, too few for 5 channels \(2 f.* 3 l"):
        fitted(AmplitudeEncoder, X, spec(3), n_labels=3, adapter="pad")


# -- codes of each domain ----------------------------------------------------------------------


def test_phases_stay_within_half_a_turn():
    encoder = fitted(PhaseEncoder, X, spec(2, "phase", high=2 * np.pi))
    assert encoder.encode(X).max() == pytest.approx(np.pi)
    narrow = fitted(PhaseEncoder, X, spec(2, "phase", low=0.5, high=2.0))
    assert (narrow.encode(X).min(), narrow.encode(X).max()) == (0.5, 2.0)


def test_bits_are_a_thermometer_of_as_many_inputs_as_there_is_room_for():
    train = np.array([[0.0], [1.0]])
    encoder = fitted(BitsEncoder, train, spec(4, "bits", low=-1.0, high=1.0))
    values = np.array([[0.0], [0.2], [0.4], [0.7], [1.0]])
    np.testing.assert_array_equal((encoder.encode(values) + 1).sum(axis=1) / 2, [0, 1, 2, 3, 4])
    single = fitted(BitsEncoder, train, spec(1, "bits"))
    np.testing.assert_array_equal(single.encode(values)[:, 0], [0, 0, 0, 1, 1])


def test_a_hypothesis_sets_all_bits_of_its_label_at_any_scale():
    encoder = fitted(BitsEncoder, X, spec(8, "bits"), n_labels=2, label_scale=0.3)
    bits = encoder.encode(X, np.array([0, 1, 1]))
    np.testing.assert_array_equal(bits[:, 4:], [[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])


def test_codes_are_whole_numbers_inside_limits_that_are_not():
    encoder = fitted(CodesEncoder, X, spec(2, "codes", low=-0.5, high=7.9))
    np.testing.assert_array_equal(encoder.encode(X), [[0, 0], [7, 7], [2, 1]])


# -- choosing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ENCODERS)
def test_auto_takes_the_encoder_of_the_domain_and_any_other_is_refused(domain):
    made = spec(2, domain)
    encoder = make_encoder("auto", made, seed=3)
    assert domain in encoder.domains
    encoder.fit(X, made)
    for name in set(ENCODERS) - {domain}:
        with pytest.raises(ValueError, match=f"cannot drive box: its domain is '{domain}'"):
            make_encoder(name, made).fit(X, made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scaling": "log"}, "scaling='log' is not one of feature, global, sigma"),
        ({"adapter": "squeeze"}, "adapter='squeeze' is not one of auto, pad, project, convolve"),
        ({"masks": 0}, "masks=0 must be at least 1"),
        ({"label_scale": 0}, "label_scale=0 must be above 0 and at most 1"),
        ({"label_scale": 1.5}, "label_scale=1.5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_encoder("auto", spec(), **options)


def test_an_unknown_encoder_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="encoder='morse' is not one of auto, amplitude, tones"):
        make_encoder("morse", spec())
