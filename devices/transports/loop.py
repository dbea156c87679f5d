"""A peer in the same process: for tests, and for a virtual bench without sockets."""

from __future__ import annotations

import time
from typing import Protocol

from devices.errors import LinkDown
from devices.transports.link import StreamLink

__all__ = ["LoopLink", "Peer", "peers", "register", "unregister"]


class Peer(Protocol):
    """What answers in this process."""

    def write(self, data: bytes) -> None:
        """Take bytes from the host."""

    def read(self, timeout_s: float) -> bytes:
        """Return bytes for the host, b"" if none come in time; ConnectionError if gone."""


_peers: dict[str, Peer] = {}


def register(name: str, peer: Peer) -> None:
    """Make `peer` reachable as ``loop:NAME`` in this process; a later one takes the name over."""
    _peers[name] = peer


def unregister(name: str) -> None:
    """Forget the peer of that name, if there is one."""
    _peers.pop(name, None)


def peers() -> list[str]:
    """Return the names that can be opened."""
    return sorted(_peers)


class LoopLink(StreamLink):
    """A line to a registered peer.

    Parameters
    ----------
    name : str
        Under which it is registered when the link is opened.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"loop:{name}")
        self._name = name
        self._peer: Peer | None = None
        self._held = b""  # came from the peer and did not fit into what was asked for

    def open(self) -> None:  # noqa: D102
        peer = _peers.get(self._name)
        if peer is None:
            raise LinkDown(
                f"{self.address}: nobody of that name in this process; there are "
                f"{', '.join(peers()) or 'none'}"
            )
        connect = getattr(peer, "connect", None)  # a new connection, for peers that care
        if connect is not None:
            try:
                connect()
            except OSError as error:
                raise LinkDown(f"{self.address}: {error}") from error
        self._buffer.clear()
        self._peer, self._held = peer, b""

    def _shut(self) -> None:
        self._peer = None

    def write(self, data: bytes, timeout_s: float, until: float) -> None:  # noqa: D102
        try:
            self._connected().write(bytes(data))
        except OSError as error:
            raise LinkDown(f"{self.address}: sending failed: {error}") from error

    def _receive_into(self, view: memoryview, wait_s: float) -> int:
        data = self._held or self._from_peer(wait_s)
        count = min(len(data), len(view))
        view[:count] = data[:count]
        self._held = data[count:]
        return count

    def _from_peer(self, wait_s: float) -> bytes:
        end = time.monotonic() + wait_s
        while True:
            try:
                data = self._connected().read(max(0.0, end - time.monotonic()))
            except OSError as error:
                raise LinkDown(f"{self.address}: the other side is gone: {error}") from error
            if data or time.monotonic() >= end:
                return data

    def _ready(self) -> bool:
        self._held = self._held or self._from_peer(0.0)
        return bool(self._held)

    def _connected(self) -> Peer:
        if self._peer is None:
            raise LinkDown(f"{self.address} is not connected")
        return self._peer
