import numpy as np
import pytest

from calibration import (
    LabelSensitivity,
)
from devices import DeadChannels, FunctionDevice, Noisy


def test_label_that_moves_the_answers_less_than_the_noise():
    wires = np.random.default_rng(0).normal(size=(8, 30))
    # Labels reach the answers one tenth as strongly as the other inputs.
    box = FunctionDevice(lambda u: (u * np.r_[[0.1] * 3, [1.0] * 5]) @ wires, 8, 30)
    procedure = LabelSensitivity(labels=3, rows=300)
    with Noisy(box, 0.3) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 1800
    label = 0.01 * np.var(wires[:3], axis=0).sum()
    assert found.label_to_noise_db == pytest.approx(10 * np.log10(label / (30 * 0.09)), abs=1.5)
    assert found.label_share == pytest.approx(
        label / (label + (wires[3:] ** 2).sum() / 12), rel=0.3
    )
    # A linear device adds the label, whatever row it is laid over.
    assert found.interaction_share < 0.1


def test_label_on_a_device_that_mixes_it_with_the_row_or_loses_it():
    mixing = FunctionDevice(lambda u: (u[:, :2] @ [[1.0], [-1.0]]) * (u[:, 2:3] - 0.5), 3, 1)
    with mixing as device:
        assert LabelSensitivity(labels=2).run(device).interaction_share > 0.9
    with DeadChannels(FunctionDevice(lambda u: u, 4, 4), inputs=[0, 1]) as device:
        lost = LabelSensitivity(labels=2).run(device)
    assert lost.label_share == 0
    with mixing as device, pytest.raises(ValueError, match=r"labels=10 .* from 2 to 3"):
        LabelSensitivity().run(device)
