"""A SCPI instrument: commands by their patterns, error queue, status registers, operations.

IEEE 488.2 common commands and the rules of SCPI-99: several units in a message, headers relative
to the one before, short and long forms in any case, blocks both ways.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from simulators.bench.faults import Faults
from simulators.bench.link import Instrument, Link
from simulators.bench.status import Status
from simulators.bench.syntax import Pattern, Unit, end_of_message, units
from simulators.bench.values import Parameters, ScpiError, boolean, nr3, number, one, word

__all__ = ["Numbers", "ScpiInstrument"]

#: The numbers in a header, such as (2,) for ``SOURce2:VOLTage``.
Numbers = tuple[int, ...]

_HEADERS = 4096  # headers whose commands are remembered
_WAITING = ("*OPC?", "*WAI")  # these wait for an operation that does not hold the instrument


@dataclass(frozen=True)
class Command:
    """What a header does when it is sent, and what it answers when it is asked."""

    pattern: Pattern
    act: Callable[[Numbers, Parameters], None] | None
    ask: Callable[[Numbers, Parameters], str | bytes] | None


@dataclass
class Message:
    """A message on its way: units not yet done, the header's path, replies so far."""

    units: deque[Unit]
    path: str = ""
    replies: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


class ScpiInstrument(Instrument):
    """Parses, keeps errors and status; a subclass adds its commands in the constructor.

    Parameters
    ----------
    name : str
        In the rig.
    idn : str
        Answer to ``*IDN?``: maker, model, serial number, firmware.
    faults, lock
        See `Instrument`.

    Attributes
    ----------
    settings : dict
        Values of the settings made by `number_setting` and its kin, by (key, numbers).
    busy : bool
        An operation is under way: ``*OPC?`` and ``*WAI`` wait for it.
    held : bool
        All commands wait for it, too.
    """

    def __init__(
        self,
        name: str,
        idn: str,
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, faults, lock)
        self.idn = idn
        self.busy = self.held = False
        self.settings: dict[tuple[str, Numbers], float | str | bool] = {}
        self._defaults: dict[str, float | str | bool] = {}
        self._commands: list[Command] = []
        self._known: dict[str, tuple[Command, Numbers]] = {}
        self.status = Status()
        self._common()

    # -- for a subclass ------------------------------------------------------------------------

    def command(
        self,
        pattern: str,
        act: Callable[[Numbers, Parameters], None] | None = None,
        ask: Callable[[Numbers, Parameters], str | bytes] | None = None,
    ) -> None:
        """Add a command: `act` where it is sent, `ask` where it is asked."""
        self._commands.append(Command(Pattern(pattern), act, ask))

    def number_setting(
        self,
        pattern: str,
        key: str,
        default: float,
        low: float,
        high: float,
        *,
        whole: bool = False,
        changed: Callable[[Numbers], None] | None = None,
    ) -> None:
        """Add a number in [low, high] that is kept; `changed` is called after it is set."""
        self._defaults[key] = default

        def act(numbers: Numbers, parameters: Parameters) -> None:
            value = number(one(parameters), low, high, default)
            self.settings[key, numbers] = round(value) if whole else value
            if changed:
                changed(numbers)

        def ask(numbers: Numbers, parameters: Parameters) -> str:
            limits = {"MIN": low, "MAX": high, "DEF": default}
            asked = word(parameters[0], ("MINimum", "MAXimum", "DEFault")) if parameters else ""
            value = limits[asked] if asked else float(self.setting(key, *numbers))
            return f"{round(value):+d}" if whole else nr3(value)

        self.command(pattern, act, ask)

    def word_setting(self, pattern: str, key: str, default: str, choices: Sequence[str]) -> None:
        """Add a word, one of `choices`, that is kept in its short form."""
        self._defaults[key] = default

        def act(numbers: Numbers, parameters: Parameters) -> None:
            self.settings[key, numbers] = word(one(parameters), choices)

        self.command(pattern, act, lambda numbers, _: str(self.setting(key, *numbers)))

    def switch_setting(
        self,
        pattern: str,
        key: str,
        default: bool = False,
        *,
        changed: Callable[[Numbers], None] | None = None,
    ) -> None:
        """Add a switch; `changed` is called after it is set."""
        self._defaults[key] = default

        def act(numbers: Numbers, parameters: Parameters) -> None:
            self.settings[key, numbers] = boolean(one(parameters))
            if changed:
                changed(numbers)

        self.command(pattern, act, lambda n, _: "1" if self.setting(key, *n) else "0")

    def setting(self, key: str, *numbers: int) -> float | str | bool:
        """Return the value of a setting."""
        return self.settings.get((key, numbers), self._defaults[key])

    def reset(self) -> None:
        """Return to the state after ``*RST``; a subclass adds its own."""
        self.settings.clear()
        self.finished()

    def error(self, code: int, text: str) -> None:
        """Put an entry into the error queue."""
        self.status.error(code, text)

    def began(self, *, held: bool = False) -> None:
        """Note that an operation is under way."""
        self.busy, self.held = True, held

    def finished(self) -> None:
        """Note that the operation has ended: what waited for it goes on."""
        self.busy = self.held = False
        self.status.operation_complete()
        for link in tuple(self.links):
            link.go_on()

    def abort(self) -> None:
        """Give up the operation under way; called when a client clears its connection."""
        if self.busy:
            self.finished()

    # -- the engine ----------------------------------------------------------------------------

    def _link(self) -> Link:
        return ScpiLink(self)

    def must_wait(self, unit: Unit) -> bool:
        """Whether a unit waits for the operation under way."""
        return self.held or (self.busy and unit.header.upper() in _WAITING)

    def run(self, unit: Unit, message: Message) -> bool:
        """Run one unit of a message; False if the rest of the message is to be dropped."""
        try:
            command, numbers = self._find(unit.header.rstrip("?"), message)
            handler = command.ask if unit.is_query else command.act
            if handler is None:
                raise ScpiError(-113, "Undefined header")
            answer = handler(numbers, unit.parameters)
        except ScpiError as error:
            self.error(error.code, error.text)
            return not -200 < error.code <= -100
        if unit.is_query:
            assert answer is not None
            message.replies.append(answer.encode() if isinstance(answer, str) else answer)
            message.asked.append(unit.header)
        return True

    def _find(self, header: str, message: Message) -> tuple[Command, Numbers]:
        if header.startswith("*"):
            full = header
        else:
            full = header[1:] if header.startswith(":") else message.path + header
            message.path = full[: full.rfind(":") + 1]
        key = full.upper()
        if key not in self._known:
            for command in self._commands:
                numbers = command.pattern.match(full)
                if numbers is not None:
                    break
            else:
                raise ScpiError(-113, "Undefined header")
            if len(self._known) >= _HEADERS:
                self._known.clear()
            self._known[key] = command, numbers
        return self._known[key]

    # -- common commands -----------------------------------------------------------------------

    def _common(self) -> None:
        add, status = self.command, self.status
        add("*IDN", ask=lambda *_: self._identity())
        add("*RST", lambda *_: self.reset())
        add("*CLS", lambda *_: self.status.clear())
        add("*OPC", lambda *_: status.operation_wanted(self.busy), lambda *_: "1")
        for silent in ("*WAI", "STATus:PRESet"):
            add(silent, lambda *_: None)
        for question, answer in (("*TST", "+0"), ("*OPT", '""'), ("SYSTem:VERSion", "1999.0")):
            add(question, ask=lambda *_, answer=answer: answer)
        add("*ESR", ask=lambda *_: f"{status.event():+d}")
        add("*STB", ask=lambda *_: f"{status.byte(any(x.waiting for x in self.links)):+d}")
        add("*ESE", lambda _, p: status.enable_event(one(p)), lambda *_: f"{status.ese:+d}")
        add("*SRE", lambda _, p: status.enable_request(one(p)), lambda *_: f"{status.sre:+d}")
        add("SYSTem:ERRor[:NEXT]", ask=lambda *_: status.next_error())
        add("SYSTem:ERRor:COUNt", ask=lambda *_: f"{status.n_errors:+d}")

    def _identity(self) -> str:
        fault = self.faults.due("identity", self.name)
        return "Elsewhere Instruments,Model 0,0,0" if fault else self.idn


class ScpiLink(Link):
    """A connection to a `ScpiInstrument`."""

    instrument: ScpiInstrument

    def __init__(self, instrument: ScpiInstrument) -> None:
        super().__init__(instrument)
        self._buffer = bytearray()
        self._messages: deque[Message] = deque()
        self._going = False

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while (end := end_of_message(self._buffer)) is not None:
            message = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            name = self.instrument.name
            if self.instrument.faults.due("error", name, message[:200].decode("latin-1")):
                self.instrument.error(-310, "System error; on demand")
            if todo := units(message):
                self._messages.append(Message(deque(todo)))
        self.go_on()

    def _forget(self) -> None:
        self._buffer.clear()
        self._messages.clear()
        if self.instrument.held:
            self.instrument.abort()

    def go_on(self) -> None:
        """Run what can be run now."""
        if self._going:  # a command that ends an operation is itself on its way
            return
        self._going = True
        try:
            self._go_on()
        finally:
            self._going = False

    def _go_on(self) -> None:
        while self._messages:
            message = self._messages[0]
            while message.units:
                if self.instrument.must_wait(message.units[0]):
                    return
                if not self.instrument.run(message.units.popleft(), message):
                    message.units.clear()
            self._messages.popleft()
            if message.replies:
                self._reply(b";".join(message.replies) + b"\n", ";".join(message.asked))
