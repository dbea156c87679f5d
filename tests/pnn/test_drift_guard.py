"""Looks at probe drives, on a schedule, and what is done about drift."""

import numpy as np
import pytest

from calibration import DriftWatch
from devices import Cached, FunctionDevice, Jumping, Noisy
from pnn.drift_guard import DriftGuard, clear_caches


@pytest.fixture
def jump():
    wires = np.random.default_rng(0).normal(size=(4, 20))
    jumping = Jumping(FunctionDevice(lambda u: u @ wires, 4, 20), after=10**9, gain=0.5)
    with Cached(Noisy(jumping, 0.01)) as device:
        yield device, jumping


def guarded(device, reactions, **options):
    seen = []
    return DriftGuard(DriftWatch(device), reactions, record=seen.append, **options), seen


def test_reactions_are_tried_in_order_until_one_is_enough(jump):
    device, jumping = jump
    tried = []

    def react(name, enough):
        return lambda report: (tried.append(name), enough)[1]

    reactions = {
        "stop": None, "recalibrate": react("recalibrate", True), "retrain": react("retrain", False),
        "refit": react("refit", False),
    }  # fmt: skip
    guard, seen = guarded(device, reactions)
    assert guard.after_epoch(0) is None
    jumping.after = 0
    reaction = guard.after_epoch(1)
    assert tried == list(reaction.tried) == ["refit", "retrain", "recalibrate"]
    assert (reaction.name, reaction.epoch, reaction.stops) == ("recalibrate", 1, False)
    assert reaction.report.relative_change > 0.1
    # From here on the new state is the reference.
    assert guard.after_epoch(2) is None
    assert [entry["drifted"] for entry in seen] == [False, True, False]
    assert seen[1]["reaction"] == "recalibrate"
    assert seen[1]["tried"] == tried


def test_stop_is_the_last_resort_and_makes_the_device_safe():
    off = []
    inner = FunctionDevice(lambda u: u, 3, 3, safe=lambda: off.append(True))
    with Jumping(inner, after=32, gain=0.5) as device:
        guard, _ = guarded(device, {"refit": lambda report: False, "stop": None})
        assert guard.after_epoch(0) is None
        assert not off
        reaction = guard.after_epoch(1)
        assert reaction.stops
        assert reaction.tried == ("refit", "stop")
        assert off


def test_drift_empties_the_cache_and_none_may_be_enough(jump):
    device, jumping = jump
    rows = np.random.default_rng(1).random((5, 4))
    before = device.measure(rows, purpose="train")
    guard, _ = guarded(device, {"refit": lambda report: False})
    jumping.after = 0
    assert (device.measure(rows, purpose="train") == before).all()
    reaction = guard.look()
    assert (reaction.name, reaction.tried) == (None, ("refit",))
    assert np.abs(device.measure(rows, purpose="train") - before).max() > 0.1
    clear_caches(device.inner)  # none there: nothing to do


def test_what_could_not_be_done_leaves_the_reference_as_it_was(jump):
    device, jumping = jump
    guard, seen = guarded(device, {"refit": lambda report: None})
    jumping.after = 0
    assert guard.look().tried == ()
    assert guard.look() is not None
    assert [entry["drifted"] for entry in seen] == [True, True]


def test_the_schedule_in_epochs_and_in_queries(jump):
    device, _ = jump
    guard, seen = guarded(device, {}, every_epochs=3, every_queries=50)
    for epoch in range(5):
        guard.after_epoch(epoch)
    assert [entry["epoch"] for entry in seen] == [2]
    device.measure(np.random.default_rng(0).random((60, 4)))
    guard.after_epoch(6)
    guard.after_epoch(7)
    assert [entry["epoch"] for entry in seen] == [2, 6]


def test_drift_seen_while_measuring_is_dealt_with_after_the_next_epoch(jump):
    device, jumping = jump
    tried = []
    guard, seen = guarded(
        device, {"refit": lambda report: not tried.append(1)}, every_epochs=0, every_queries=20
    )
    assert guard.while_measuring(0) is None
    assert not seen
    jumping.after = 0
    device.measure(np.random.default_rng(0).random((20, 4)))
    assert guard.while_measuring(0) is None
    assert (len(seen), tried) == (1, [])
    assert guard.after_epoch(0).name == "refit"
    assert guard.after_epoch(1) is None
    stopping, _ = guarded(device, {"stop": None}, every_queries=8)
    jumping.after = 10**9
    device.measure(np.random.default_rng(0).random((20, 4)))
    assert stopping.while_measuring(0).stops


def test_settings_that_make_no_sense(jump):
    device, _ = jump
    with pytest.raises(ValueError, match="reactions='pray' is not one of refit, retrain"):
        guarded(device, {"pray": None})
    with pytest.raises(ValueError, match="every_epochs=-1"):
        guarded(device, {}, every_epochs=-1)
    with pytest.raises(ValueError, match="'refit' needs a callable"):
        guarded(device, {"refit": None})
