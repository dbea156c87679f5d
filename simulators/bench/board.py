"""A microcontroller board with DACs and ADCs; see docs/board-protocol.md."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import whole
from simulators.bench.board_converters import Converters, Physics
from simulators.bench.board_frames import frame, unframed
from simulators.bench.faults import COMMON_KINDS, Faults
from simulators.bench.link import Instrument, Link

__all__ = ["Board", "Refusal"]

Array = NDArray[Any]

_VERSION = 1
_ANSWER, _REFUSED = 0x80, 0xFF
_HEAD = struct.Struct("<HB")
_OVERHEAD = 64  # bytes of a frame beside its payload, rounded up


class Refusal(Exception):
    """The board refuses a question: a code of the protocol and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Board(Instrument):
    """DACs drive a physics, ADCs read it; a watchdog switches off when the host is silent.

    Parameters
    ----------
    name : str
        In the rig.
    physics : callable
        From volts at the DACs, (rows, n_dac), to volts at the ADCs, (rows, n_adc).
    n_dac, n_adc, dac_bits, adc_bits, dac_volts, adc_volts, rest_v
        See `Converters`.
    max_payload : int
        Bytes of a question's or answer's payload.
    clock : callable
        Returns seconds.
    faults, lock
        See `Instrument`.

    Attributes
    ----------
    converters : Converters
        What they have put out, too.
    """

    wire = "serial"
    faults_of = (*COMMON_KINDS, "saturate", "drift")

    def __init__(
        self,
        name: str,
        physics: Physics,
        n_dac: int,
        n_adc: int,
        *,
        dac_bits: int = 12,
        adc_bits: int = 12,
        dac_volts: tuple[float, float] = (0.0, 3.3),
        adc_volts: tuple[float, float] = (0.0, 3.3),
        rest_v: float = 0.0,
        max_payload: int = 8192,
        identity: str = "pnn-board virtual 1.0",
        clock: Callable[[], float] = time.monotonic,
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, faults, lock)
        self.converters = Converters(
            name, n_dac, n_adc, dac_bits, adc_bits, dac_volts, adc_volts, rest_v
        )
        self.max_payload = whole(name, "max_payload", max_payload, 64, 65535)
        self._physics, self._identity_text, self._clock = physics, identity, clock
        self._limits = np.tile([0, self.converters.top], (n_dac, 1))
        self._settle_us, self._conversions, self._watchdog_ms = 0, 1, 1000
        self._codes, self._state = self.converters.rest.copy(), 0
        self._trips = self._dropped = 0
        self._began = self._heard_at = clock()
        self.gain = 1.0  # of the ADCs; drifts where a fault says so
        self._operations: dict[int, Callable[[bytes], bytes]] = {
            0x01: self._hello,
            0x02: self._watchdog,
            0x03: self._off,
            0x04: self._status,
            0x05: self._timing,
            0x06: self._set_limits,
            0x10: self._write_codes,
            0x11: self._read,
            0x12: self._measure,
            0x7E: self._ping,
        }

    # -- state ---------------------------------------------------------------------------------

    @property
    def volts(self) -> Array:
        """What the DACs put out now, (n_dac,), after the watchdog has had its look."""
        with self.lock:
            self._look()
            return self.converters.volts(self._codes)

    @property
    def driving(self) -> bool:
        """Whether the outputs are on."""
        with self.lock:
            self._look()
            return bool(self._state)

    def _look(self) -> None:
        """Do what the watchdog would have done by now."""
        if self._state and self._clock() - self._heard_at > self._watchdog_ms / 1e3:
            self._trips += 1
            self._switch_off()

    def _switch_off(self) -> None:
        self._codes, self._state = self.converters.rest.copy(), 0

    # -- frames --------------------------------------------------------------------------------

    def answer(self, data: bytes) -> tuple[bytes, str] | None:
        """Return the frame that answers a frame, and what was asked; None if it is dropped."""
        body = unframed(data) if len(data) <= self.max_payload * 2 + _OVERHEAD else None
        if body is None or len(body) < _HEAD.size:
            self._dropped += 1
            return None
        self._look()
        self._heard_at = self._clock()
        sequence, operation = _HEAD.unpack_from(body)
        payload = body[_HEAD.size :]
        what = f"0x{operation:02X}"
        try:
            if operation not in self._operations:
                raise Refusal(1, f"unknown operation {what}")
            if len(payload) > self.max_payload:
                raise Refusal(2, f"{len(payload)} bytes, at most {self.max_payload}")
            if self.faults.due("error", self.name, what):
                raise Refusal(5, "the converters failed; on demand")
            head = _HEAD.pack(sequence, operation | _ANSWER)
            return frame(head + self._operations[operation](payload)), what
        except Refusal as refusal:
            reason = bytes([operation, refusal.code]) + str(refusal).encode("ascii", "replace")
            return frame(_HEAD.pack(sequence, _REFUSED) + reason), what

    # -- operations ----------------------------------------------------------------------------

    def _hello(self, payload: bytes) -> bytes:
        _length(payload, 1)
        if payload[0] != _VERSION:
            raise Refusal(3, f"version {payload[0]}, this board speaks {_VERSION}")
        name, has = self._identity_text, self.converters
        if self.faults.due("identity", self.name, "0x01"):
            name = "elsewhere-board 0.0"
        return struct.pack(
            "<5BH4fHI",
            _VERSION,
            has.n_dac,
            has.n_adc,
            has.dac_bits,
            has.adc_bits,
            self.max_payload,
            *has.dac_volts,
            *has.adc_volts,
            int(has.rest[0]),
            self._watchdog_ms,
        ) + name.encode("ascii")

    def _watchdog(self, payload: bytes) -> bytes:
        (milliseconds,) = _unpack("<I", payload)
        if not 50 <= milliseconds <= 60000:
            raise Refusal(3, f"watchdog {milliseconds} ms, allowed are 50 to 60000")
        self._watchdog_ms = milliseconds
        return payload

    def _off(self, payload: bytes) -> bytes:
        _length(payload, 0)
        self._switch_off()
        return b""

    def _status(self, payload: bytes) -> bytes:
        _length(payload, 0)
        uptime = round((self._clock() - self._began) * 1e3)
        return struct.pack(
            "<BHHIh", self._state, self._trips, self._dropped & 0xFFFF, uptime & 0xFFFFFFFF, 2150
        )

    def _timing(self, payload: bytes) -> bytes:
        settle, conversions = _unpack("<IH", payload)
        if not 1 <= conversions <= 256:
            raise Refusal(3, f"conversions {conversions}, allowed are 1 to 256")
        self._settle_us, self._conversions = settle, conversions
        return payload

    def _set_limits(self, payload: bytes) -> bytes:
        _length(payload, 4 * self.converters.n_dac)
        limits = np.frombuffer(payload, "<u2").reshape(-1, 2).astype(int)
        if (limits[:, 0] > limits[:, 1]).any() or limits.max() > self.converters.top:
            raise Refusal(3, "a low limit above the high one, or beyond the converter")
        self._limits = limits
        return payload

    def _write_codes(self, payload: bytes) -> bytes:
        _length(payload, 2 * self.converters.n_dac)
        self._drive(self._legal(payload))
        return self._codes.astype("<u2").tobytes()

    def _read(self, payload: bytes) -> bytes:
        _length(payload, 0)
        return self._converted(self._codes[None]).tobytes()

    def _measure(self, payload: bytes) -> bytes:
        if len(payload) < 2:
            raise Refusal(2, "no number of rows")
        (n_rows,) = struct.unpack_from("<H", payload)
        _length(payload[2:], 2 * self.converters.n_dac * n_rows)
        if 2 + n_rows * (1 + 2 * self.converters.n_adc) > self.max_payload:
            raise Refusal(4, f"{n_rows} rows, their answer is longer than {self.max_payload} bytes")
        rows = self._legal(payload[2:])
        if n_rows:
            self._drive(rows)
        return struct.pack("<H", n_rows) + self._converted(rows).tobytes()

    def _ping(self, payload: bytes) -> bytes:
        if len(payload) > 16:
            raise Refusal(2, f"{len(payload)} bytes, at most 16")
        return payload

    # -- converters ----------------------------------------------------------------------------

    def _legal(self, payload: bytes) -> Array:
        rows = np.frombuffer(payload, "<u2").reshape(-1, self.converters.n_dac)
        low, high = self._limits.T
        bad = (rows < low) | (rows > high)
        if bad.any():
            row, channel = np.argwhere(bad)[0]
            raise Refusal(3, f"row {row}, DAC {channel}: code {rows[row, channel]} is not allowed")
        return rows

    def _drive(self, rows: Array) -> None:
        self._codes, self._state = rows[-1].copy(), 1
        self.converters.drive(rows)

    def _converted(self, rows: Array) -> Array:
        """Return what the ADCs say to rows of codes, as packed rows."""
        if fault := self.faults.due("drift", self.name):
            self.gain *= 1 + fault.size
        gain = self.gain
        if fault := self.faults.due("saturate", self.name):
            gain *= fault.size
        return self.converters.words(self._physics, rows, self._conversions, gain)

    def _link(self) -> Link:
        return BoardLink(self)


class BoardLink(Link):
    """The serial line of a `Board`."""

    instrument: Board

    def __init__(self, instrument: Board) -> None:
        super().__init__(instrument)
        self._buffer = bytearray()

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\0")) >= 0:
            got = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            answer = self.instrument.answer(got) if got else None
            if answer is not None:
                self._reply(*answer)

    def _forget(self) -> None:
        self._buffer.clear()


def _length(payload: bytes, expected: int) -> None:
    if len(payload) != expected:
        raise Refusal(2, f"{len(payload)} bytes of payload, expected {expected}")


def _unpack(form: str, payload: bytes) -> tuple[Any, ...]:
    _length(payload, struct.calcsize(form))
    return struct.unpack(form, payload)
