import copy
import pickle

import numpy as np
import pytest

from devices import Cached, DeviceSpec, LimitError, Programmable


class Gain(Programmable):
    def __init__(self, n):
        self.spec = DeviceSpec(name="gain", n_inputs=n, n_outputs=n)
        self._start_parameters(-1.0, 2.0, np.ones(n))
        self.gain = self.parameters

    def _program(self, values):
        self.gain = values

    def _measure(self, drives):
        return drives * self.gain


def test_parameters_change_the_law_and_the_identity_of_the_state():
    with Gain(2) as device:
        before = device.state_id
        device.program([2.0, -1.0])
        assert device.measure([[0.5, 0.5]]).tolist() == [[1.0, -0.5]]
        assert device.state_id != before
        assert device.acquire([[0.5, 0.5]]).state_id == device.state_id
        device.program([1.0, 1.0])
        assert device.state_id == before


@pytest.mark.parametrize("values", [[3.0, 0.0], [0.0, -1.1], [np.nan, 0.0], [0.0], 1.0])
def test_illegal_parameters_change_nothing(values):
    device = Gain(2)
    device.program([0.5, 0.5])
    with pytest.raises(LimitError, match="gain"):
        device.program(values)
    assert device.parameters.tolist() == [0.5, 0.5]
    assert device.gain.tolist() == [0.5, 0.5]


def test_the_message_names_parameter_value_and_limits():
    with pytest.raises(LimitError, match=r"parameter 1 = 3 is outside \[-1, 2\]"):
        Gain(2).program([0.0, 3.0])


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))]
)
def test_copies_keep_the_parameters_and_live_on_their_own(duplicate):
    device = Gain(2)
    device.program([0.5, 2.0])
    other = duplicate(device)
    assert other.parameters.tolist() == [0.5, 2.0]
    other.program([1.0, 1.0])
    assert device.parameters.tolist() == [0.5, 2.0]


def test_what_is_handed_out_is_a_copy():
    device = Gain(1)
    device.parameters[0] = 99.0
    assert device.parameters.tolist() == [1.0]


def test_a_cache_knows_the_states_apart():
    inner = Gain(1)
    with Cached(inner) as device:
        for gain, expected in ((1.0, 0.5), (2.0, 1.0), (1.0, 0.5)):
            inner.program([gain])
            assert device.measure([[0.5]], purpose="train").tolist() == [[expected]]
        assert device.ledger.queries["train"] == 2
