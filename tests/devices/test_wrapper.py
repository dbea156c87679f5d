"""Wrappers only transform: what they wrap does the settling, retrying and counting."""

import numpy as np
import pytest
from device_spy import Spy, TwoStepSpy, dies_at

from devices import (
    Averaged,
    Cached,
    DeviceError,
    FunctionDevice,
    LinkDown,
    Noisy,
    Quantised,
    Wrapper,
)


class Affine(Wrapper):
    """Halves the drives and adds ten to the answers."""

    def _drives(self, drives):
        return drives / 2

    def _answers(self, answers, drives):
        return answers + 10


def test_drives_go_in_and_answers_come_out_transformed():
    with Affine(Affine(Spy())) as device:
        np.testing.assert_array_equal(device.measure([[1, 0]]), [[20.25, 20.5]])
    np.testing.assert_array_equal(device.inner.inner.rows, [[0.25, 0]])


def test_a_deep_stack_counts_once_at_the_innermost_device():
    spy = TwoStepSpy(settle_s=0.001, watts=1.0)
    device = Noisy(Cached(Averaged(Quantised(Affine(spy), 8), 3)), 0.1)
    with device:
        result = device.acquire(np.zeros((2, 2)), purpose="test")
    assert device.ledger is spy.ledger
    assert spy.ledger.queries == {"test": 6}
    assert spy.calls.count("drive") == spy.calls.count("measure") == 6
    assert spy.ledger.joules == pytest.approx(spy.ledger.seconds["test"])
    assert result.device == "spy"
    assert result.purpose == "test"


def test_the_stack_opens_and_closes_as_one():
    spy = Spy()
    device = Affine(Noisy(spy, 0.1))
    with device:
        assert spy.is_open
    assert not spy.is_open
    assert spy.calls[0] == "open"
    assert spy.calls.count("close") == 1


def test_a_wrapper_whose_inner_device_was_closed_says_which_device():
    with Affine(Spy()) as device:
        device.inner.close()
        with pytest.raises(DeviceError, match="spy is not open"):
            device.measure([[0, 0]])


def test_rows_saved_from_a_failure_are_transformed_as_well():
    script = dies_at(0.25, lambda rows: LinkDown("gone", rows=rows))
    with Affine(Spy(1, 1, script=script)) as device, pytest.raises(LinkDown) as caught:
        device.measure([[0.2], [0.4], [0.5]])
    np.testing.assert_allclose(caught.value.rows, [[10.1], [10.2]])
    assert caught.value.failed_row == 2


def test_state_is_that_of_the_inner_device():
    assert Affine(Spy()).state_id == ""

    class Surface(Spy):
        state_id = "seven"

    assert Affine(Affine(Surface())).state_id == "seven"


def test_the_wrapper_has_the_inner_devices_spec():
    spy = Spy(3, 4, high=2)
    assert Affine(spy).spec is spy.spec


def test_a_wrapper_keeps_the_type_that_its_spec_states():
    single = FunctionDevice(lambda u: u.astype(np.float32), 1, 1, output_dtype="float32")
    with Noisy(single, additive=0.1) as device:
        assert device.measure([[0.5]]).dtype == np.float32
