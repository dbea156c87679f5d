"""Provenance and the count of what was spent."""

import pickle
from dataclasses import replace

import numpy as np

from devices import Flag, Ledger, Measurement


def measurement(rows):
    n = len(rows)
    return Measurement(
        np.asarray(rows, float).reshape(n, 2),
        np.arange(n, dtype=np.uint8),
        np.ones(n, np.int64),
        1.0,
        2.0,
        "train",
        "scope",
    )


def test_averaging_takes_means_and_adds_up_flags_and_tries_in_vain():
    single = measurement([[0, 1], [2, 3], [4, 5], [6, 9]])
    single = replace(single, attempts=np.array([1, 1, 3, 2]))
    mean = single.averaged(2)
    np.testing.assert_array_equal(mean.outputs, [[1, 2], [5, 7]])
    np.testing.assert_array_equal(mean.flags, [0 | 1, 2 | 3])
    np.testing.assert_array_equal(mean.attempts, [1, 4])
    assert (mean.purpose, mean.device, mean.time_s) == ("train", "scope", 1.0)


def test_a_mean_counts_as_from_a_cache_only_if_nothing_was_driven_for_it():
    single = replace(measurement([[0, 1]] * 4), attempts=np.array([0, 0, 0, 2]))
    np.testing.assert_array_equal(single.averaged(2).attempts, [0, 2])


def test_averaging_nothing_gives_nothing():
    assert measurement([]).averaged(3).outputs.shape == (0, 2)


def test_the_ledger_names_every_purpose_and_totals():
    ledger = Ledger()
    ledger.queries["train"] += 3
    ledger.queries["test"] += 2
    ledger.seconds["train"] += 0.5
    shown = ledger.as_dict()
    assert ledger.total == 5
    assert shown["queries"] == {
        "train": 3,
        "validation": 0,
        "test": 2,
        "probe": 0,
        "calibration": 0,
        "control": 0,
        "total": 5,
    }
    assert shown["seconds"]["total"] == 0.5
    assert (shown["retries"], shown["joules"]) == (0, 0.0)
    assert shown["flags"] == {"saturated": 0, "retried": 0, "clipped": 0, "resynced": 0}
    assert pickle.loads(pickle.dumps(ledger)).as_dict() == shown


def test_flags_are_single_bits_that_fit_one_byte():
    bits = [int(flag) for flag in Flag]
    assert all(bit and bit & (bit - 1) == 0 and bit < 256 for bit in bits)
    assert len(set(bits)) == len(bits)
