"""Instruments behind real links: TCP ports and pseudo-terminals."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import os
import select
import socket
import struct
import threading
from typing import Protocol

from simulators.bench.link import Instrument, Link

__all__ = ["PtyServer", "Server", "TcpServer"]

_CHUNK = 1 << 16
_PATIENCE_S = 0.1  # how long a thread waits before it looks whether it is to end
_GLANCE_S = 0.01  # between looks at a terminal that nobody has open
_TOKEN_S = 5.0  # how long a client has to say the token
_LONGEST_TOKEN = 256


class Server(Protocol):
    """What serves one instrument."""

    @property
    def address(self) -> str:
        """What to put into a rig file."""
        ...

    def close(self) -> None:
        """End all connections and stop."""
        ...


class TcpServer:
    """Serves an instrument on a TCP port; each client has a connection of its own.

    Parameters
    ----------
    instrument : Instrument
    host : str
        Address to listen on.
    port : int
        0 takes a free one.
    token : str
        What a client must say first, as the line ``TOKEN <token>``; needed, and asked for, unless
        `host` is a loopback address.

    Raises
    ------
    ValueError
        If `host` is not a loopback address and there is no token.
    OSError
        If the port is taken.
    """

    def __init__(
        self, instrument: Instrument, host: str = "127.0.0.1", port: int = 0, token: str = ""
    ) -> None:
        self._loopback = _is_loopback(host)
        if not self._loopback and not token:
            raise ValueError(
                f"bench: host={host!r} can be reached from other machines; give a token, which "
                "every client must then say first, or stay on 127.0.0.1"
            )
        self._token = "" if self._loopback else token
        self.instrument = instrument
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self._listener.settimeout(_PATIENCE_S)
        self.host, self.port = host, int(self._listener.getsockname()[1])
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        """VISA resource name, or for an instrument on a serial line the URL of pyserial."""
        if self.instrument.wire == "serial":
            return f"socket://{self.host}:{self.port}"
        return f"TCPIP::{self.host}::{self.port}::SOCKET"

    def close(self) -> None:
        """End all connections and free the port."""
        self._ending.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(2.0)

    def _listen(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._token and not _knows(connection, self._token):
                return
            link = self.instrument.link()
            sender = threading.Thread(target=self._send, args=(connection, link), daemon=True)
            sender.start()
            try:
                # The thread that sends ends where a fault ends the connection.
                while sender.is_alive() and not self._ending.is_set():
                    if not select.select([connection], [], [], _PATIENCE_S)[0]:
                        continue
                    data = connection.recv(_CHUNK)
                    if not data:
                        return
                    link.write(data)
            except OSError:
                return
            finally:
                link.close()
                sender.join(1.0)

    def _send(self, connection: socket.socket, link: Link) -> None:
        while not self._ending.is_set() and not link.ended:
            try:
                data = link.read(_PATIENCE_S)
                if data:
                    connection.sendall(data)
            except ConnectionResetError:
                # Lingering for 0 s makes the closing send RST instead of FIN.
                with contextlib.suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            except OSError:
                return


class PtyServer:
    """Serves an instrument on a pseudo-terminal, which a client opens like a serial port.

    Not on Windows. There is no connection that could be closed: drop and reset are silences there.
    A client that closes the terminal, or ends, leaves the link as new.

    Parameters
    ----------
    instrument : Instrument

    Raises
    ------
    OSError
        If the system has no pseudo-terminals.
    """

    def __init__(self, instrument: Instrument) -> None:
        try:
            import pty
            import tty
        except ImportError as error:
            raise OSError("this system has no pseudo-terminals; serve on socket://") from error
        self.instrument = instrument
        self._link = instrument.link()
        self._near, far = pty.openpty()
        tty.setraw(far)
        self.address = f"serial://{os.ttyname(far)}"
        os.close(far)  # the clients are the only ones at the far end: their leaving is seen
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._receive, self._send)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Remove the terminal."""
        self._ending.set()
        for thread in self._threads:
            thread.join(2.0)
        self._link.close()
        os.close(self._near)

    def _receive(self) -> None:
        watch, there = select.poll(), False
        watch.register(self._near, select.POLLIN)
        while not self._ending.is_set():
            events = dict(watch.poll(1e3 * _PATIENCE_S)).get(self._near, 0)
            if events & select.POLLIN:
                there = True
                with contextlib.suppress(OSError):
                    self._link.write(os.read(self._near, _CHUNK))
            elif events & select.POLLHUP:  # nobody is at the far end
                if there:
                    self._link.clear()
                    there = False
                self._ending.wait(_GLANCE_S)

    def _send(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(OSError):
                data = memoryview(self._link.read(_PATIENCE_S))
                while data and not self._ending.is_set():
                    if select.select([], [self._near], [], _PATIENCE_S)[1]:
                        data = data[os.write(self._near, data[:4096]) :]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _knows(connection: socket.socket, token: str) -> bool:
    """Read the first line and say whether it is the token; byte by byte, what follows is kept."""
    connection.settimeout(_TOKEN_S)
    line = bytearray()
    try:
        while len(line) < _LONGEST_TOKEN and not line.endswith(b"\n"):
            got = connection.recv(1)
            if not got:
                return False
            line += got
    except OSError:
        return False
    connection.settimeout(None)
    return hmac.compare_digest(bytes(line).strip(), f"TOKEN {token}".encode())
