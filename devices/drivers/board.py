"""A microcontroller with DACs and ADCs on a serial line. Protocol: docs/board-protocol.md."""

from __future__ import annotations

import itertools
import random
import struct
import time
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from devices.checks import whole
from devices.drivers.board_facts import BoardFacts, read_status
from devices.drivers.board_frames import END, Op, pack, refusal, unpack
from devices.drivers.recipe import Recipe
from devices.errors import (
    Desync,
    DeviceError,
    LimitError,
    LinkDown,
    ReplyTimeout,
    ShortTransfer,
)
from devices.transports import Transport, make_transport

__all__ = ["Board"]

_VERSION = 1


class Board(Recipe):
    """A board that drives rows of DAC codes and answers each with its ADC readings.

    Every frame has a checksum and a sequence number; an answer to an earlier question is dropped.
    Rows are whole experiments, so a question whose answer is lost is asked again.

    Parameters
    ----------
    address : str
        ``serial:///dev/ttyACM0?baud=115200``, ``serial://COM3``, ``socket://host:port``.
    settle_us : int
        Wait between writing a row and converting, in microseconds.
    conversions : int
        Conversions averaged per channel and row, 1 to 256.
    watchdog_ms : int
        Silence of the host after which the board switches its outputs off.
    low_code, high_code : int or None
        Limits that the board itself keeps, on all DACs; None is the converter's range.
    name, idn : str
        See `ScpiInstrument`; `idn` is compared with the firmware's name. "" takes any firmware
        that speaks the protocol.
    **link
        Settings of the transport.

    Attributes
    ----------
    facts : BoardFacts
        After `open`.
    """

    def __init__(
        self,
        address: str,
        *,
        settle_us: int = 0,
        conversions: int = 1,
        watchdog_ms: int = 2000,
        low_code: int | None = None,
        high_code: int | None = None,
        name: str = "board",
        idn: str = "^pnn-board",
        **link: Any,
    ) -> None:
        self.name = name
        self.settle_us = whole(name, "settle_us", settle_us, 0, 10_000_000)
        self.conversions = whole(name, "conversions", conversions, 1, 256)
        self.watchdog_ms = whole(name, "watchdog_ms", watchdog_ms, 50, 60_000)
        self._low, self._high = low_code, high_code
        self.facts: BoardFacts | None = None
        link = {"attempts": 3, "resync_s": 2.0, "read_end": END} | link
        self.transport: Transport = make_transport(
            address, idn=idn, hello=self._hello, resync=self._ping, **link
        )
        self.transport.on_reconnect(self._restore)
        self._in_use = False
        # A start by chance: an answer to a program that ran before is not taken for ours.
        start = random.randrange(65536)
        self._sequence = (k % 65536 for k in itertools.count(start))

    # -- life cycle ----------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """The firmware's name."""
        return self.transport.identity

    def open(self) -> Self:
        """Connect, greet, and set watchdog, timing and limits."""
        self.connect()
        try:
            self.configure()
        except BaseException:
            self.transport.close()
            raise
        self._in_use = True
        return self

    def connect(self) -> Self:
        """Connect and greet, and change nothing."""
        self.transport.open()
        return self

    def close(self) -> None:
        """Disconnect; may be called twice. The watchdog then switches the outputs off."""
        self._in_use = False
        self.transport.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        try:
            self.off()
        finally:
            self.close()

    def step(self) -> AbstractContextManager[Any]:
        """See `Transport.step`."""
        return self.transport.step()

    def configure(self) -> None:
        """Switch off, set watchdog, timing and limits, and compare with what was taken."""
        facts = self._known()
        low = 0 if self._low is None else whole(self.name, "low_code", self._low, 0, facts.top_code)
        high = facts.top_code
        if self._high is not None:
            high = whole(self.name, "high_code", self._high, low, facts.top_code)
        if not low <= facts.rest <= high:
            raise ValueError(
                f"{self.name}: the limits {low} to {high} exclude the code of rest, {facts.rest}"
            )
        self.ask(Op.OFF)
        for operation, payload in (
            (Op.WATCHDOG, struct.pack("<I", self.watchdog_ms)),
            self._timing(),
            (Op.LIMITS, struct.pack("<HH", low, high) * facts.n_dac),
        ):
            self._set(operation, payload)

    def settle(self, settle_us: int) -> None:
        """Set the settling time of the rows that come."""
        self.settle_us = whole(self.name, "settle_us", settle_us, 0, 10_000_000)
        self._set(*self._timing())

    def _timing(self) -> tuple[int, bytes]:
        return Op.TIMING, struct.pack("<IH", self.settle_us, self.conversions)

    def _set(self, operation: int, payload: bytes) -> None:
        """Set something, and compare with what was taken."""
        if (taken := self.ask(operation, payload)) != payload:
            raise DeviceError(
                f"{self.name}: operation 0x{operation:02X} set {payload.hex()}, but the board "
                f"has {taken.hex()}"
            )

    def _restore(self) -> None:
        if self._in_use:
            self.configure()

    # -- the instrument ------------------------------------------------------------------------

    def measure(self, codes: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Drive rows of codes, (n_rows, n_dac), and return volts (n_rows, n_adc) and saturation.

        Raises
        ------
        LimitError
            If a code is outside the converter's range; nothing was sent.
        InstrumentError
            If the board refuses.
        """
        facts = self._known()
        rows = self._legal(codes)
        volts = np.empty((len(rows), facts.n_adc))
        saturated = np.empty(len(rows), bool)
        seconds = facts.n_adc * self.conversions * 2e-5 + self.settle_us * 1e-6
        size = max(1, min(facts.rows_per_frame, int(0.5 / seconds) if seconds else len(rows)))
        form = np.dtype([("flags", "u1"), ("adc", "<u2", (facts.n_adc,))])
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            answer = self.ask(Op.MEASURE, struct.pack("<H", len(part)) + part.tobytes())
            if len(answer) != 2 + form.itemsize * len(part) or (
                int.from_bytes(answer[:2], "little") != len(part)
            ):
                raise ShortTransfer(f"{self.name}: {len(answer)} bytes answer {len(part)} rows")
            got = np.frombuffer(answer, form, offset=2)
            volts[start : start + size] = self._volts(got["adc"])
            saturated[start : start + size] = got["flags"] & 1
        return volts, saturated

    def write(self, codes: NDArray[Any]) -> None:
        """Put one row of codes, (n_dac,), on the DACs, and compare what the board reads back."""
        payload = self._legal(np.asarray(codes)[None]).tobytes()
        if self.ask(Op.WRITE, payload) != payload:
            raise DeviceError(f"{self.name}: the DACs read back other codes than were written")

    def read(self) -> NDArray[np.float64]:
        """Return the ADC readings now, (n_adc,), in V."""
        answer = self.ask(Op.READ)
        if len(answer) != 1 + 2 * self._known().n_adc:
            raise ShortTransfer(f"{self.name}: {len(answer)} bytes of readings came")
        return self._volts(np.frombuffer(answer, "<u2", offset=1))

    def status(self) -> dict[str, float]:
        """Return state, trips of the watchdog, dropped frames, uptime in s, temperature in K."""
        return read_status(self.ask(Op.STATUS))

    def codes_of(self, volts: NDArray[Any]) -> NDArray[np.float64]:
        """Return the nearest DAC codes, not limited."""
        facts = self._known()
        span = facts.dac_max_volt - facts.dac_min_volt
        return np.rint((np.asarray(volts) - facts.dac_min_volt) / span * facts.top_code)

    def on(self) -> None:
        """Nothing to do: measuring drives again."""

    def hold(self) -> None:
        """Keep the last codes; only as long as the watchdog is fed, by this."""
        self.ask(Op.PING)

    def off(self) -> None:
        """All DACs to rest, and check that the board says so."""
        self.ask(Op.OFF)
        if self.status()["driving"]:
            raise DeviceError(f"{self.name}: still driving after it was switched off")

    def settings(self) -> dict[str, Any]:
        """Return what the board says of itself, and what was set."""
        return vars(self._known()) | {
            "settle_us": self.settle_us,
            "conversions": self.conversions,
            "watchdog_ms": self.watchdog_ms,
        }

    # -- frames --------------------------------------------------------------------------------

    def ask(self, operation: int, payload: bytes = b"") -> bytes:
        """Ask one question and return the payload of its answer."""
        sequence = next(self._sequence)

        def accept(frame: bytes) -> tuple[int, bytes] | None:
            found = unpack(frame)
            if found is None or found[0] != sequence:
                return None  # noise, or the answer to another question
            return found[1], found[2]

        answered, content = self.transport.exchange(
            pack(sequence, operation, payload), END, accept, idempotent=True
        )
        if answered == Op.REFUSED:
            raise refusal(self.name, content)
        if answered != operation | Op.ANSWER:
            raise DeviceError(f"{self.name}: operation 0x{operation:02X}, answer 0x{answered:02X}")
        return content

    def _legal(self, codes: NDArray[Any]) -> NDArray[np.uint16]:
        facts = self._known()
        rows = np.asarray(codes)
        if rows.ndim != 2 or rows.shape[1] != facts.n_dac:
            raise LimitError(
                f"{self.name}: codes have shape {rows.shape}, expected (rows, {facts.n_dac})"
            )
        if ((rows < 0) | (rows > facts.top_code) | (rows != np.rint(rows))).any():
            raise LimitError(
                f"{self.name}: codes must be whole numbers from 0 to {facts.top_code}, got "
                f"{rows.min():g} to {rows.max():g}; nothing was sent"
            )
        return rows.astype("<u2")

    def _volts(self, words: NDArray[Any]) -> NDArray[np.float64]:
        facts = self._known()
        span = facts.adc_max_volt - facts.adc_min_volt
        return facts.adc_min_volt + words * (span / 65535)

    def _known(self) -> BoardFacts:
        if self.facts is None:
            raise DeviceError(f"{self.name} is not open")
        return self.facts

    def _hello(self, transport: Transport, until: float) -> str:
        while True:  # a board that restarts when its line is opened takes seconds to answer
            transport.write(END)  # whatever half a frame came before ends here
            try:
                answer = self.ask(Op.HELLO, bytes([_VERSION]))
                break
            except ReplyTimeout as error:
                if time.monotonic() >= until:
                    raise LinkDown(f"{self.name} opens, but no board answers: {error}") from error
        if not answer or answer[0] != _VERSION:
            raise DeviceError(f"{self.name}: it speaks version {answer[:1]!r}, expected {_VERSION}")
        self.facts = BoardFacts.unpack(answer)
        return self.facts.firmware

    def _ping(self, transport: Transport, until: float) -> None:
        del until  # a ping has the time limits of every other question
        transport.write(END)
        nonce = random.randbytes(4)
        if self.ask(Op.PING, nonce) != nonce:
            raise Desync(f"{self.name}: a ping came back changed")
