"""The board's frames, and a board in a few lines that answers them, with faults."""

import itertools
import struct

import numpy as np
import pytest

from devices import DeviceError, InstrumentError, LimitError, LinkDown
from devices.drivers.board import Board
from devices.drivers.board_facts import BoardFacts
from devices.drivers.board_frames import END, Op, pack, unpack
from devices.transports import loop

# There and back, so that the volts are the single-precision ones of a greeting.
FACTS = BoardFacts.unpack(
    BoardFacts(1, 2, 3, 12, 12, 400, 0.0, 4.095, 0.0, 6.5535, 0, 1000, "pnn-board test 1.0").pack()
)
FAST = {"timeout_s": 0.05, "deadline_s": 2.0, "quiet_s": 0.001, "backoff_s": 0.001}


class LittleBoard:
    """Answers as docs/board-protocol.md says: an ADC word is the sum of the row's codes."""

    def __init__(self, facts=FACTS):
        self.facts = facts
        self.heard = []
        self.driven = []
        self.driving = False
        self.limits = None
        self.spoil = []  # one name per MEASURE: late, noise, mute
        self._out = []
        self._in = b""

    def write(self, data):
        self._in += data
        while END in self._in:
            frame, _, self._in = self._in.partition(END)
            if frame and (found := unpack(frame)):
                self._answer(*found)

    def read(self, timeout_s):
        return self._out.pop(0) if self._out else b""

    def _answer(self, sequence, operation, payload):
        self.heard.append(operation)
        answer = pack(sequence, operation | Op.ANSWER, self._content(operation, payload))
        spoiled = self.spoil.pop(0) if operation == Op.MEASURE and self.spoil else ""
        if spoiled == "late":  # comes before the answer to the next question
            self._out.append(b"")
            self._late = answer
            return
        if spoiled == "mute":
            return
        if spoiled == "noise":
            answer = bytes([answer[0], answer[1] ^ 0x40 or 1]) + answer[2:]
        if late := getattr(self, "_late", b""):
            answer, self._late = late + answer, b""
        if operation == Op.MEASURE and self.limits and self._refuses(payload):
            answer = pack(sequence, Op.REFUSED, bytes([operation, 3]) + b"code too high")
        self._out.append(answer)

    def _refuses(self, payload):
        return np.frombuffer(payload, "<u2", offset=2).max() > self.limits[1]

    def _content(self, operation, payload):
        if operation == Op.HELLO:
            return self.facts.pack()
        if operation == Op.STATUS:
            return struct.pack("<BHHIh", self.driving, 0, 0, 1234, 2150)
        if operation == Op.OFF:
            self.driving = False
        if operation == Op.LIMITS:
            self.limits = struct.unpack("<HH", payload[:4])
        if operation == Op.MEASURE:
            (n,) = struct.unpack_from("<H", payload)
            codes = np.frombuffer(payload, "<u2", offset=2).reshape(n, self.facts.n_dac)
            self.driven += codes.tolist()
            self.driving = True
            rows = b"".join(
                bytes([int(row.sum() > 4000)]) + struct.pack("<3H", *[int(row.sum())] * 3)
                for row in codes
            )
            return payload[:2] + rows
        return payload


@pytest.fixture
def little():
    peer = LittleBoard()
    loop.register("little", peer)
    yield peer
    loop.unregister("little")


def test_frames_survive_every_byte_and_reject_every_flipped_bit():
    for payload in (b"", b"\0", bytes(range(256)), b"\0" * 300):
        frame = pack(513, 0x12, payload)
        assert frame.count(END) == 1
        assert unpack(frame) == (513, 0x12, payload)
        for place, bit in itertools.product(range(min(len(frame) - 1, 40)), range(8)):
            broken = bytearray(frame)
            broken[place] ^= 1 << bit
            assert unpack(bytes(broken)) in (None, (513, 0x12, payload))
            assert unpack(bytes(broken)) is None


def test_opening_says_hello_and_sets_everything(little):
    with Board("loop:little", settle_us=50, idn="pnn-board", **FAST) as board:
        assert board.facts == FACTS
        assert board.status()["temperature_k"] == pytest.approx(294.65)
    assert little.heard[:5] == [Op.HELLO, Op.OFF, Op.WATCHDOG, Op.TIMING, Op.LIMITS]
    assert little.heard[-2:] == [Op.OFF, Op.STATUS]


def test_rows_are_split_into_frames_and_come_back_in_order(little):
    codes = np.random.default_rng(0).integers(0, 4096, (500, 2))
    with Board("loop:little", **FAST) as board:
        volts, saturated = board.measure(codes)
    assert little.driven == codes.tolist()
    np.testing.assert_allclose(volts, np.repeat(codes.sum(axis=1)[:, None], 3, axis=1) * 1e-4)
    np.testing.assert_array_equal(saturated, codes.sum(axis=1) > 4000)


@pytest.mark.parametrize("fault", ["late", "noise", "mute"])
def test_a_lost_or_late_answer_never_becomes_that_of_another_row(little, fault):
    with Board("loop:little", **FAST) as board:
        for k in range(8):
            if k in (2, 3, 6):
                little.spoil.append(fault)
            volts, _ = board.measure([[k, 10 * k]])
            assert volts[0, 0] == pytest.approx(11 * k * 1e-4)


def test_illegal_codes_reach_nothing(little):
    with Board("loop:little", **FAST) as board:
        for row in ([-1, 0], [0, 4096], [0.5, 0], [np.nan, 0]):
            with pytest.raises(LimitError, match="whole numbers from 0 to 4095"):
                board.measure([row])
    assert little.driven == []


def test_a_refusal_of_the_board_is_named(little):
    with (
        Board("loop:little", high_code=1000, **FAST) as board,
        pytest.raises(InstrumentError, match=r"refuses operation 0x12.*code too high"),
    ):
        board.measure([[2000, 0]])


def test_a_board_that_still_drives_after_off_is_an_error(little):
    board = Board("loop:little", **FAST).open()
    little._content = lambda operation, payload: struct.pack("<BHHIh", 1, 0, 0, 0, 0)
    with pytest.raises(DeviceError, match="still driving"):
        board.off()
    board.close()


def test_silence_is_no_board():
    class Nobody:
        def write(self, data):
            pass

        def read(self, timeout_s):
            return b""

    loop.register("nobody", Nobody())
    with pytest.raises(LinkDown, match="no board answers"):
        Board("loop:nobody", **FAST | {"deadline_s": 0.2}).open()


def test_bad_settings_are_named():
    for settings, name in (
        ({"watchdog_ms": 10}, "watchdog_ms"),
        ({"conversions": 0}, "conversions"),
        ({"settle_us": -1}, "settle_us"),
    ):
        with pytest.raises(ValueError, match=name):
            Board("loop:little", **settings)
