"""The firmware's source, compiled for this machine, answers the driver as the protocol says."""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from devices import InstrumentError
from devices.drivers.board import Board
from devices.drivers.board_frames import Op, pack, unpack
from devices.transports import loop

SOURCE = Path(__file__).parents[3] / "examples" / "firmware" / "board" / "board.ino"

# An Arduino in a few lines: pins hold what was written, ADC k reads half of DAC k mod 2.
SHIM = r"""
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>
#define OUTPUT 1
enum { A0 = 100, A1, A2, A3 };
static int pins[8];
static void pinMode(int, int) {}
static void analogWriteResolution(int) {}
static void analogReadResolution(int) {}
static void analogWrite(int pin, int code) { pins[pin] = code; }
static int analogRead(int pin) { return pins[(pin - A0) % 2 ? 5 : 3] / 2; }
static uint32_t millis() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000UL + t.tv_nsec / 1000000;
}
static void delay(uint32_t ms) { usleep(ms * 1000); }
static void delayMicroseconds(uint32_t us) { usleep(us); }
struct {
  void begin(long) {}
  int available() {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(0, &set);
    timeval wait = {0, 1000};
    return select(1, &set, 0, 0, &wait) > 0;
  }
  int read() {
    uint8_t c;
    if (::read(0, &c, 1) != 1) _exit(0);
    return c;
  }
  void write(uint8_t c) { fwrite(&c, 1, 1, stdout); }
  void write(const uint8_t *p, size_t n) { fwrite(p, 1, n, stdout); }
  void flush() { fflush(stdout); }
} Serial;
"""


class Program:
    """A program that reads frames from its input and writes frames to its output."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self, timeout_s):
        out = self.process.stdout.fileno()
        return os.read(out, 65536) if select.select([out], [], [], timeout_s)[0] else b""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None or sys.platform == "win32":
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("firmware")
    main = "int main() { setup(); for (;;) loop(); }\n"
    (folder / "board.cpp").write_text(SHIM + SOURCE.read_text() + main)
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-o", folder / "board", folder / "board.cpp"],
        check=True,
    )
    return folder / "board"


@pytest.fixture
def board(compiled):
    program = Program(compiled)
    loop.register("firmware", program)
    made = Board("loop:firmware", watchdog_ms=200, timeout_s=1.0)
    made.program = program
    try:
        yield made
    finally:
        made.close()
        program.process.stdin.close()
        program.process.wait(5)
        program.process.stdout.close()
        loop.unregister("firmware")


def test_rows_are_driven_and_read_back(board):
    codes = np.random.default_rng(0).integers(1, 4095, (700, 2))
    with board:
        assert board.facts.firmware == "pnn-board arduino 1.0"
        volts, _ = board.measure(codes)
        expected = (codes // 2)[:, [0, 1, 0, 1]] / 4095 * 3.3
        np.testing.assert_allclose(volts, expected, atol=3.3 / 65535)
        np.testing.assert_allclose(board.read(), volts[-1], atol=1e-9)
        assert board.status()["driving"] == 1
    assert board.program.process.poll() is None


def test_the_watchdog_switches_off_when_the_host_is_silent(board):
    with board:
        board.write(np.array([1000, 2000]))
        assert board.status()["driving"] == 1
        time.sleep(0.4)
        status = board.status()
        assert status["driving"] == 0
        assert status["watchdog_trips"] == 1
        np.testing.assert_array_equal(board.read(), 0)
        board.measure(np.array([[100, 100]]))
        assert board.status()["driving"] == 1


def test_bad_frames_are_dropped_and_counted_and_the_next_is_served(board):
    with board:
        broken = bytearray(pack(1, Op.PING, b"abc"))
        broken[3] ^= 1
        for noise in (bytes(broken), b"\x05\x01\x00", b"x" * 20_000 + b"\0", b"\0\0"):
            board.transport.write(noise)
        assert board.ask(Op.PING, b"0123\x00567") == b"0123\x00567"
        assert board.status()["dropped_frames"] == 3


def test_every_frame_length_arrives_with_and_without_zeros(board):
    random = np.random.default_rng(1)
    with board:
        for n in (1, 61, 62, 63, 64, 126, 127, 128):  # around the groups of 254 bytes
            for codes in (
                np.zeros((n, 2)),
                np.full((n, 2), 0x0101),
                random.integers(0, 4096, (n, 2)),
            ):
                volts, _ = board.measure(codes)
                expected = (codes.astype(int) // 2)[:, [0, 1, 0, 1]] / 4095 * 3.3
                np.testing.assert_allclose(volts, expected, atol=3.3 / 65535)


@pytest.mark.parametrize(
    ("operation", "payload", "text"),
    [
        (0x55, b"", "unknown operation"),
        (Op.OFF, b"x", "wrong length"),
        (Op.WATCHDOG, bytes([49, 0, 0, 0]), "out of range"),
        (Op.TIMING, bytes(6), "out of range"),
        (Op.MEASURE, b"\x01\x00" + b"\xff\x1f\x00\x00", "out of range"),
        (Op.MEASURE, b"\x02\x00" + b"\x00" * 4, "wrong length"),
        (Op.LIMITS, b"\x05\x00\x04\x00" * 2, "out of range"),
    ],
)
def test_what_cannot_be_served_is_refused_and_nothing_is_driven(board, operation, payload, text):
    with board:
        with pytest.raises(InstrumentError, match=text):
            board.ask(operation, payload)
        assert board.status()["driving"] == 0


def test_limits_in_the_board_hold_whatever_the_host_asks(board):
    board._high = 1000
    with board:
        with pytest.raises(InstrumentError, match="out of range"):
            board.measure(np.array([[500, 500], [500, 1001]]))
        assert board.status()["driving"] == 0
        board.measure(np.array([[500, 1000]]))
    assert unpack(pack(7, Op.PING)) == (7, Op.PING, b"")
