"""Feedback alignment: what it says of devices that it suits, and of those that it does not."""

import warnings

import pytest
import torch
from black_boxes import Box, GlassBox, digits

from pnn import PhysicalClassifier
from pnn.rules import RULES
from pnn.rules.feedback import FeedbackRule, ScramblingWarning
from simulators import ScatteringMedium

DATA = digits()
FEEDBACK = [name for name, rule in RULES.items() if issubclass(rule, FeedbackRule)]


class Separate(Box):
    """tanh of each drive by itself."""

    def respond(self, drives):
        return self.forward(torch.from_numpy(drives)).numpy()

    def forward(self, drives):
        return torch.tanh(drives)


def fitted(device, rule, **options):
    estimator = PhysicalClassifier(
        device, rule, epochs=8, batch_size=32, check_every=1, patience=99, random_state=0, **options
    )
    return estimator.fit(DATA.X[:300], DATA.y[:300])


@pytest.mark.parametrize("rule", FEEDBACK)
def test_feedback_is_aligned_where_each_drive_acts_by_itself(rule):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScramblingWarning)
        estimator = fitted(
            Separate(16, 16, low=-2.0, high=2.0), rule, rule_options={"encoder_rate": 1.0}
        )
    aligned = [row["alignment"] for row in estimator.history_]
    assert aligned[-1] > 0.3
    assert aligned[-1] > aligned[0]
    assert estimator.score(DATA.X[300:], DATA.y[300:]) > 0.8


def test_drives_that_hardly_vary_do_not_hide_that_a_device_mixes():
    X = DATA.X[:300].copy()
    X[:, 0] = 0.0
    X[7, 0] = 1e-3  # its coefficient is all noise, and large
    estimator = PhysicalClassifier(
        ScatteringMedium(n_inputs=X.shape[1], n_outputs=32), "dfa", epochs=1, random_state=0
    )
    with pytest.warns(ScramblingWarning):
        estimator.fit(X, DATA.y[:300])


@pytest.mark.parametrize("rule", FEEDBACK)
def test_a_device_that_mixes_its_inputs_is_warned_of(rule):
    with pytest.warns(ScramblingWarning, match="for devices that act on each drive by itself"):
        estimator = fitted(GlassBox(16, 24), rule)
    assert "alignment" in estimator.history_[-1]
    assert "alignment" not in fitted(GlassBox(16, 24), "ideal-backprop").history_[-1]
