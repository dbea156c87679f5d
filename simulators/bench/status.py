"""Error queue and status registers of IEEE 488.2."""

from __future__ import annotations

from collections import deque

from simulators.bench.values import number

__all__ = ["Status"]

_QUEUE = 20  # entries
# Bits of the standard event status register, and of the status byte.
_OPC, _QYE, _DDE, _EXE, _CME, _PON = 1, 4, 8, 16, 32, 128
_EAV, _MAV, _ESB, _RQS = 4, 16, 32, 64
_BITS = {1: _CME, 2: _EXE, 4: _QYE}  # by the hundreds of a negative code


class Status:
    """What has gone wrong and what has happened.

    Attributes
    ----------
    ese, sre : int
        Which events are summed up in the status byte, and which of its bits request service.
    """

    def __init__(self) -> None:
        self.ese = self.sre = 0
        self._esr = _PON
        self._errors: deque[tuple[int, str]] = deque()
        self._opc_wanted = False

    @property
    def n_errors(self) -> int:
        """Entries of the error queue."""
        return len(self._errors)

    def error(self, code: int, text: str) -> None:
        """Put an entry into the queue; the last of a full one becomes an overflow."""
        if len(self._errors) < _QUEUE:
            self._errors.append((code, text))
        else:
            self._errors[-1] = (-350, "Queue overflow")
        self._esr |= _BITS.get(-code // 100 if code < 0 else 0, _DDE)

    def next_error(self) -> str:
        """Take the oldest entry, in the form ``+0,"No error"``."""
        code, text = self._errors.popleft() if self._errors else (0, "No error")
        return f'{code:+d},"{text}"'

    def clear(self) -> None:
        """Forget errors and events."""
        self._errors.clear()
        self._esr, self._opc_wanted = 0, False

    def event(self) -> int:
        """Read the event register, which clears it."""
        events, self._esr = self._esr, 0
        return events

    def byte(self, reply_waits: bool) -> int:
        """Return the status byte."""
        byte = (_EAV if self._errors else 0) | (_MAV if reply_waits else 0)
        byte |= _ESB if self._esr & self.ese else 0
        return byte | (_RQS if byte & self.sre else 0)

    def enable_event(self, given: str | bytes) -> None:
        """Set `ese`."""
        self.ese = round(number(given, 0, 255))

    def enable_request(self, given: str | bytes) -> None:
        """Set `sre`."""
        self.sre = round(number(given, 0, 255))

    def operation_wanted(self, busy: bool) -> None:
        """Note ``*OPC``: an event when the operation under way has ended, or now."""
        self._opc_wanted = busy
        if not busy:
            self._esr |= _OPC

    def operation_complete(self) -> None:
        """Note that the operation has ended."""
        if self._opc_wanted:
            self._opc_wanted = False
            self._esr |= _OPC
