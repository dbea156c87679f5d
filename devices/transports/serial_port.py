"""Serial lines, and the same protocols over TCP, by pyserial."""

from __future__ import annotations

import io
import select
import time
from typing import Any

from devices.errors import LinkDown, ReplyTimeout
from devices.extras import require
from devices.transports.link import StreamLink

__all__ = ["SerialLink", "serial_ports"]

_PIECE = 2**14
_POLL_S = 0.0005  # where the system cannot wait for a port
_WRITE_TIMEOUT_S = 2.0


def serial_ports() -> list[tuple[str, str]]:
    """Return the name and the description of every serial port.

    Raises
    ------
    MissingExtraError
        If pyserial is not installed.
    """
    ports = require("serial.tools.list_ports", "serial").comports()
    return sorted((str(port.device), str(port.description)) for port in ports)


class SerialLink(StreamLink):
    """A serial line, or ``socket://host:port``, which pyserial serves with the same calls.

    Parameters
    ----------
    port : str
        ``/dev/ttyACM0``, ``COM3`` or ``socket://host:port``.
    baud : int
        Bits per second; of no effect on USB and sockets.
    exclusive : bool
        Keep other programs off the line.
    start_s : float
        Wait after opening, for boards that restart when a line is opened.
    """

    def __init__(
        self, port: str, *, baud: int = 115200, exclusive: bool = True, start_s: float = 0.0
    ) -> None:
        super().__init__(port)
        self._baud, self._exclusive, self._start_s = baud, exclusive, start_s
        self._port: Any = None

    def open(self) -> None:  # noqa: D102
        serial = require("serial", "serial")
        options: dict[str, Any] = {
            "baudrate": self._baud,
            "timeout": 0,
            "write_timeout": _WRITE_TIMEOUT_S,
        }
        if "://" not in self.address:
            options["exclusive"] = self._exclusive or None
        try:
            self._port = serial.serial_for_url(self.address, **options)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise LinkDown(
                f"{self.address} cannot be opened: {error}; is it plugged in, and no other "
                "program using it?"
            ) from error
        self._buffer.clear()
        if self._start_s:
            time.sleep(self._start_s)

    def _shut(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except OSError:
                return

    def write(self, data: bytes, timeout_s: float, until: float) -> None:  # noqa: D102
        port, view = self._opened(), memoryview(data)
        timed_out = require("serial", "serial").SerialTimeoutException
        while view:
            if time.monotonic() >= until:
                raise ReplyTimeout(f"{self.address}: {len(view)} of {len(data)} bytes left over")
            try:
                port.write(view[:_PIECE])
            except timed_out as error:
                raise ReplyTimeout(f"{self.address}: the line takes no more bytes") from error
            except (OSError, TypeError) as error:
                raise LinkDown(f"{self.address}: sending failed: {error}") from error
            view = view[_PIECE:]

    def _receive_into(self, view: memoryview, wait_s: float) -> int:
        size = min(len(view), _PIECE)
        data = self._read(size) or (self._read(size) if self._wait(wait_s) else b"")
        view[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            # The port's time-out is 0: what is there comes, and nothing is waited for.
            return bytes(self._opened().read(size))
        except (OSError, TypeError) as error:  # TypeError: pyserial, of a port that was closed
            raise LinkDown(f"{self.address}: the line is gone: {error}") from error

    def _ready(self) -> bool:
        return self._wait(0.0)

    def _wait(self, wait_s: float) -> bool:
        port, end = self._opened(), time.monotonic() + wait_s
        try:
            if (handle := _handle(port)) is not None:
                return bool(select.select([handle], [], [], wait_s)[0])
            while not port.in_waiting:
                if time.monotonic() >= end:
                    return False
                time.sleep(_POLL_S)
            return True
        except (OSError, TypeError, ValueError) as error:
            raise LinkDown(f"{self.address}: the line is gone: {error}") from error

    def _opened(self) -> Any:
        if self._port is None:
            raise LinkDown(f"{self.address} is not connected")
        return self._port


def _handle(port: Any) -> int | None:
    """Return what `select` can wait for: of POSIX, and of socket:// anywhere; not of COM ports."""
    try:
        return int(port.fileno())
    except io.UnsupportedOperation:  # every port has the method, by its base class
        return None
