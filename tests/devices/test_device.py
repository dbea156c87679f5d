"""The contract: what every device does for its user, seen from outside and from the hooks."""

import copy
import pickle
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from device_spy import Spy, TwoStepSpy, dies_at, fails
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from devices import (
    PURPOSES,
    Averaged,
    Cached,
    Device,
    DeviceError,
    DeviceSpec,
    Drifting,
    Flag,
    FunctionDevice,
    InstrumentError,
    LimitError,
    LinkDown,
    Noisy,
    Quantised,
    Recorded,
    ReplyTimeout,
    Saturating,
    Wrapper,
)

# -- nothing illegal is driven ---------------------------------------------------------------------


class Amplifier(Wrapper):
    """A wrapper that breaks the limits of what it wraps."""

    def _drives(self, drives):
        return 3 * drives


STACKS = {
    "bare": lambda spy: spy,
    "averaged": lambda spy: Averaged(spy, 2),
    "noisy": lambda spy: Noisy(spy, 0.1),
    "quantised": lambda spy: Quantised(spy, 3),
    "cached": lambda spy: Cached(spy, PURPOSES),
    "amplifier": Amplifier,
    "deep": lambda spy: Cached(Averaged(Quantised(Drifting(Amplifier(spy), 0.1), 5), 2), PURPOSES),
}
DOMAINS = {
    "amplitude": lambda rows: ((rows >= -1) & (rows <= 1)).all(),
    "codes": lambda rows: np.isin(rows, (-1, 0, 1)).all(),
    "bits": lambda rows: np.isin(rows, (-1, 1)).all(),
}


@settings(max_examples=150, deadline=None)
@given(
    drives=hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 4), st.sampled_from((2, 2, 2, 1, 3))),
        elements=st.sampled_from((-1.0, 0.0, 1.0, 0.2, 0.3, -0.0, 1.0000000000000002, -7.0))
        | st.floats(-2, 2)
        | st.floats(),
    ),
    stack=st.sampled_from(sorted(STACKS)),
    domain=st.sampled_from(sorted(DOMAINS)),
    averages=st.integers(1, 3),
    two_steps=st.booleans(),
)
def test_no_illegal_drive_ever_reaches_a_hook(drives, stack, domain, averages, two_steps):
    spy = (TwoStepSpy if two_steps else Spy)(low=-1, high=1, domain=domain)
    with STACKS[stack](spy) as device:
        try:
            answer = device.measure(drives, averages=averages)
        except LimitError:
            assert len(spy.rows) == 0
            assert "measure" not in spy.calls
            assert "drive" not in spy.calls
        else:
            assert answer.shape == drives.shape
            assert DOMAINS[domain](drives)
    assert DOMAINS[domain](spy.rows)
    if two_steps:
        assert all(DOMAINS[domain](rows) for rows in spy.driven)


def test_legal_rows_arrive_as_they_are():
    drives = np.linspace(0, 1, 8).reshape(4, 2)
    with Spy() as spy:
        answer = spy.measure(drives.astype(np.float32).tolist())
    np.testing.assert_array_equal(spy.rows, drives.astype(np.float32))
    np.testing.assert_allclose(answer, spy.respond(drives), rtol=1e-6)


def test_one_bad_row_stops_the_whole_call():
    with Spy() as spy, pytest.raises(LimitError, match=r"spy: drive 5 at row 2, input 1") as caught:
        spy.measure([[0, 0], [1, 1], [0, 5]])
    assert len(spy.rows) == 0
    assert caught.value.failed_row == 2


def test_an_empty_batch_has_an_empty_answer():
    with Spy(n_outputs=3) as spy:
        for averages in (1, 4):
            assert spy.measure(np.empty((0, 2)), averages=averages).shape == (0, 3)
    assert spy.ledger.total == 0


@pytest.mark.parametrize("arguments", [{"purpose": "fun"}, {"averages": 0}, {"averages": 1.5}])
def test_bad_arguments_are_named_and_nothing_is_driven(arguments):
    (name,) = arguments
    with Spy() as spy, pytest.raises(ValueError, match=f"{name}="):
        spy.measure([[0, 0]], **arguments)
    assert len(spy.rows) == 0


def test_a_hook_that_works_in_place_spoils_neither_the_caller_nor_a_second_try():
    driven = []

    def script(spy, drives):
        driven.append(drives.copy())
        drives *= 10
        if len(driven) == 1:
            raise ReplyTimeout("late")

    mine = np.array([[0.5, 0.5]])
    with Spy(attempts=2, script=script) as spy:
        spy.measure(mine)
    np.testing.assert_array_equal(driven, [[[0.5, 0.5]], [[0.5, 0.5]]])
    np.testing.assert_array_equal(mine, [[0.5, 0.5]])


# -- life cycle ------------------------------------------------------------------------------------


def test_a_closed_device_refuses_and_says_how_to_open_it():
    spy = Spy()
    with pytest.raises(DeviceError, match=r"spy is not open.*with device:.*device\.open\(\)"):
        spy.measure([[0, 0]])
    with spy:
        pass
    with pytest.raises(DeviceError, match="not open"):
        spy.measure([[0, 0]])
    assert spy.calls == ["open", "safe", "close"]


def test_opening_and_closing_twice_does_it_once():
    spy = Spy()
    assert spy.open() is spy
    spy.open()
    assert spy.is_open
    spy.close()
    spy.close()
    assert not spy.is_open
    assert spy.calls == ["open", "safe", "close"]
    with spy:
        assert spy.is_open
    assert spy.calls == ["open", "safe", "close"] * 2


def test_constructors_do_no_io():
    assert Spy().calls == []
    assert Noisy(spy := Spy(), 0.1).is_open is False
    assert spy.calls == []


@pytest.mark.parametrize("wrap", [lambda spy: spy, lambda spy: Cached(Noisy(spy, 0.1))])
def test_the_context_manager_makes_safe_and_then_closes_on_an_exception_too(wrap):
    spy = Spy()
    with pytest.raises(ZeroDivisionError), wrap(spy):
        _ = 1 / 0
    assert spy.calls[0] == "open"
    assert spy.calls[1] == "safe"
    assert spy.calls[-1] == "close"
    assert not spy.is_open


def test_a_failed_open_leaves_the_device_closed():
    class Absent(Spy):
        def _open(self):
            raise LinkDown("nobody answers")

    device = Absent()
    with pytest.raises(LinkDown), device:
        pass
    assert not device.is_open
    assert device.calls == []


def test_safe_and_reset_reach_the_innermost_device():
    spy = Spy()
    device = Averaged(Noisy(spy, 0.1), 2)
    device.safe()
    assert spy.calls == []  # nothing is on before it is open
    with device:
        device.safe()
        assert device.is_open
        device.reset()
        assert spy.calls == ["open", "safe", "reset"]


class DeadLink(Spy):
    """Neither measures nor switches off."""

    def _safe(self):
        super()._safe()
        raise OSError("safe: broken pipe")


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (InstrumentError(-113, "header"), InstrumentError),
        (OSError("cable"), DeviceError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(1), SystemExit),
    ],
)
@pytest.mark.parametrize("two_steps", [False, True])
def test_outputs_go_off_when_a_measurement_fails(raised, seen, two_steps):
    spy = (TwoStepSpy if two_steps else Spy)(script=fails(raised))
    spy.open()
    with pytest.raises(seen):
        spy.measure([[0, 0]])
    assert spy.calls[-1] == "safe"
    assert spy.is_open
    spy.measure([[0, 0]])  # and it can be used again
    spy.close()


@pytest.mark.parametrize("raised", [LinkDown("link lost"), KeyboardInterrupt("ctrl-c")])
def test_a_failing_safe_masks_neither_the_error_nor_its_rows(raised):
    with pytest.raises(type(raised)) as caught, DeadLink(script=fails(raised)) as device:
        device.measure([[0, 0]])
    assert caught.value is raised
    notes = "\n".join(raised.__notes__)
    assert "switching the outputs off failed too: safe: broken pipe" in notes
    assert "closing failed too: safe: broken pipe" in notes
    assert device.calls[-1] == "close"
    if isinstance(raised, DeviceError):
        assert raised.failed_row == 0


def test_a_failing_safe_is_raised_where_nothing_else_went_wrong_and_the_link_is_closed():
    device = DeadLink()
    with pytest.raises(OSError, match="broken pipe"), device:
        pass
    assert device.calls == ["open", "safe", "close"]
    assert not device.is_open


def test_devices_left_open_are_made_safe_at_exit_the_last_one_first(tmp_path):
    script = textwrap.dedent(
        """
        from devices import FunctionDevice
        kept = [
            FunctionDevice(lambda x: x, 1, 1, safe=lambda i=i: print("off", i)) for i in range(6)
        ]
        for device in kept:
            device.open()
        kept[2].close()
        raise RuntimeError("the script dies")
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stdout.split("\n")[:6] == ["off 2", "off 5", "off 4", "off 3", "off 1", "off 0"]


def test_overriding_what_belongs_to_the_contract_is_an_error_at_once():
    for name in ("measure", "acquire", "open", "close", "safe", "reset", "__enter__", "__exit__"):
        with pytest.raises(TypeError, match=rf"Mine overrides {name}\(\).*_measure"):
            type("Mine", (Device,), {name: lambda self: None})
    with pytest.raises(TypeError, match="overrides measure"):
        type("Mine", (Wrapper,), {"measure": lambda self: None})


def test_a_driver_without_measure_cannot_be_made():
    with pytest.raises(TypeError, match="_measure"):
        type("Empty", (Device,), {})()


# -- batches, settling, averages -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_batch", "sizes"), [(None, [7]), (1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (50, [7])]
)
def test_batches_are_split(max_batch, sizes):
    drives = np.linspace(0, 1, 14).reshape(7, 2)
    with Spy(max_batch=max_batch) as spy:
        answer = spy.measure(drives)
    assert [len(batch) for batch in spy.batches] == sizes
    np.testing.assert_array_equal(spy.rows, drives)
    np.testing.assert_array_equal(answer, spy.respond(drives))


def test_each_row_is_driven_then_settles_then_is_measured(monkeypatch):
    spy = TwoStepSpy(settle_s=0.25, max_batch=50)
    monkeypatch.setattr(time, "sleep", lambda s: spy.calls.append(f"sleep {s:g}"))
    with spy:
        spy.measure([[0, 0.5], [1, 0.25], [0, 0]])
    assert spy.calls[1:-2] == ["drive", "sleep 0.25", "measure"] * 3
    np.testing.assert_array_equal(np.concatenate(spy.driven), spy.rows)
    assert all(len(rows) == 1 for rows in spy.driven)


def test_a_second_try_drives_and_settles_again(monkeypatch):
    spy = TwoStepSpy(settle_s=0.25, attempts=2, script=fails(ReplyTimeout("late")))
    monkeypatch.setattr(time, "sleep", lambda s: spy.calls.append("sleep"))
    with spy:
        spy.measure([[0, 0.5]])
    assert spy.calls[1:-2] == ["drive", "sleep", "measure"] * 2


def test_a_settling_time_without_a_moment_to_wait_is_an_error():
    with (
        Spy(settle_s=0.1) as spy,
        pytest.raises(TypeError, match=r"settle_s=0.1 needs.*_drive\(\)"),
    ):
        spy.measure([[0, 0]])
    assert len(spy.rows) == 0


def test_settling_takes_its_time_and_is_counted():
    with TwoStepSpy(settle_s=0.01, watts=2.0) as spy:
        result = spy.acquire(np.zeros((3, 2)), purpose="control")
    assert result.duration_s >= 0.03
    assert spy.ledger.seconds["control"] == pytest.approx(result.duration_s)
    assert spy.ledger.joules == pytest.approx(2 * result.duration_s)


def test_averages_drive_each_row_n_times_and_answer_with_the_mean():
    def counting(spy, drives):
        start = len(spy.rows) - len(drives)
        return np.repeat(np.arange(start, start + len(drives), dtype=float)[:, None], 2, axis=1)

    with Spy(script=counting, max_batch=2) as spy:
        result = spy.acquire([[0, 0], [1, 1]], averages=3, purpose="test")
    np.testing.assert_array_equal(spy.rows[:, 0], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(result.outputs, [[1, 1], [4, 4]])
    np.testing.assert_array_equal(result.attempts, [1, 1])  # none was in vain
    assert spy.ledger.queries == {"test": 6}


# -- retries ---------------------------------------------------------------------------------------


def test_a_transient_failure_is_tried_again_one_row_at_a_time():
    script = fails(None, ReplyTimeout("a"), ReplyTimeout("b"))
    drives = np.arange(6)[:, None] / 10
    with Spy(1, 1, attempts=3, max_batch=2, script=script) as spy:
        result = spy.acquire(drives, purpose="train")
    assert [len(batch) for batch in spy.batches] == [2, 2, 1, 1, 2, 1]
    np.testing.assert_array_equal(result.outputs, drives)
    np.testing.assert_array_equal(result.attempts, [1, 1, 3, 1, 1, 1])
    np.testing.assert_array_equal(result.flags, [0, 0, Flag.RETRIED, 0, 0, 0])
    assert spy.ledger.queries == {"train": 6}
    assert spy.ledger.retries == 2


def test_attempts_are_bounded_and_belong_to_one_row():
    drives = np.arange(4)[:, None] / 10
    script = dies_at(0.2, lambda rows: LinkDown("gone", rows=rows))
    with Spy(1, 1, attempts=3, script=script) as spy, pytest.raises(LinkDown) as caught:
        spy.measure(drives, purpose="train")
    assert (spy.rows == 0.2).sum() == 3
    assert (spy.rows == 0.0).sum() == 1
    np.testing.assert_array_equal(caught.value.rows, drives[:2])
    assert caught.value.failed_row == 2
    assert spy.ledger.retries == 2
    assert spy.ledger.queries == {"train": 2}


def test_each_row_has_its_own_attempts():
    error = ReplyTimeout("late")
    with Spy(1, 1, max_batch=1, attempts=2, script=fails(error, None, error, None)) as spy:
        result = spy.acquire([[0.1], [0.2], [0.3]])
    np.testing.assert_array_equal(result.attempts, [2, 2, 1])
    np.testing.assert_array_equal(result.outputs, [[0.1], [0.2], [0.3]])


@pytest.mark.parametrize("error", [InstrumentError(-1, "no"), DeviceError("no"), OSError("no")])
def test_what_is_not_transient_is_not_tried_again(error):
    with Spy(attempts=5, script=fails(error)) as spy, pytest.raises(DeviceError):
        spy.measure([[0, 0]])
    assert len(spy.rows) == 1
    assert spy.ledger.retries == 0


def test_rows_a_driver_saved_are_not_driven_twice():
    script = fails(ReplyTimeout("late", rows=[[0.1], [0.2]]))
    with Spy(1, 1, attempts=2, script=script) as spy:
        result = spy.acquire([[0.1], [0.2], [0.3], [0.4]])
    np.testing.assert_allclose(spy.rows[4:, 0], [0.3, 0.4])
    np.testing.assert_allclose(result.outputs[:, 0], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(result.attempts, [1, 1, 2, 1])


@pytest.mark.parametrize(
    "rows",
    [
        [[0.1], [np.nan]],  # not measured after all
        [[0.1]],
        [[0.1], [0.2], [0.3]],  # all of them: yet something failed
    ],
)
@pytest.mark.parametrize("attempts", [1, 2])
def test_rows_a_driver_saved_are_believed_only_as_far_as_they_go(rows, attempts):
    script = fails(ReplyTimeout("late", rows=rows))
    drives = [[0.1], [0.2], [0.3]]
    with Spy(1, 1, attempts=attempts, script=script) as spy:
        if attempts == 2:
            np.testing.assert_allclose(spy.measure(drives), drives)
        else:
            with pytest.raises(ReplyTimeout) as caught:
                spy.measure(drives)
            assert caught.value.failed_row == len(caught.value.rows) < 3
            assert np.isfinite(caught.value.rows).all()


@pytest.mark.parametrize("rows", [np.zeros((1, 7)), np.zeros(2), np.zeros((9, 1)), [[1j]]])
def test_rows_that_are_no_answers_are_dropped_and_do_not_hide_the_error(rows):
    script = fails(LinkDown("the real reason", rows=rows))
    with Spy(1, 1, script=script) as spy, pytest.raises(LinkDown, match="real reason") as caught:
        spy.measure([[0.1], [0.2]])
    assert caught.value.rows.shape == (0, 1)
    assert "dropped" in caught.value.__notes__[0]


# -- failures and what is saved of them ------------------------------------------------------------

WRAPS = {
    "bare": lambda d, tmp: d,
    "noisy": lambda d, tmp: Noisy(d, 1e-9, 1e-9),
    "averaged": lambda d, tmp: Averaged(d, 2),
    "averaged-noisy": lambda d, tmp: Averaged(Noisy(d, 1e-9), 3),
    "cached": lambda d, tmp: Cached(d),
    "cached-averaged": lambda d, tmp: Cached(Averaged(d, 2)),
    "recorded": lambda d, tmp: Recorded(d, tmp / "a.h5"),
    "deep": lambda d, tmp: Recorded(Cached(Drifting(Averaged(d, 2), 1e-9)), tmp / "a.h5"),
}


@pytest.mark.parametrize("wrap", sorted(WRAPS))
@pytest.mark.parametrize("averages", [1, 2])
@pytest.mark.parametrize("max_batch", [1, 2, None])
@pytest.mark.parametrize("dead_row", [0, 3, 4])
def test_the_rows_before_a_failure_come_with_the_error(
    wrap, averages, max_batch, dead_row, tmp_path
):
    drives = np.array([[0.1], [0.2], [0.3], [0.4], [0.5]])
    script = dies_at(drives[dead_row, 0], lambda rows: LinkDown("power cut", rows=rows))
    spy = Spy(1, 2, max_batch=max_batch, script=script)
    device = WRAPS[wrap](spy, tmp_path)
    with device, pytest.raises(LinkDown, match="power cut") as caught:
        device.measure(drives, purpose="train", averages=averages)
    assert caught.value.failed_row == dead_row
    assert caught.value.rows.shape == (dead_row, 2)
    np.testing.assert_allclose(caught.value.rows, spy.respond(drives[:dead_row]), atol=1e-6)
    assert f"row {dead_row} failed" in str(caught.value)
    assert "safe" in spy.calls


def test_without_help_from_the_driver_whole_batches_are_saved():
    drives = np.arange(6)[:, None] / 10
    script = dies_at(0.5, lambda rows: LinkDown("power cut"))
    with Spy(1, 1, max_batch=4, script=script) as spy, pytest.raises(LinkDown) as caught:
        spy.measure(drives)
    assert caught.value.failed_row == 4
    np.testing.assert_array_equal(caught.value.rows, drives[:4])
    assert spy.ledger.total == 4


def test_a_wrapper_that_drives_too_far_names_the_row_of_the_call():
    with Averaged(Amplifier(Spy()), 4) as device, pytest.raises(LimitError) as caught:
        device.measure([[0, 0], [0.5, 0]])
    assert caught.value.failed_row == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.array([[1, 2], [np.nan, 1]]), "the answer in output 0 is nan, not a finite number"),
        (np.array([[1, 2], [1, np.inf]]), "the answer in output 1 is inf"),
        (np.zeros((2, 3)), r"the answer has shape \(2, 3\), expected \(2, 2\)"),
        (np.zeros(2), r"the answer has shape \(2,\), expected \(2, 2\)"),
        (np.zeros((2, 2), complex), "the answer is complex128, expected float64"),
        (np.full((2, 2), "1.0"), "the answer is <U3, expected float64"),
        ([[1, 2], [3]], "measuring failed with ValueError"),
    ],
)
def test_a_bad_answer_is_an_error_with_the_device_in_it(answer, message):
    script = lambda spy, drives: answer  # noqa: E731
    with Spy(script=script) as spy, pytest.raises(DeviceError, match=f"spy: {message}") as caught:
        spy.measure(np.zeros((2, 2)))
    assert spy.calls.count("measure") == 1
    rows = 1 if "finite" in message or "inf" in message else 0
    assert caught.value.failed_row == len(caught.value.rows) == rows
    assert spy.ledger.total == rows


def test_an_answer_too_large_for_its_type_is_no_answer():
    script = lambda spy, drives: np.array([[1.0, 1e300]])  # noqa: E731
    with (
        Spy(script=script, output_dtype="float32") as spy,
        pytest.raises(DeviceError, match="output 1 is inf"),
    ):
        spy.measure([[0, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_answers_have_the_promised_type(dtype):
    script = lambda spy, drives: np.tile([1, 2], (len(drives), 1))  # noqa: E731
    with Spy(script=script, output_dtype=dtype) as spy:
        for averages in (1, 2):
            answer = spy.measure([[0, 0]], averages=averages)
            assert answer.dtype == dtype
            np.testing.assert_array_equal(answer, [[1, 2]])


def test_foreign_exceptions_are_wrapped_with_their_cause():
    cause = ZeroDivisionError("gain")
    with (
        Spy(script=fails(cause)) as spy,
        pytest.raises(
            DeviceError, match="spy: measuring failed with ZeroDivisionError: gain"
        ) as caught,
    ):
        spy.measure([[0, 0]])
    assert caught.value.__cause__ is cause


# -- counting --------------------------------------------------------------------------------------


def test_queries_are_counted_under_their_purpose():
    with Spy() as spy:
        for n, purpose in enumerate(PURPOSES, start=1):
            spy.measure(np.zeros((n, 2)), purpose=purpose)
        spy.measure([[0, 0]])
    assert spy.ledger.queries == {p: n for n, p in enumerate(PURPOSES, start=1)} | {"probe": 5}
    assert set(spy.ledger.seconds) == set(PURPOSES)


def test_failed_time_is_time_and_energy_too():
    def script(spy, drives):
        time.sleep(0.01)
        raise LinkDown("gone")

    with Spy(script=script, watts=3.0) as spy, pytest.raises(LinkDown):
        spy.measure([[0, 0]], purpose="train")
    assert spy.ledger.seconds["train"] >= 0.01
    assert spy.ledger.joules == pytest.approx(3 * spy.ledger.seconds["train"])
    assert spy.ledger.total == 0


def test_no_joules_where_the_power_is_not_known():
    with Spy() as spy:
        spy.measure([[0, 0]])
    assert spy.ledger.joules == 0


def test_what_was_measured_before_ctrl_c_is_counted():
    with (
        Spy(max_batch=2, script=fails(KeyboardInterrupt(), from_call=2)) as spy,
        pytest.raises(KeyboardInterrupt),
    ):
        spy.measure(np.zeros((6, 2)), purpose="train")
    assert spy.ledger.queries == {"train": 4}


def test_saturated_rows_are_flagged():
    with Spy(saturation=1.5, output_dtype="complex128") as spy:
        result = spy.acquire([[0.2, 0.2], [0.75, 0], [1, 1]])  # answers: sum and twice the sum
    np.testing.assert_array_equal(result.flags, [0, Flag.SATURATED, Flag.SATURATED])
    with Spy(saturation=1.5) as spy:
        mean = spy.acquire([[0.2, 0.2], [1, 1]], averages=2)
    np.testing.assert_array_equal(mean.flags, [0, Flag.SATURATED])
    assert spy.ledger.flags["saturated"] == 2


def test_the_measurement_says_where_it_is_from():
    class Surface(Spy):
        state_id = "bits-0f"

    with Surface() as spy:
        before = time.time()
        result = spy.acquire([[0, 0]], purpose="calibration")
    assert (result.device, result.purpose, result.state_id) == ("spy", "calibration", "bits-0f")
    assert before - 1 <= result.time_s <= time.time() + 1
    assert result.flags.dtype == np.uint8


# -- threads ---------------------------------------------------------------------------------------


class OneBuffer(Device):
    """An instrument with one buffer: a second caller in between would read the first's row."""

    def __init__(self, two_steps=False):
        self.spec = DeviceSpec(name="one-buffer", n_inputs=1, n_outputs=1)

    def _drive(self, drives):
        self.buffer = drives.copy()

    def _measure(self, drives):
        time.sleep(0.0005)
        return self.buffer


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: Cached(Averaged(d, 2), PURPOSES)])
def test_two_threads_never_swap_answers(wrap):
    wrong = []
    with wrap(OneBuffer()) as device:

        def work(offset):
            for i in range(15):
                drives = np.array([[offset + i / 100], [offset + i / 200]])
                if not np.array_equal(device.measure(drives), drives):
                    wrong.append(drives)

        threads = [threading.Thread(target=work, args=(o,)) for o in (0.0, 0.3, 0.6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_nothing_is_driven_by_a_thread_that_waited_while_the_device_was_closed():
    waiting, outcome = threading.Event(), []

    def late():
        waiting.set()
        try:
            device.measure([[0.5, 0.5]])
        except DeviceError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=late)

    def script(spy, drives):
        thread.start()
        waiting.wait()
        time.sleep(0.05)  # the other thread waits for its turn by now
        spy.close()

    device = Spy(script=script).open()
    device.measure([[0, 0]])
    thread.join()
    assert device.calls == ["open", "measure", "safe", "close"]
    assert outcome
    assert "not open" in outcome[0]


# -- copies ----------------------------------------------------------------------------------------

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda d: pickle.loads(pickle.dumps(d)),
}


@pytest.mark.parametrize("how", sorted(COPIES))
@pytest.mark.parametrize(
    "make",
    [
        lambda: Spy(3, 2, low=(0, 0, -1)),
        lambda: Averaged(Noisy(Spy(3, 2, low=(0, 0, -1)), 0.1, seed=4), n=2),
        lambda: Cached(device=Spy(3, 2, low=(0, 0, -1)), max_rows=7),
    ],
)
def test_a_copy_is_made_by_recipe_closed_and_with_a_fresh_ledger(how, make):
    def innermost(device):
        return innermost(device.inner) if isinstance(device, Wrapper) else device

    with make() as device:
        innermost(device).handle = object()
        device.measure([[0, 0, 0]])
        twin = COPIES[how](device)
        assert repr(twin) == repr(device)
        assert twin.spec == device.spec
        assert not twin.is_open
        assert not innermost(twin).is_open
        assert innermost(twin) is not innermost(device)
        assert not hasattr(innermost(twin), "handle")
        assert twin.ledger.total == 0
        with twin:
            assert twin.measure([[0, 0, 0]]).shape == (1, 2)
        assert device.is_open
        assert innermost(device).is_open
        assert device.ledger.total in (1, 2)


def test_a_seeded_copy_draws_the_same_noise():
    with Noisy(Spy(), 0.5, seed=9) as device:
        first = device.measure([[0, 0]])
        with copy.deepcopy(device) as twin:
            np.testing.assert_array_equal(twin.measure([[0, 0]]), first)


def test_repr_and_recipe_show_the_arguments():
    device = Noisy(Spy(2, 3), 0.5, seed=4)
    assert repr(device) == "Noisy(device=Spy(n_inputs=2, n_outputs=3), additive=0.5, seed=4)"
    recipe = device.recipe()
    assert recipe["class"] == "devices.imperfections.Noisy"
    assert recipe["multiplicative"] == 0.0
    assert repr(Spy(high=2)) == "Spy(high=2)"
    assert Spy(high=2).recipe()["high"] == 2
    long = FunctionDevice(np.tanh, 10_000, 1, low=np.zeros(10_000), high=[1] * 10_000)
    assert "<float64 array (10000,)>" in repr(long)
    assert len(repr(long)) < 1000


# -- memory ----------------------------------------------------------------------------------------


class Integrator(Spy):
    """Answers with the sum of all it was ever driven with."""

    def __init__(self, **spec):
        super().__init__(1, 1, memory=True, **spec)
        self.sum = 0.0

    def _reset(self):
        self.sum = 0.0

    def respond(self, drives):
        answers = self.sum + np.cumsum(drives, axis=0)
        self.sum = answers[-1, 0]
        return answers


def test_a_device_with_memory_remembers_until_reset():
    with Noisy(Integrator(), ideal=True) as device:
        np.testing.assert_array_equal(device.measure([[0.5], [0.25]]), [[0.5], [0.75]])
        np.testing.assert_array_equal(device.measure([[0.25]]), [[1.0]])
        device.reset()
        np.testing.assert_array_equal(device.measure([[0.25]]), [[0.25]])


def test_a_device_with_memory_refuses_repeats_caches_and_retries():
    with Integrator() as device:
        with pytest.raises(ValueError, match=r"spy has memory.*averages=1"):
            device.measure([[0.5]], averages=2)
        with Averaged(device, 2) as mean, pytest.raises(ValueError, match="has memory"):
            mean.measure([[0.5]])
    assert len(device.rows) == 0
    with pytest.raises(ValueError, match="spy has memory"):
        Cached(Integrator())
    with pytest.raises(ValueError, match="cannot be tried again"):
        Integrator(attempts=2)


# -- every wrapper of the package keeps the contract -----------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda d: Averaged(d, 1),
        lambda d: Cached(d, PURPOSES),
        lambda d: Noisy(d, 0.1),
        lambda d: Quantised(d, 4, 4, 10.0),
        lambda d: Saturating(d, 1.0),
        lambda d: Drifting(d, 0.1),
    ],
)
def test_retries_and_flags_pass_through_wrappers(wrap):
    script = fails(ReplyTimeout("late"))
    with wrap(Spy(attempts=2, saturation=1.9, script=script)) as device:
        result = device.acquire([[0, 0], [1, 0]])
    np.testing.assert_array_equal(result.attempts, [2, 1])
    np.testing.assert_array_equal(result.flags, [Flag.RETRIED, Flag.SATURATED])
    assert result.device == "spy"
    assert device.ledger.retries == 1
    assert device.ledger.flags == {"saturated": 1, "retried": 1, "clipped": 0, "resynced": 0}
