"""Measure once: what may come from memory and what may not."""

import numpy as np
import pytest
from device_spy import Spy, dies_at, fails
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import (
    PURPOSES,
    Averaged,
    Cached,
    Flag,
    FunctionDevice,
    LinkDown,
    Noisy,
    ReplyTimeout,
)


class Programmable(Spy):
    """Its gain is a programmable parameter."""

    def __init__(self):
        super().__init__(1, 1)
        self.gain = 1.0

    @property
    def state_id(self):
        return f"gain={self.gain}"

    def respond(self, drives):
        return self.gain * drives


def test_a_row_seen_before_costs_no_query():
    with Cached(Spy(saturation=3)) as device:
        first = device.acquire([[0, 0.5], [1, 1]], purpose="train")
        again = device.acquire([[1, 1], [0.25, 0], [0, 0.5]], purpose="train")
    assert device.ledger.queries == {"train": 3}
    np.testing.assert_array_equal(first.flags, [0, Flag.SATURATED])
    np.testing.assert_array_equal(first.attempts, [1, 1])
    np.testing.assert_array_equal(again.outputs, [[2, 4], [0.25, 0.5], [0.5, 1]])
    np.testing.assert_array_equal(again.flags, [Flag.CACHED | Flag.SATURATED, 0, Flag.CACHED])
    np.testing.assert_array_equal(again.attempts, [0, 1, 0])
    assert device.ledger.flags["saturated"] == 1  # driven once


@pytest.mark.parametrize("inner", [lambda d: d, lambda d: Averaged(d, 3)])
def test_a_call_served_from_memory_alone_drives_nothing(inner):
    with Cached(inner(spy := Spy())) as device:
        device.measure([[0, 0.5], [1, 1]], purpose="train")
        spent, calls = device.ledger.total, len(spy.batches)
        result = device.acquire([[1, 1]], purpose="train")
    np.testing.assert_array_equal(result.outputs, [[2, 4]])
    assert (device.ledger.total, len(spy.batches)) == (spent, calls)


def test_equal_rows_in_one_call_are_measured_once_the_first_being_the_fresh_one():
    with Cached(Spy()) as device:
        result = device.acquire([[1, 0], [0, 1], [1, 0], [1, 0]], purpose="train")
    np.testing.assert_array_equal(device.inner.rows, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(result.flags, [0, 0, Flag.CACHED, Flag.CACHED])
    np.testing.assert_array_equal(result.attempts, [1, 1, 0, 0])


def test_rows_for_judging_are_always_measured_afresh_and_not_kept():
    with Cached(Noisy(Spy(), 0.1)) as device:
        kept = device.measure([[0, 0]], purpose="train")
        for purpose in set(PURPOSES) - {"train"}:
            first = device.acquire([[0, 0], [0, 0]], purpose=purpose)
            assert device.ledger.queries[purpose] == 2
            assert not first.flags.any()
            assert not (first.outputs == kept).any()
        device.measure([[0.5, 0.5]], purpose="test")
        device.measure([[0.5, 0.5]], purpose="train")
        assert device.ledger.queries["train"] == 2
        np.testing.assert_array_equal(device.measure([[0, 0]], purpose="train"), kept)


def test_purposes_may_be_chosen():
    with Cached(Spy(), purposes=("control",)) as device:
        for purpose in ("train", "control"):
            for _ in range(3):
                device.measure([[0, 0]], purpose=purpose)
    assert device.ledger.queries == {"train": 3, "control": 1}


def test_another_state_is_another_answer():
    spy = Programmable()
    with Cached(Averaged(spy, 1)) as device:
        answers = []
        for gain in (1.0, 2.0, 1.0, 2.0):
            spy.gain = gain
            answers.append(device.measure([[0.5]], purpose="train")[0, 0])
    assert answers == [0.5, 1.0, 0.5, 1.0]
    assert spy.ledger.total == 2


def test_both_zeros_are_one_row_and_close_rows_are_two():
    with Cached(Spy(1, 1, low=-1)) as device:
        device.measure([[0.0], [-0.0], [5e-324], [np.nextafter(0.5, 1)], [0.5]], purpose="train")
        device.measure([[-0.0]], purpose="train")
    assert device.ledger.total == 4


def test_the_row_used_longest_ago_is_forgotten():
    with Cached(Spy(1, 1), max_rows=2) as device:
        for value, total in ((0.1, 1), (0.2, 2), (0.1, 2), (0.3, 3), (0.1, 3), (0.2, 4)):
            device.measure([[value]], purpose="train")
            assert device.ledger.total == total, value


def test_a_call_longer_than_the_memory_is_answered_in_full():
    drives = np.linspace(0, 1, 6)[:, None]
    with Cached(Spy(1, 1), max_rows=2) as device:
        device.measure(drives[[1, 2]], purpose="train")
        np.testing.assert_array_equal(device.measure(drives, purpose="train"), drives)
        assert device.ledger.total == 6
        device.measure(drives[-2:], purpose="train")
        assert device.ledger.total == 6


def test_clear_forgets():
    with Cached(Spy()) as device:
        device.measure([[0, 0]], purpose="train")
        device.clear()
        device.measure([[0, 0]], purpose="train")
    assert device.ledger.total == 2


def test_the_users_copy_is_his_own():
    with Cached(Spy()) as device:
        for _ in range(3):
            answer = device.measure([[1, 1]], purpose="train")
            np.testing.assert_array_equal(answer, [[2, 4]])
            answer *= 0


def test_complex_answers_are_kept():
    with Cached(Spy(script=lambda s, d: d * (1 + 2j), output_dtype="complex128")) as device:
        for _ in range(2):
            answer = device.measure([[1, 0.5]], purpose="train")
            np.testing.assert_array_equal(answer, [[1 + 2j, 0.5 + 1j]])


def test_a_failure_is_told_in_rows_of_the_call():
    script = dies_at(0.4, lambda rows: LinkDown("gone", rows=rows))
    with Cached(spy := Spy(1, 1, script=script)) as device:
        device.measure([[0.1], [0.2]], purpose="train")
        drives = np.array([[0.1], [0.3], [0.3], [0.2], [0.4], [0.5]])
        with pytest.raises(LinkDown) as caught:
            device.measure(drives, purpose="train")
    assert caught.value.failed_row == 4
    np.testing.assert_array_equal(caught.value.rows, drives[:4])
    assert spy.ledger.total == 3


def test_a_failed_row_is_not_in_the_memory():
    with Cached(Spy(script=fails(ReplyTimeout("late")))) as device:
        with pytest.raises(ReplyTimeout):
            device.measure([[0, 0]], purpose="train")
        assert not device.acquire([[0, 0]], purpose="train").flags.any()


@settings(max_examples=40, deadline=None)
@given(
    calls=st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6),
    max_rows=st.integers(1, 8),
)
def test_a_cache_is_never_visible_in_the_answers(calls, max_rows):
    with Cached(spy := Spy(1, 2), max_rows=max_rows) as device:
        for call in calls:
            drives = np.array(call, float).reshape(-1, 1) / 5
            before = spy.ledger.total
            result = device.acquire(drives, purpose="train")
            np.testing.assert_array_equal(result.outputs, spy.respond(drives))
            assert result.attempts.sum() == spy.ledger.total - before <= len(set(call))
            np.testing.assert_array_equal(result.flags == Flag.CACHED, result.attempts == 0)


def test_bad_arguments():
    with pytest.raises(ValueError, match="max_rows=0"):
        Cached(Spy(), max_rows=0)


def test_averages_are_taken_below_the_cache():
    noisy = Noisy(FunctionDevice(lambda u: u, 1, 1), additive=0.1)
    with Cached(noisy) as device:
        once = device.measure([[0.5]], purpose="train", averages=400)
        assert abs(once[0, 0] - 0.5) < 0.03
        assert device.ledger.queries["train"] == 400
        assert device.measure([[0.5]], purpose="train", averages=400) == once
        assert device.ledger.queries["train"] == 400
        assert device.measure([[0.5]], purpose="train") != once
        assert device.ledger.queries["train"] == 401
