"""A connection to one instrument that knows who answers, and gets back in step or back at all."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from devices.errors import Desync, DeviceError, LinkDown, ReplyTimeout
from devices.transports.link import Link
from devices.transports.settings import LinkSettings

if TYPE_CHECKING:
    from devices.transports.base import Transport

__all__ = ["Connection", "Traffic"]

_log = logging.getLogger("devices.transports")


@dataclass
class Traffic:
    """What a transport had to do beside its work; all counted since it was made."""

    resyncs: int = 0
    reconnects: int = 0
    retries: int = 0
    thrown_bytes: int = 0
    thrown_lines: int = 0
    faults: deque[str] = field(default_factory=lambda: deque(maxlen=100))


class Connection:
    """The life of a link: handshake, getting in step, opening again. `Transport` talks over it.

    Parameters
    ----------
    link : Link
        Not open yet; constructors do no I/O.
    settings : LinkSettings
        Time limits, terminations, handshake.
    """

    def __init__(self, link: Link, settings: LinkSettings | None = None) -> None:
        self.link = link
        self.settings = settings or LinkSettings()
        self.traffic = Traffic()
        self.identity = ""
        self.lock = threading.RLock()
        self._hooks: list[Callable[[], object]] = []
        self._is_open = self._dirty = self._cut = self._mending = False
        self._stepping = 0
        self._nonces = itertools.cycle(range(1, 256))

    # -- life cycle ----------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where the instrument is."""
        return self.link.address

    def open(self) -> Self:
        """Connect and check who answers; nothing on an open transport.

        Raises
        ------
        LinkDown
            If nobody answers.
        DeviceError
            If somebody else does.
        """
        with self.lock:
            if not self._is_open:
                self._connect()
                self._is_open = True
        return self

    def close(self) -> None:
        """Disconnect; may be called twice."""
        with self.lock:
            self._is_open = self._cut = self._dirty = False
            self.link.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def on_reconnect(self, hook: Callable[[], object]) -> None:
        """Call `hook` whenever a lost connection is back, to write settings and verify them."""
        self._hooks.append(hook)

    # -- staying in step -----------------------------------------------------------------------

    def _mend(self, until: float) -> None:
        """Bring a link that failed back in step, by the gentlest way that works."""
        if self._mending:  # called from a hook or from the handshake, which use the link itself
            return
        if self._stepping and (self._dirty or self._cut or self.link.waiting()):
            self._dirty = True
            raise Desync(f"{self.address}: out of step in the middle of a step, which starts anew")
        if not self._cut and not self._dirty and self.link.waiting():
            self._note("bytes came that nobody had asked for")
            self._dirty = True
        if not (self._dirty or self._cut):
            return
        self._mending = True
        try:
            if not self._cut:
                try:
                    self._echo(min(until, time.monotonic() + self.settings.resync_s))
                    self.traffic.resyncs += 1
                    self._dirty = False
                    return
                except (LinkDown, ReplyTimeout, Desync) as error:
                    self._note(error)
                    self._cut = True
            self._reconnect(until)
        finally:
            self._mending = False

    def _echo(self, until: float) -> None:
        """Drain, then ask for numbers that were not asked for before until two came in a row."""
        self.traffic.thrown_bytes += self.link.drain(self.settings.quiet_s, until)
        if self.settings.resync is not None:
            self.settings.resync(cast("Transport", self), until)
            return
        if self.settings.echo is None:
            return
        for _ in range(2):
            number = next(self._nonces)
            question = self.settings.echo.format(n=number)
            expected = self.identity if "{n}" not in self.settings.echo else str(number)
            self._send(self._line(question), until)
            while True:
                # Patient up to the deadline: the late reply that we wait out may be slow to come.
                line = self.link.read_line(self.settings.read_end, until - time.monotonic(), until)
                answer = line.decode("ascii", "replace").strip()
                if answer == expected or answer.lstrip("+") == expected:
                    break
                self.traffic.thrown_lines += 1

    def _reconnect(self, until: float) -> None:
        """Close and open again, with growing pauses; then restore the settings."""
        self._cut = True  # until everything below has worked
        pause, last = self.settings.backoff_s, None
        for _ in range(self.settings.reconnects):
            self.link.close()
            time.sleep(max(0.0, min(pause, until - time.monotonic())))
            pause *= 2
            try:
                self._connect()
                for hook in self._hooks:
                    hook()
            except (LinkDown, ReplyTimeout, Desync) as error:
                last = error
                self._note(error)
                if time.monotonic() >= until:
                    break
            else:
                self._cut = self._dirty = False
                self.traffic.reconnects += 1
                return
        raise LinkDown(
            f"{self.address}: the connection is lost and could not be opened again; is the "
            f"instrument on, the cable in, and nobody else connected? Last: {last}"
        ) from last

    def _connect(self) -> None:
        self.link.open()
        was, self._mending = self._mending, True
        try:
            if secret := self.settings.secret:
                self._send(b"TOKEN " + secret.encode() + b"\n", self._soon())
            self._handshake()
        except BaseException as error:
            self.link.close()
            if self.settings.token and isinstance(error, LinkDown):
                raise LinkDown(f"{error}; is the token right?") from error
            raise
        finally:
            self._mending = was

    def _handshake(self) -> None:
        settings = self.settings
        until = self._soon()
        if settings.hello is not None:
            self.identity = settings.hello(cast("Transport", self), until)
        elif settings.identify:
            self._send(self._line(settings.identify), until)
            try:
                self.identity = self._text(self._read_line(until))
            except ReplyTimeout as error:
                raise LinkDown(
                    f"{self.address} opens, but nobody answers {settings.identify}: {error}"
                ) from error
        if settings.idn and not re.search(settings.idn, self.identity):
            raise DeviceError(
                f"{self.address}: {self.identity!r} answers, expected one matching "
                f"{settings.idn!r}; correct `address` or `idn` of this instrument"
            )

    # -- small parts ---------------------------------------------------------------------------

    def _soon(self) -> float:
        return time.monotonic() + self.settings.deadline_s

    def _send(self, data: bytes, until: float) -> None:
        try:
            self.link.write(data, self.settings.timeout_s, until)
        except BaseException:
            self._cut = True  # half a command may be inside: no echo would be understood
            raise

    def _read_line(self, until: float) -> bytes:
        return self.link.read_line(self.settings.read_end, self.settings.timeout_s, until)

    def _line(self, text: str) -> bytes:
        return text.encode("ascii") + self.settings.write_end

    def _text(self, line: bytes) -> str:
        try:
            return line.decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise Desync(f"{self.address}: the answer {line[:40]!r} is no text") from error

    def _note(self, what: Any) -> None:
        _log.info("%s: %s", self.address, what)
        self.traffic.faults.append(str(what))
