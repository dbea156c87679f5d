"""Settings of training, and threads."""

import numpy as np
import pytest
import torch

from pnn.training import Training, limit_threads


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be a whole number of at least 1"),
        ({"epochs": 2.5}, "epochs=2.5 must be a whole number"),
        ({"batch_size": True}, "batch_size=True"),
        ({"inner_steps": -1}, "inner_steps=-1"),
        ({"check_every": 0}, "check_every=0"),
        ({"patience": 0}, "patience=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"learning_rate": float("inf")}, "learning_rate=inf"),
        ({"schedule": "random"}, "schedule='random' is not one of layerwise, joint"),
    ],
)
def test_settings_out_of_range_are_refused_with_their_value(changes, message):
    with pytest.raises(ValueError, match=message):
        Training(**changes)


def test_the_learning_rate_falls_along_a_cosine():
    settings = Training(epochs=4, learning_rate=0.2)
    rates = [settings.learning_rate_at(epoch) for epoch in range(5)]
    np.testing.assert_allclose(rates, [0.2, 0.1 * (1 + 0.5**0.5), 0.1, 0.1 * (1 - 0.5**0.5), 0])


def test_the_last_epoch_is_always_looked_at():
    assert Training(epochs=9, check_every=4).checks == 3
    assert Training(epochs=8, check_every=4).checks == 2
    assert Training(epochs=1, check_every=4).checks == 1


def test_threads_hold_inside_the_block_and_are_given_back_in_every_case():
    before = torch.get_num_threads()
    with limit_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), limit_threads(before + 1):
        _ = 1 / 0
    assert torch.get_num_threads() == before
    with limit_threads(None):
        assert torch.get_num_threads() == before
