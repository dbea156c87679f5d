"""What can go wrong on a real bench, on demand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["KINDS", "Fault", "Faults", "parse_fault"]


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it does, and the defaults of its value and of how often it strikes."""

    text: str
    value: float
    times: float


#: The kinds of faults. Those on the link strike replies; the others what the replies say.
KINDS = {
    "delay": Kind("every reply comes `value` seconds later", 0.05, math.inf),
    "late": Kind("a reply comes `value` seconds late, after the client has given up", 3.0, 1),
    "stall": Kind("a reply never comes, nor does anything after it, until reconnected", 0.0, 1),
    "short": Kind("a reply ends after the share `value` of its bytes", 0.5, 1),
    "drop": Kind("the connection is closed instead of a reply", 0.0, 1),
    "reset": Kind("the connection is reset instead of a reply", 0.0, 1),
    "nan": Kind("the numbers of a data reply are not numbers", 0.0, 1),
    "saturate": Kind("the signal at a converter is `value` times too large", 1e3, 1),
    "drift": Kind("each measurement has a gain by the share `value` larger", 1e-3, math.inf),
    "identity": Kind("another instrument answers *IDN?", 0.0, math.inf),
    "error": Kind("an entry appears in the error queue", 0.0, 1),
}
#: Those that strike every instrument: on the link, in its name, and in what it refuses.
COMMON_KINDS = ("delay", "late", "stall", "short", "drop", "reset", "identity", "error")


@dataclass
class Fault:
    """A fault to come.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    instrument : str
        Name of the instrument in the rig; "" strikes all.
    value : float or None
        Its size, see `KINDS`; None takes the default of the kind.
    after : int
        How many events go well before the first that does not. An event is a reply (delay, late,
        stall, short, drop, reset, identity), a reply with data (nan), a measurement (saturate,
        drift) or a message (error).
    times : float or None
        How often it strikes; None takes the default of the kind, `math.inf` is for ever.
    match : str
        Only events whose query contains this text, in any case, count: ``"WAV:DATA"``.

    Raises
    ------
    ValueError
        If the kind is unknown or a number is out of its range.
    """

    kind: str
    instrument: str = ""
    value: float | None = None
    after: int = 0
    times: float | None = None
    match: str = ""
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault {self.kind!r} is not one of {', '.join(KINDS)}")
        kind = KINDS[self.kind]
        self.value = kind.value if self.value is None else self.value
        self.times = kind.times if self.times is None else self.times
        if not math.isfinite(self.value) or self.after < 0 or self.times < 0:
            raise ValueError(
                f"fault {self.kind!r}: value={self.value!r} must be finite, after={self.after!r} "
                f"and times={self.times!r} at least 0"
            )

    @property
    def size(self) -> float:
        """The value, default included."""
        assert self.value is not None
        return self.value

    def __str__(self) -> str:
        where = f"{self.instrument}:" if self.instrument else ""
        return f"{where}{self.kind}"

    def strikes(self, what: str) -> bool:
        """Count an event and say whether the fault strikes it."""
        assert self.times is not None
        if self.match.upper() not in what.upper():
            return False
        self.seen += 1
        if self.seen <= self.after or self.struck >= self.times:
            return False
        self.struck += 1
        return True


class Faults:
    """The faults of one bench, asked by its links and instruments as events happen."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.all = list(faults)
        self._kinds: dict[str, Sequence[str]] = {}

    def belong_to(self, kinds: Mapping[str, Sequence[str]]) -> None:
        """Take note which kinds can strike which instrument; from now on others are refused.

        Raises
        ------
        ValueError
            If a fault that is there already could never strike.
        """
        self._kinds = dict(kinds)
        for fault in self.all:
            self._check(fault)

    def _check(self, fault: Fault) -> None:
        if fault.instrument and fault.instrument not in self._kinds:
            raise ValueError(
                f"bench: fault for {fault.instrument!r}, which the rig has not; it has "
                f"{', '.join(self._kinds)}"
            )
        concerned = {n: k for n, k in self._kinds.items() if fault.instrument in ("", n)}
        if not any(fault.kind in kinds for kinds in concerned.values()):
            raise ValueError(
                f"bench: fault {fault.kind!r} cannot strike "
                + " or ".join(f"{n}, which has {', '.join(k)}" for n, k in concerned.items())
            )

    def add(self, fault: Fault | str) -> Fault:
        """Let another fault come; a text is read by `parse_fault`.

        Raises
        ------
        ValueError
            If it could never strike.
        """
        made = parse_fault(fault) if isinstance(fault, str) else fault
        if self._kinds:
            self._check(made)
        self.all.append(made)
        return made

    def clear(self) -> None:
        """Call off all faults."""
        self.all.clear()

    def due(self, kind: str, instrument: str, what: str = "") -> Fault | None:
        """Return the fault of a kind that strikes this event; every matching one counts it."""
        struck = [
            fault
            for fault in self.all
            if fault.kind == kind and fault.instrument in ("", instrument) and fault.strikes(what)
        ]
        return struck[0] if struck else None


def parse_fault(text: str) -> Fault:
    """Read ``[INSTRUMENT:]KIND[=VALUE][,after=N][,times=N][,match=TEXT]``.

    Raises
    ------
    ValueError
        If the text has another form.

    Examples
    --------
    >>> parse_fault("scope:late=2.5,after=10").size
    2.5
    """
    head, *options = text.split(",")
    where, _, what = head.rpartition(":")
    kind, _, value = what.partition("=")
    words: dict[str, str] = {}
    for option in options:
        key, equals, setting = option.partition("=")
        if not equals or key.strip() not in ("after", "times", "match"):
            raise ValueError(
                f"fault {text!r}: {option!r} is not one of after=N, times=N, match=TEXT; the form "
                "is [INSTRUMENT:]KIND[=VALUE][,after=N][,times=N][,match=TEXT]"
            )
        words[key.strip()] = setting.strip()
    try:
        return Fault(
            kind.strip(),
            where.strip(),
            float(value) if value else None,
            after=int(words.get("after", 0)),
            times=float(words["times"]) if "times" in words else None,
            match=words.get("match", ""),
        )
    except ValueError as error:
        raise ValueError(f"fault {text!r}: {error}") from error
