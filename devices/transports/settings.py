"""How to talk over a link: time limits, terminations, handshake, and what to do when it fails."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devices.transports.base import Transport

__all__ = ["LinkSettings"]

_POSITIVE = ("timeout_s", "deadline_s", "resync_s", "quiet_s")


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    r"""Settings of a `Transport`; every field but the last two may stand in ``rig.toml``.

    Parameters
    ----------
    timeout_s : float
        Longest silence, in seconds.
    deadline_s : float
        Longest time of one call, with all its retries.
    write_end, read_end : bytes or str
        Terminations of lines.
    identify : str
        Question of the handshake; "" for none.
    idn : str
        Regular expression that its answer must match; "" for any.
    echo : str or None
        Question that brings the link in step, with ``{n}`` for a number that the answer must
        have. ``*ESE`` is a register that every IEEE 488.2 instrument has and that nothing else
        here uses. Without ``{n}``, the answer must be that of the handshake. None: draining only.
    attempts : int
        How often an idempotent question is asked.
    reconnects : int
        How often a lost connection is opened again before `LinkDown` is raised.
    backoff_s : float
        Pause before the first of these; it doubles each time.
    resync_s : float
        Longest time to get in step.
    quiet_s : float
        Silence that ends the draining.
    token : str
        Said before all else, as the line ``TOKEN <token>``, to a virtual bench on another
        machine. ``env:NAME`` takes it from an environment variable, so that no file has it.
    hello, resync : callable, optional
        Replace the handshake (returns the identity) and the echo, for protocols of frames.

    Raises
    ------
    ValueError
        If a number is out of its range or `idn` is no regular expression.
    """

    timeout_s: float = 2.0
    deadline_s: float = 10.0
    write_end: bytes = b"\n"
    read_end: bytes = b"\n"
    identify: str = "*IDN?"
    idn: str = ""
    echo: str | None = "*ESE {n};*ESE?"
    attempts: int = 2
    reconnects: int = 3
    backoff_s: float = 0.1
    resync_s: float = 5.0
    quiet_s: float = 0.02
    token: str = field(default="", repr=False)
    hello: Callable[[Transport, float], str] | None = None
    resync: Callable[[Transport, float], None] | None = None

    def __post_init__(self) -> None:
        for name in ("write_end", "read_end"):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, value.encode("ascii"))
        if not self.read_end:
            raise ValueError("read_end is empty; a line needs a termination, usually \\n")
        if not isinstance(self.token, str) or not self.token.isprintable() or " " in self.token:
            raise ValueError("token must be a text of printable characters without spaces")
        for name in (*_POSITIVE, "backoff_s"):
            value = getattr(self, name)
            good = isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
            if not good or (name in _POSITIVE and value == 0):
                raise ValueError(f"{name}={value!r} must be a number of seconds above 0")
        for name, least in (("attempts", 1), ("reconnects", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
        try:
            re.compile(self.idn)
        except re.error as error:
            raise ValueError(f"idn={self.idn!r} is no regular expression: {error}") from error

    @property
    def secret(self) -> str:
        """The token itself, wherever it stands.

        Raises
        ------
        ValueError
            If there is no such environment variable.
        """
        where, colon, name = self.token.partition(":")
        if where != "env" or not colon:
            return self.token
        if not os.environ.get(name):
            raise ValueError(f"token={self.token!r}: the environment variable {name} is not set")
        return os.environ[name]
