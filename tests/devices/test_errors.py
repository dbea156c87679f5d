"""The error tree: what a user catches, and what survives another process."""

import copy
import pickle

import numpy as np
import pytest

from devices import (
    Desync,
    DeviceError,
    InstrumentError,
    LimitError,
    LinkDown,
    NotCalibrated,
    ReplyTimeout,
    SaturationError,
    ShortTransfer,
)


def test_every_error_is_a_device_error_and_only_link_troubles_are_transient():
    transient = {LinkDown, ReplyTimeout, ShortTransfer, Desync}
    for kind in (*transient, LimitError, InstrumentError, SaturationError, NotCalibrated):
        assert issubclass(kind, DeviceError)
        assert kind.transient is (kind in transient)
    assert issubclass(LimitError, ValueError)


def test_the_message_counts_the_rows_that_are_kept():
    error = ReplyTimeout("scope: no answer", rows=np.zeros((3, 2)), failed_row=3)
    assert str(error).startswith("scope: no answer (row 3 failed; the 3 rows before it")
    assert str(ReplyTimeout("scope: no answer")) == "scope: no answer"


@pytest.mark.parametrize("duplicate", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_travel_with_all_they_know(duplicate):
    for error in (
        LinkDown("gone", rows=np.ones((1, 2)), failed_row=1),
        InstrumentError(-222, "Data out of range", rows=np.ones((1, 2)), failed_row=1),
    ):
        twin = duplicate(error)
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        np.testing.assert_array_equal(twin.rows, error.rows)
        assert twin.failed_row == 1
    twin = duplicate(InstrumentError(-222, "Data out of range"))
    assert (twin.code, twin.text) == (-222, "Data out of range")
    assert "-222: Data out of range" in str(twin)
