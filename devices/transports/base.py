"""One conversation with one instrument, which cannot hand over the answer to another question."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from devices.errors import Desync, DeviceError, LinkDown
from devices.transports.blocks import block_header, length_digits, parse_length
from devices.transports.connection import Connection

__all__ = ["Transport"]

T = TypeVar("T")


class Transport(Connection):
    """Questions and answers over a `Link`, in step.

    * One lock: a question and its answer are never torn apart by another thread, nor are the
      calls of a `step`.
    * The silence (`timeout_s`) and the whole call (`deadline_s`) have their own limits.
    * After any failure the link counts as out of step: before its next use it is drained and asked
      for an echo until that comes (`resync`), or closed and opened again where a write was cut.
    * A question that may be asked twice (``idempotent``) is asked again after a failure, at most
      ``settings.attempts`` times; a write never is, nor anything inside a `step`.
    * A lost connection is opened again with growing pauses; the identity is checked, and the
      `on_reconnect` hooks write the last settings and read them back.

    Parameters
    ----------
    link : Link
        Not open yet; constructors do no I/O.
    settings : LinkSettings
        Time limits, terminations, handshake.
    """

    @contextmanager
    def step(self) -> Iterator[Self]:
        """Hold several calls together: they all work on one unbroken connection, or one fails.

        Other threads stay out. The link is put in step at the start; inside, nothing is asked
        twice and no connection is opened again, because a write before that may have been lost
        and the rest would then measure something else. The caller repeats the whole step.
        """
        with self.lock:
            if not self._stepping:
                self._mend(time.monotonic() + self.settings.deadline_s)
            self._stepping += 1
            try:
                yield self
            finally:
                self._stepping -= 1

    # -- talking -------------------------------------------------------------------------------

    def write(self, data: str | bytes, *, deadline_s: float | None = None) -> None:
        """Send a line (the termination is added) or bytes as they are. Never sent twice."""
        payload = self._line(data) if isinstance(data, str) else data
        self._do(lambda until: self._send(payload, until), deadline_s, idempotent=False)

    def query(self, text: str, *, idempotent: bool = True, deadline_s: float | None = None) -> str:
        """Ask and return the answer, without its termination.

        Parameters
        ----------
        text : str
            The question.
        idempotent : bool
            Whether it may be asked again after a failure; not so for registers that reading
            clears.
        deadline_s : float, optional
            For the whole call, another than the settings'; the answer may then be silent for
            all of it, as that to ``*OPC?`` is.

        Raises
        ------
        ReplyTimeout, LinkDown, Desync
            If no answer comes; the next use puts the link in step first.
        """

        def ask(until: float) -> str:
            self._send(self._line(text), until)
            silence = self.settings.timeout_s if deadline_s is None else deadline_s
            return self._text(self.link.read_line(self.settings.read_end, silence, until))

        return self._do(ask, deadline_s, idempotent=idempotent)

    def query_block(
        self, text: str, *, idempotent: bool = True, deadline_s: float | None = None
    ) -> bytearray:
        """Ask for a binary block and return exactly its bytes, newlines in it included.

        Raises
        ------
        ShortTransfer
            If fewer bytes come than the header announces.
        Desync
            If the answer is no block, or does not end with the termination.
        """

        def ask(until: float) -> bytearray:
            self._send(self._line(text), until)
            limits = self.settings.timeout_s, until
            start = self.link.read_exact(2, *limits)
            digits = self.link.read_exact(length_digits(start, self.address), *limits)
            data = self.link.read_exact(parse_length(digits, self.address), *limits)
            rest = self._read_line(until)
            if rest.strip():
                raise Desync(f"{self.address}: {len(rest)} bytes too many after a binary block")
            return data

        return self._do(ask, deadline_s, idempotent=idempotent)

    def write_block(self, text: str, payload: bytes, *, deadline_s: float | None = None) -> None:
        """Send `text`, then `payload` as a binary block of definite length. Never sent twice."""
        whole = b"".join(
            (text.encode("ascii"), block_header(len(payload)), payload, self.settings.write_end)
        )
        self._do(lambda until: self._send(whole, until), deadline_s, idempotent=False)

    def exchange(
        self,
        data: bytes,
        end: bytes,
        accept: Callable[[bytes], T | None],
        *,
        idempotent: bool = False,
        deadline_s: float | None = None,
    ) -> T:
        """Send bytes and return what `accept` makes of the answer; for protocols of frames.

        `accept` is called with everything up to and with `end`, and again with the next as long
        as it returns None: an answer to another question is dropped.
        """

        def ask(until: float) -> T:
            self._send(data, until)
            while True:
                frame = self.link.read_line(end, self.settings.timeout_s, until)
                if (answer := accept(frame)) is not None:
                    return answer
                self.traffic.thrown_lines += 1

        return self._do(ask, deadline_s, idempotent=idempotent)

    # -- staying in step -----------------------------------------------------------------------

    def clear(self) -> None:
        """Put the link in step now: drain it, then ask for an echo until that comes."""
        with self.lock:
            self._dirty = True
            self._mend(time.monotonic() + self.settings.resync_s)

    resync = clear

    def _do(self, step: Callable[[float], T], deadline_s: float | None, *, idempotent: bool) -> T:
        with self.lock:
            if not (self._is_open or self._mending):
                raise LinkDown(f"{self.address} is not open; call open() or use a with statement")
            seconds = self.settings.deadline_s if deadline_s is None else deadline_s
            until = time.monotonic() + seconds
            # One try in a step, and while mending, where nothing would mend in between.
            once = not idempotent or self._mending or self._stepping
            tries = 1 if once else self.settings.attempts
            for left in reversed(range(tries)):
                try:
                    self._mend(until)
                    return step(until)
                except DeviceError as error:
                    self._dirty = True
                    self._cut = self._cut or isinstance(error, LinkDown)
                    self._note(error)
                    if not (error.transient and left and time.monotonic() < until):
                        raise
                    self.traffic.retries += 1
                except BaseException:  # Ctrl-C between a question and its answer
                    self._dirty = True
                    raise
            raise AssertionError("unreachable")
