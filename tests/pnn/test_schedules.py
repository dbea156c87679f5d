"""Training loops: what is measured how often, when it stops, which state is kept."""

import numpy as np
import pytest
import torch
from black_boxes import Box, digits

from devices import Cached
from pnn import PhysicalClassifier
from pnn.rules import RULES, BackwardRule, LocalRule

DATA = digits()
N_CLASSES = 3
N_TRAIN, N_TEST = 100, 30
LOCAL = [name for name, rule in RULES.items() if issubclass(rule, LocalRule)]
ALONE = [name for name, rule in RULES.items() if not issubclass(rule, BackwardRule)]
ONCE = [name for name in LOCAL if RULES[name].measures_once]
JOINT = [name for name in ONCE if not RULES[name].layerwise_only]
X, Y = DATA.X[:N_TRAIN], DATA.y[:N_TRAIN]

pytestmark = pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")


def fitted(device, rule="mono-forward", *, y=Y, **parameters):
    settings = {"width": 16, "epochs": 4, "batch_size": 32, "validation": 0, "random_state": 0}
    return PhysicalClassifier(device, rule, **settings | parameters).fit(X, y)


def estimate(estimator, n_test=0):
    return estimator.rule_.estimate(
        estimator.network_,
        estimator.settings(),
        n_train=estimator.n_train_,
        n_validation=estimator.n_validation_,
        n_test=n_test,
        n_classes=N_CLASSES,
    )


# -- queries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ONCE)
@pytest.mark.parametrize(("layers", "masks"), [(1, 3), (2, 1)])
def test_each_training_drive_is_measured_once(rule, layers, masks):
    box = Box(19)
    fitted(box, rule, layers=layers, masks=masks, inner_steps=2)
    views = RULES[rule]().rows_per_update(N_CLASSES)
    assert box.ledger.queries == {"train": N_TRAIN * views * layers * masks}


@pytest.mark.parametrize("rule", JOINT)
def test_the_joint_schedule_measures_again_only_what_comes_after_the_first_layer(rule):
    first, second = Box(19), Box(19, seed=1)
    fitted([first, second], rule, layers=2, schedule="joint", epochs=3)
    labels = RULES[rule]().rows_per_sample(N_CLASSES)
    assert first.ledger.total == N_TRAIN * labels
    assert second.ledger.total == N_TRAIN * labels * (1 + 3)


@pytest.mark.parametrize(
    ("rule", "schedule"),
    [(rule, "layerwise") for rule in ALONE] + [(rule, "joint") for rule in JOINT],
)
def test_the_estimate_is_what_is_spent_unless_training_stops_early(rule, schedule):
    box = Box(19)
    parameters = {"layers": 3, "schedule": schedule, "validation": 0.2, "check_every": 1}
    estimator = fitted(box, rule, patience=100, epochs=3, masks=2, **parameters)
    estimator.predict(DATA.X[:N_TEST])
    assert estimator.n_validation_ == (20 if RULES[rule]().uses_validation else 0)
    assert estimate(estimator, N_TEST) == {
        p: box.ledger.queries[p] for p in ("train", "validation", "test")
    }


@pytest.mark.parametrize("schedule", ["layerwise", "joint"])
def test_the_estimate_is_an_upper_bound_when_training_stops_early(schedule):
    y = np.random.default_rng(0).permutation(Y)  # nothing to be learned
    box = Box(19)
    estimator = fitted(
        box,
        y=y,
        layers=2,
        schedule=schedule,
        validation=0.2,
        epochs=60,
        patience=2,
        check_every=1,
        learning_rate=0.3,
    )
    intended = estimate(estimator)
    assert box.ledger.queries["validation"] < intended["validation"]
    assert box.ledger.queries["train"] <= intended["train"]


def test_rows_for_judging_are_measured_afresh_each_time():
    box = Box(19)
    with Cached(box) as device:  # which would spare a row that it may keep
        estimator = fitted(device, validation=0.2, check_every=1, patience=100, epochs=5)
        n = estimator.n_validation_
        estimator.predict(DATA.X[:N_TEST])
        estimator.predict(DATA.X[:N_TEST])
    assert box.ledger.queries == {"train": N_TRAIN - n, "validation": 5 * n, "test": 2 * N_TEST}
    validation = box.rows[N_TRAIN - n :][: 5 * n].reshape(5, n, 19)
    np.testing.assert_array_equal(validation, np.broadcast_to(validation[0], validation.shape))


@pytest.mark.parametrize("schedule", ["layerwise", "joint"])
def test_inner_steps_are_free_of_queries_and_learn_more(schedule):
    spent, losses = [], []
    for inner_steps in (1, 8):
        box = Box(19)
        estimator = fitted(
            box, epochs=3, learning_rate=0.002, inner_steps=inner_steps, schedule=schedule
        )
        spent.append(dict(box.ledger.queries))
        losses.append(estimator.history_[-1]["loss"])
    assert spent[0] == spent[1]
    assert losses[1] < 0.9 * losses[0]


# -- what is learned ---------------------------------------------------------------------------


def test_layer_by_layer_a_layer_is_blind_to_those_after_it():
    one, three = fitted(Box(19)), fitted(Box(19), layers=3)
    for name, weights in one.network_.layers[0].weights.items():
        torch.testing.assert_close(three.network_.layers[0].weights[name], weights)


def test_a_layer_is_given_what_the_one_before_it_hands_on():
    first, second = Box(19), Box(16, seed=1)
    estimator = fitted([first, second], layers=2)
    layers, rule = estimator.network_.layers, estimator.rule_
    with first:
        features = rule.measure(layers[0], X, N_CLASSES, "probe", first=True)
    handed_on = rule.hand_on(layers[0].weights, features).numpy().astype(float)
    expected = layers[1].encoder.encode(handed_on)
    np.testing.assert_allclose(second.rows, expected, atol=1e-6)


@pytest.mark.parametrize("schedule", ["layerwise", "joint"])
def test_progress_and_metrics_are_told_as_training_goes_on(schedule):
    estimator = fitted(
        Box(19), layers=2, schedule=schedule, validation=0.2, check_every=2, patience=9
    )
    seen = [(row["layer"], row["epoch"]) for row in estimator.history_]
    assert sorted(seen) == [(0, 2), (0, 4), (1, 2), (1, 4)]
    for row in estimator.history_:
        assert 0 <= row["validation_accuracy"] <= 1
        assert row["loss"] > 0


# -- stopping ----------------------------------------------------------------------------------


def overfitted(schedule, patience):
    """A training that soon gets worse on its validation rows, and what these were."""
    y = Y.copy()
    y[::2] = np.random.default_rng(0).permutation(y[::2])
    estimator = fitted(
        Box(19),
        y=y,
        schedule=schedule,
        validation=0.3,
        epochs=40,
        check_every=1,
        patience=patience,
        learning_rate=0.1,
    )
    held_out = estimator.validation_rows(y, None, estimator.seed_)[1]
    return estimator, X[held_out], torch.from_numpy(y[held_out])


@pytest.mark.parametrize("schedule", ["layerwise", "joint"])
def test_training_stops_after_patience_and_keeps_the_best_state(schedule):
    estimator, inputs, targets = overfitted(schedule, patience=3)
    losses = [row["validation_loss"] for row in estimator.history_]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 40
    rule, layer = estimator.rule_, estimator.network_.layers[0]
    with layer.device:
        features = rule.measure(layer, inputs, N_CLASSES, "probe", first=True)
    if schedule == "joint":
        right = rule.scores(layer.weights, features).argmax(dim=1) == targets
        kept = 1 - float(right.float().mean())
    else:
        kept, _ = rule.gradients(layer.weights, features, targets, torch.Generator())
    assert kept == pytest.approx(losses[best])
    assert kept < losses[-1]


def test_without_validation_rows_training_runs_to_its_end():
    estimator = fitted(Box(19), epochs=7, check_every=2, patience=1)
    assert [row["epoch"] for row in estimator.history_] == [2, 4, 6, 7]
    assert "validation_loss" not in estimator.history_[0]


@pytest.mark.parametrize("schedule", ["layerwise", "joint"])
def test_a_training_that_explodes_says_which_setting_to_lower(schedule):
    with pytest.raises(FloatingPointError, match=r"'mono-forward': the loss is (nan|inf); use a l"):
        fitted(Box(19), learning_rate=1e30, schedule=schedule)
