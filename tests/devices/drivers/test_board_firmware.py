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

# What the cores define for a board, and how its pins are called there: constants, no macros.
BOARDS = {
    "uno": "#define __AVR__",
    "due": "#define ARDUINO_SAM_DUE\nstatic const uint8_t DAC0 = 66, DAC1 = 67;",
    "teensy-3.2": "#define TEENSYDUINO\n#define __MK20DX256__\nstatic const uint8_t A14 = 40;",
    "teensy-3.5": "#define TEENSYDUINO\n#define __MK64FX512__\n"
    "static const uint8_t A14 = 33, A21 = 66, A22 = 67;",
    "teensy-3.6": "#define TEENSYDUINO\n#define __MK66FX1M0__\n"
    "static const uint8_t A14 = 33, A21 = 66, A22 = 67;",
    "zero": "",
}
# An Arduino in a few lines: pins hold what was written. ADC k reads half of DAC k mod 2; of
# ten bits, four times as much as far as that goes.
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
static int pins[100], used[2], n_used = 0;
static void pinMode(int pin, int) { used[n_used++] = pin; }
__attribute__((unused)) static void analogWriteResolution(int) {}
__attribute__((unused)) static void analogReadResolution(int) {}
static void analogWrite(int pin, int code) { pins[pin] = code; }
static int analogRead(int pin) {
  int code = pins[used[(pin - A0) % 2]];
  return TEN_BITS ? 4 * code + 3 : code / 2;
}
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

MAIN = """
int main(int n, char **) {
  setup();
  if (n > 1) return printf("%d %d\\n", used[0], used[1]) < 0;
  for (;;) loop();
}
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
    """Return what compiles the firmware as for a board; with an argument, it names its pins."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None or sys.platform == "win32":
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("firmware")

    def make(kind):
        program, source = folder / kind, folder / f"{kind}.cpp"
        if not program.exists():
            source.write_text(f"{SHIM}\n{BOARDS[kind]}\n{SOURCE.read_text()}\n{MAIN}")
            flags = ["-Wall", "-Werror", f"-DTEN_BITS={int(kind == 'uno')}"]
            subprocess.run([compiler, *flags, "-o", program, source], check=True)
        return program

    return make


@pytest.fixture
def board(compiled, request):
    program = Program(compiled(getattr(request, "param", "zero")))
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


@pytest.mark.parametrize(
    ("board", "bits", "dac_volts", "adc_volts"),
    [
        ("uno", (8, 10), (0.0, 5.0), 5.0),
        ("due", (12, 12), (0.55, 2.75), 3.3),
        ("teensy-3.2", (12, 12), (0.0, 3.3), 3.3),
        ("teensy-3.5", (12, 12), (0.0, 3.3), 3.3),
        ("teensy-3.6", (12, 12), (0.0, 3.3), 3.3),
        ("zero", (12, 12), (0.0, 3.3), 3.3),
    ],
    indirect=["board"],
)
def test_each_board_says_what_its_converters_are(board, bits, dac_volts, adc_volts):
    with board:
        facts = board.facts
        assert (facts.dac_bits, facts.adc_bits) == bits
        assert (facts.dac_min_volt, facts.dac_max_volt) == pytest.approx(dac_volts)
        assert (facts.adc_min_volt, facts.adc_max_volt) == pytest.approx((0.0, adc_volts))
        volts, _ = board.measure(np.array([[100, 50]]))
        assert volts[0, 0] > volts[0, 1] > 0


@pytest.mark.parametrize(
    ("kind", "pins"),
    [
        ("uno", "3 5"),
        ("due", "66 67"),
        ("teensy-3.2", "40 3"),
        ("teensy-3.5", "66 67"),
        ("teensy-3.6", "66 67"),
        ("zero", "3 5"),
    ],
)
def test_true_dacs_are_driven_where_a_board_has_them(compiled, kind, pins):
    assert subprocess.check_output([compiled(kind), "pins"], text=True, timeout=10).strip() == pins


@pytest.mark.parametrize("board", ["uno"], indirect=True)
def test_a_converter_of_ten_bits_is_flagged_at_its_own_end(board):
    with board:
        volts, saturated = board.measure(np.array([[254, 254], [255, 254], [100, 100]]))
    assert saturated.tolist() == [False, True, False]
    assert volts[1, 0] == pytest.approx(5.0)


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
