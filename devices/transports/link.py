"""A line of bytes to an instrument: what the back ends must offer, and nothing more."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from devices.errors import Desync, ReplyTimeout, ShortTransfer

__all__ = ["Link", "StreamLink"]

_LONGEST_LINE = 2**24  # bytes: a peer that never ends its line must not fill the memory
_PIECE = 2**16


class Link(ABC):
    """Bytes out, bytes in. Framing, retries and locks stand above it, in `Transport`.

    Time has two limits: `timeout_s` is the longest silence, `until` (on `time.monotonic`) the
    end of the whole call. A back end maps its own errors into `LinkDown` and `ReplyTimeout`.

    Parameters
    ----------
    address : str
        What messages call the line.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    @abstractmethod
    def open(self) -> None:
        """Connect. Raises `LinkDown`."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect; never raises, and may be called twice."""

    @abstractmethod
    def write(self, data: bytes, timeout_s: float, until: float) -> None:
        """Send everything, or raise `LinkDown` or `ReplyTimeout`."""

    @abstractmethod
    def read_line(self, end: bytes, timeout_s: float, until: float) -> bytes:
        """Return what comes up to and with `end`, or raise `ReplyTimeout` or `LinkDown`."""

    @abstractmethod
    def read_exact(self, count: int, timeout_s: float, until: float) -> bytearray:
        """Return `count` bytes, or raise `ShortTransfer`, `ReplyTimeout` or `LinkDown`."""

    @abstractmethod
    def waiting(self) -> bool:
        """Return whether bytes have come that nobody read, as far as the back end can tell."""

    @abstractmethod
    def drain(self, quiet_s: float, until: float) -> int:
        """Throw away what comes until nothing has come for `quiet_s`; return how much it was."""


class StreamLink(Link):
    """A `Link` over anything that hands over bytes as they come; buffers what was not asked for.

    A back end writes `open`, `write`, `_shut`, `_receive_into` and `_ready`.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._buffer = bytearray()

    @abstractmethod
    def _receive_into(self, view: memoryview, wait_s: float) -> int:
        """Put bytes that come within `wait_s` into `view`; return how many, 0 for silence."""

    @abstractmethod
    def _ready(self) -> bool:
        """Return whether bytes are waiting in the back end."""

    @abstractmethod
    def _shut(self) -> None:
        """Disconnect, quietly."""

    def close(self) -> None:  # noqa: D102
        self._buffer.clear()
        self._shut()

    def read_line(self, end: bytes, timeout_s: float, until: float) -> bytes:  # noqa: D102
        searched = 0
        piece = bytearray(_PIECE)
        while (at := self._buffer.find(end, searched)) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise Desync(
                    f"{self.address}: {len(self._buffer)} bytes came without an end of line"
                )
            searched = max(0, len(self._buffer) - len(end) + 1)
            count = self._within(memoryview(piece), timeout_s, until)
            self._buffer += memoryview(piece)[:count]
        line = bytes(self._buffer[: at + len(end)])
        del self._buffer[: at + len(end)]
        return line

    def read_exact(self, count: int, timeout_s: float, until: float) -> bytearray:  # noqa: D102
        data = bytearray(count)
        got = min(count, len(self._buffer))
        data[:got] = self._buffer[:got]
        del self._buffer[:got]
        view = memoryview(data)
        while got < count:
            try:
                got += self._within(view[got:], timeout_s, until)
            except ReplyTimeout as error:
                if not got:
                    raise
                raise ShortTransfer(
                    f"{self.address}: {got} of {count} bytes came, then nothing more"
                ) from error
        return data

    def waiting(self) -> bool:  # noqa: D102
        return bool(self._buffer) or self._ready()

    def drain(self, quiet_s: float, until: float) -> int:  # noqa: D102
        thrown = len(self._buffer)
        self._buffer.clear()
        piece = memoryview(bytearray(_PIECE))
        while (left := until - time.monotonic()) > 0:
            count = self._receive_into(piece, min(quiet_s, left))
            if not count:
                break
            thrown += count
        return thrown

    def _within(self, view: memoryview, timeout_s: float, until: float) -> int:
        left = until - time.monotonic()
        if left > 0 and (count := self._receive_into(view, min(timeout_s, left))):
            return count
        over = "its deadline is over" if left <= timeout_s else f"nothing came for {timeout_s:g} s"
        raise ReplyTimeout(f"{self.address}: no (complete) reply, {over}")
