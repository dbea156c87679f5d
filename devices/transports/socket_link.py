"""A connected TCP socket as a `StreamLink`."""

from __future__ import annotations

import select
import socket
import time

from devices.errors import LinkDown, ReplyTimeout
from devices.transports.link import StreamLink

__all__ = ["SocketLink"]


class SocketLink(StreamLink):
    """Bytes over a socket; a back end's, or one of its own.

    Parameters
    ----------
    host, port : str, int
        Where to connect, over TCP, with TCP_NODELAY: small writes go out at once.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 5.0) -> None:
        super().__init__(f"{host}:{port}")
        self._host, self._port, self._open_timeout_s = host, port, timeout_s
        self._socket: socket.socket | None = None

    def open(self) -> None:  # noqa: D102
        try:
            made = socket.create_connection((self._host, self._port), self._open_timeout_s)
        except OSError as error:
            raise LinkDown(f"{self.address}: cannot connect: {error}") from error
        self.adopt(made)

    def adopt(self, connected: socket.socket) -> None:
        """Talk over a socket that is connected already."""
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        self._buffer.clear()
        self._socket = connected

    def _shut(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def write(self, data: bytes, timeout_s: float, until: float) -> None:  # noqa: D102
        sock, view = self._connected(), memoryview(data)
        while view:
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                left = min(timeout_s, until - time.monotonic())
                if left <= 0 or not select.select([], [sock], [], left)[1]:
                    raise ReplyTimeout(
                        f"{self.address}: {len(view)} of {len(data)} bytes were not taken"
                    ) from None
            except OSError as error:
                raise LinkDown(f"{self.address}: sending failed: {error}") from error

    def _receive_into(self, view: memoryview, wait_s: float) -> int:
        sock = self._connected()
        end = time.monotonic() + wait_s
        while True:
            try:
                count = sock.recv_into(view)
            except BlockingIOError:
                left = end - time.monotonic()
                if left <= 0 or not select.select([sock], [], [], left)[0]:
                    return 0
                continue
            except OSError as error:
                raise LinkDown(f"{self.address}: receiving failed: {error}") from error
            if not count:
                raise LinkDown(f"{self.address}: the other side closed the connection")
            return count

    def _ready(self) -> bool:
        try:
            return bool(select.select([self._connected()], [], [], 0)[0])
        except OSError as error:
            raise LinkDown(f"{self.address}: {error}") from error

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise LinkDown(f"{self.address} is not connected")
        return self._socket
