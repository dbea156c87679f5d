"""The virtual board against its protocol page, and against frames of another's making."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.bench import Bench, Board
from simulators.bench.board_frames import frame, stuffed, unframed, unstuffed


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def board(clock):
    return Board("board", lambda volts: volts[:, :2] / 2, 3, 2, clock=lambda: clock[0])


def ask(board, operation, payload=b"", sequence=7):
    board.write(frame(struct.pack("<HB", sequence, operation) + payload))
    got = unframed(board.read(0.0)[:-1])
    back, answered = struct.unpack_from("<HB", got)
    assert back == sequence
    return answered, got[3:]


@given(st.binary(max_size=1200))
def test_stuffing_is_that_of_the_library(data):
    cobs = pytest.importorskip("cobs.cobs")
    assert stuffed(data) == cobs.encode(data)
    assert unstuffed(stuffed(data)) == data


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_flipped_bit_is_seen(body, data):
    sent = bytearray(frame(body)[:-1])
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    assert unframed(bytes(sent)) is None


def test_hello_measure_and_status(board):
    answered, hello = ask(board, 0x01, b"\x01")
    assert answered == 0x81
    assert struct.unpack_from("<5BH4fHI", hello) == pytest.approx(
        (1, 3, 2, 12, 12, 8192, 0, 3.3, 0, 3.3, 0, 1000), rel=1e-6
    )
    assert hello[struct.calcsize("<5BH4fHI") :].startswith(b"pnn-board")
    codes = np.array([[0, 4095, 100], [4095, 2048, 0]], "<u2")
    answered, rows = ask(board, 0x12, struct.pack("<H", 2) + codes.tobytes())
    assert answered == 0x92
    got = np.frombuffer(rows[2:], [("flags", "u1"), ("words", "<u2", 2)])
    np.testing.assert_allclose(got["words"], codes[:, :2] / 4095 / 2 * 65535, atol=9)
    assert got["flags"].tolist() == [1, 0], "the first row has a conversion at the end of the range"
    assert board.volts[0] == pytest.approx(3.3)
    assert ask(board, 0x04)[1][0] == 1
    ask(board, 0x03)
    assert not board.driving
    assert ask(board, 0x04)[1][0] == 0


@pytest.mark.parametrize(
    ("operation", "payload", "code"),
    [
        (0x55, b"", 1),
        (0x10, b"\0", 2),
        (0x02, struct.pack("<I", 10), 3),
        (0x05, struct.pack("<IH", 0, 0), 3),
        (0x10, struct.pack("<3H", 0, 4096, 0), 3),
        (0x06, struct.pack("<6H", 5, 4, 0, 1, 0, 1), 3),
        (0x7E, b"x" * 17, 2),
    ],
)
def test_refusals_drive_nothing(board, operation, payload, code):
    answered, reason = ask(board, operation, payload)
    assert (answered, reason[0], reason[1]) == (0xFF, operation, code)
    assert board.converters.highest_v == 0.0


def test_too_many_rows_for_one_answer():
    board = Board("board", lambda volts: np.tile(volts, 9), 1, 9, max_payload=64)
    answered, reason = ask(board, 0x12, struct.pack("<H", 4) + b"\0" * 8)
    assert (answered, reason[1]) == (0xFF, 4)


def test_limits_of_the_board(board):
    ask(board, 0x06, struct.pack("<6H", 0, 1000, 0, 1000, 0, 1000))
    answered, reason = ask(board, 0x10, struct.pack("<3H", 0, 1001, 0))
    assert (answered, reason[1]) == (0xFF, 3)
    assert board.converters.highest_v == 0.0


def test_the_watchdog_switches_off_when_the_host_is_silent(board, clock):
    ask(board, 0x02, struct.pack("<I", 500))
    ask(board, 0x10, struct.pack("<3H", 1, 2, 3))
    clock[0] = 0.4
    assert board.driving
    clock[0] = 0.6
    assert not board.driving
    assert not board.volts.any()
    assert struct.unpack_from("<BH", ask(board, 0x04)[1]) == (0, 1)


def test_broken_frames_are_dropped_in_silence_and_counted(board):
    board.write(
        b"\0\0garbage\0" + stuffed(b"\1\0\x7e" + struct.pack("<I", zlib.crc32(b""))) + b"\0"
    )
    assert board.read(0.0) == b""
    assert struct.unpack_from("<BHH", ask(board, 0x04)[1])[2] == 2


def test_answers_of_the_physics_fit_the_converters():
    rig = {
        "rig": {"kind": "board"},
        "instruments": {"board": {"driver": "board"}},
        "sim": {
            "device": "sim:scattering-medium?n_inputs=4&n_outputs=6",
            "bench": {"dac_bits": 16, "adc_bits": 16, "adc_volts": [-1.0, 1.0]},
        },
    }
    board = Bench(rig).instruments["board"]
    codes = np.random.default_rng(0).integers(0, 65536, (50, 4)).astype("<u2")
    _, rows = ask(board, 0x12, struct.pack("<H", 50) + codes.tobytes())
    got = np.frombuffer(rows[2:], [("flags", "u1"), ("words", "<u2", 6)])
    assert not got["flags"].any()
    assert np.ptp(got["words"]) > 20000
