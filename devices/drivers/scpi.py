"""What all SCPI instruments have in common: settings that are read back, and the error queue."""

from __future__ import annotations

import logging
import math
from contextlib import AbstractContextManager
from typing import Any, Self

from devices.drivers.recipe import Recipe
from devices.errors import DeviceError, InstrumentError
from devices.transports import Transport, make_transport

__all__ = ["ScpiInstrument"]

_log = logging.getLogger("devices.drivers")
_MOST_ERRORS = 30  # longer queues are none; an instrument that always has one more is broken


class ScpiInstrument(Recipe):
    """Base of the SCPI drivers: one transport, one `configure` that can always be repeated.

    A driver writes `configure`, which brings the instrument from any state into that of the run
    and reads it back, `off`, and where it differs from doing nothing `hold`.

    Parameters
    ----------
    address : str
        See `devices.transports`.
    name : str
        What messages call the instrument.
    idn : str
        Regular expression that the answer to ``*IDN?`` must match.
    **link
        Settings of the transport.
    """

    error_query = "SYST:ERR?"

    def __init__(self, address: str, *, name: str, idn: str, **link: Any) -> None:
        self.name = name
        self.transport: Transport = make_transport(address, idn=idn, **link)
        self.transport.on_reconnect(self._restore)
        self._in_use = False
        self._read_back: dict[str, Any] = {}

    @property
    def identity(self) -> str:
        """The answer to ``*IDN?``."""
        return self.transport.identity

    def open(self) -> Self:
        """Connect, check the identity and configure."""
        self.transport.open()
        try:
            self.configure()
        except BaseException:
            self.transport.close()
            raise
        self._in_use = True
        return self

    def connect(self) -> Self:
        """Connect and check the identity, and change nothing; to make safe, or to look."""
        self.transport.open()
        return self

    def close(self) -> None:
        """Disconnect; may be called twice."""
        self._in_use = False
        self.transport.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        try:
            self.off()
        finally:
            self.close()

    def step(self) -> AbstractContextManager[Any]:
        """Keep the calls inside together, see `Transport.step`."""
        return self.transport.step()

    def configure(self) -> None:
        """Bring the instrument into the state of the run and read it back."""

    def on(self) -> None:
        """Come back from `off`; nothing to do where measuring itself switches on."""

    def hold(self) -> None:
        """Pause; nothing to do for most instruments."""

    def off(self) -> None:
        """Switch the output off."""

    def settings(self) -> dict[str, Any]:
        """Return identity and settings as read back."""
        return {"identity": self.identity, **self._read_back}

    def _restore(self) -> None:
        if self._in_use:  # one that was only connected, to look or to make safe, stays as it is
            self.configure()

    # -- for drivers ---------------------------------------------------------------------------

    def send(self, *commands: str) -> None:
        """Send commands, each as a line."""
        for command in commands:
            self.transport.write(command)

    def ask(self, question: str, *, once: bool = False, deadline_s: float | None = None) -> str:
        """Ask; with `once`, never twice, for registers that reading clears."""
        return self.transport.query(question, idempotent=not once, deadline_s=deadline_s)

    def number(self, question: str, *, once: bool = False) -> float:
        """Ask for a number."""
        answer = self.ask(question, once=once)
        try:
            return float(answer)
        except ValueError as error:
            raise DeviceError(
                f"{self.name}: {question} was answered with {answer!r}, no number"
            ) from error

    def verify(self, question: str, expected: float | str, *, tolerance: float = 1e-3) -> None:
        """Read a setting back and compare.

        Raises
        ------
        DeviceError
            If the instrument has another value: it was refused, rounded, or is coupled.
        """
        if isinstance(expected, str):
            answer: Any = self.ask(question).strip('"').upper()
            good = bool(answer) and (
                expected.upper().startswith(answer) or answer.startswith(expected.upper())
            )
        else:
            answer = self.number(question)
            good = math.isclose(answer, expected, rel_tol=tolerance, abs_tol=1e-9)
        if not good:
            raise DeviceError(
                f"{self.name}: {question} is {answer!r} after it was set to {expected!r}; the "
                f"instrument refused or rounded it. Its error queue: {self._queue()}"
            )
        self._read_back[question.rstrip("?")] = answer

    def check_errors(self) -> None:
        """Empty the error queue.

        Raises
        ------
        InstrumentError
            If there was one; the others are in its notes.
        """
        if errors := self._queue():
            code, text = errors[0]
            error = InstrumentError(code, f"{text} (reported by {self.name})")
            for code, text in errors[1:]:
                error.add_note(f"and {code}: {text}")
            raise error

    def _queue(self) -> list[tuple[int, str]]:
        errors = []
        for _ in range(_MOST_ERRORS):
            code, _, text = self.ask(self.error_query, once=True).partition(",")
            try:
                number = int(code)
            except ValueError as error:
                raise DeviceError(
                    f"{self.name}: {self.error_query} was answered with {code!r}"
                ) from error
            if number == 0:
                break
            errors.append((number, text.strip().strip('"')))
        return errors
