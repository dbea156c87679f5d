"""One client's connection to a virtual instrument: bytes in, whole replies out."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque

from simulators.bench.faults import COMMON_KINDS, Faults

__all__ = ["Instrument", "Link"]


class Link(ABC):
    """A connection: what was written and not yet understood, and replies not yet read.

    A subclass writes `_take`, which understands the bytes and calls `_reply`. Replies leave in
    their order; the faults of the link strike here. Thread safe.

    Parameters
    ----------
    instrument : Instrument
        What is connected; its lock is held while it works.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.ended = False
        self._ready = threading.Condition(instrument.lock)
        # When each reply may leave, and what leaves: bytes, or the end of the connection.
        self._replies: deque[tuple[float, bytes | OSError]] = deque()

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Understand bytes that were written."""

    def _forget(self) -> None:  # noqa: B027  (a hook with a sensible default)
        """Drop what was written and not yet understood."""

    def go_on(self) -> None:  # noqa: B027
        """Do what an operation of the instrument was in the way of."""

    @property
    def waiting(self) -> bool:
        """Whether a reply waits to be read."""
        return bool(self._replies)

    def write(self, data: bytes) -> None:
        """Send bytes to the instrument, which works on them before this returns."""
        with self._ready:
            self.instrument.heard(len(data))
            self._take(data)
            self._ready.notify_all()

    def read(self, timeout_s: float) -> bytes:
        """Return the next whole reply, or nothing if none comes in time.

        Parameters
        ----------
        timeout_s : float
            How long to wait, in s.

        Raises
        ------
        ConnectionAbortedError, ConnectionResetError
            If a fault ends the connection here; it is as new after that.
        """
        end = time.monotonic() + timeout_s
        with self._ready:
            while True:
                now = time.monotonic()
                ready = self._replies[0][0] if self._replies else math.inf
                if ready <= now:
                    break
                if now >= end:
                    return b""
                self._ready.wait(min(ready, end) - now)
            _, reply = self._replies.popleft()
            if isinstance(reply, OSError):
                self.clear()
                raise reply
            return reply

    def clear(self) -> None:
        """Forget unfinished messages and unread replies, as a new connection has none."""
        with self._ready:
            self._replies.clear()
            self._forget()

    def close(self) -> None:
        """End the connection; the instrument forgets it."""
        with self._ready:
            self.ended = True
            self.clear()
            self.instrument.links.discard(self)
            self._ready.notify_all()

    def _reply(self, data: bytes, what: str) -> None:
        """Queue a reply to the query `what`."""
        name, faults = self.instrument.name, self.instrument.faults
        at = time.monotonic()
        reply: bytes | OSError = data
        for kind in ("delay", "late"):
            if fault := faults.due(kind, name, what):
                at += fault.size
        if faults.due("stall", name, what):
            at = math.inf
        if fault := faults.due("short", name, what):
            reply = data[: int(fault.size * len(data))]
        if faults.due("drop", name, what):
            reply = ConnectionAbortedError(f"{name}: the connection was closed (fault drop)")
        if faults.due("reset", name, what):
            reply = ConnectionResetError(f"{name}: the connection was reset (fault reset)")
        with self._ready:
            self._replies.append((at, reply))
            self._ready.notify_all()


class Instrument(ABC):
    """What stands behind any number of links.

    It is a peer itself: `write` and `read` use a link of its own, for use in process.

    Parameters
    ----------
    name : str
        In the rig.
    faults : Faults or None
        Those of the bench.
    lock : RLock or None
        Shared by the instruments of one bench: they share one physics.
    """

    #: "tcp" for instruments with a LAN port, "serial" for those on a serial line.
    wire = "tcp"
    #: Kinds of faults that can strike it; a subclass adds those of what it measures.
    faults_of: tuple[str, ...] = COMMON_KINDS

    def __init__(
        self, name: str, faults: Faults | None = None, lock: threading.RLock | None = None
    ) -> None:
        self.name = name
        self.faults = Faults() if faults is None else faults
        self.lock = threading.RLock() if lock is None else lock
        self.links: set[Link] = set()
        self._own: Link | None = None

    @abstractmethod
    def _link(self) -> Link:
        """Return a new link."""

    def heard(self, n_bytes: int) -> None:  # noqa: B027  (a hook with a sensible default)
        """Take note that a host has written; for watchdogs."""

    def link(self) -> Link:
        """Return a new connection, with buffers of its own; the settings are shared."""
        with self.lock:
            made = self._link()
            self.links.add(made)
            return made

    def connect(self) -> None:
        """Begin anew on the instrument's own link, as a client does that connects."""
        self._mine().clear()

    def write(self, data: bytes) -> None:
        """Send bytes over the instrument's own link."""
        self._mine().write(data)

    def read(self, timeout_s: float) -> bytes:
        """Return a reply over the instrument's own link; see `Link.read`."""
        return self._mine().read(timeout_s)

    def _mine(self) -> Link:
        with self.lock:
            if self._own is None:
                self._own = self.link()
            return self._own
