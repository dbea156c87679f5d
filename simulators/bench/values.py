"""Values in SCPI: numbers with units, booleans, words in their short and long forms."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = [
    "INFINITY",
    "NOT_A_NUMBER",
    "Parameters",
    "ScpiError",
    "boolean",
    "nr3",
    "number",
    "one",
    "text",
    "word",
]

#: A command's parameters: text, or the bytes of a block.
Parameters = tuple[str | bytes, ...]

#: How SCPI writes a number that is none, and infinity.
NOT_A_NUMBER = "9.91E+37"
INFINITY = 9.9e37

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee]\s*[+-]?\d+)?)\s*([A-Za-z%]*)")
_MULTIPLIERS = {
    "": 1.0, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12,
}  # fmt: skip
_UNITS = ("HZ", "SA/S", "VPP", "VRMS", "DBM", "V", "S", "OHM", "DEG", "PCT", "%", "A", "W", "")
_BASES = {"#H": 16, "#Q": 8, "#B": 2}


class ScpiError(Exception):
    """What goes into the error queue: a code of SCPI-99 vol. 2 ch. 21, or the instrument's own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code:+d},{text}")
        self.code = code
        self.text = text


def one(parameters: Parameters) -> str | bytes:
    """Return the only parameter of a command.

    Raises
    ------
    ScpiError
        -109 if there is none, -108 if there are more.
    """
    if not parameters:
        raise ScpiError(-109, "Missing parameter")
    if len(parameters) > 1:
        raise ScpiError(-108, "Parameter not allowed")
    return parameters[0]


def number(
    given: str | bytes, low: float = -math.inf, high: float = math.inf, default: float | None = None
) -> float:
    """Read a number in [low, high]: ``1.5``, ``20 kHz``, ``MIN``, ``INF``, ``#HFF``.

    Raises
    ------
    ScpiError
        -104 or -131 if it is no number, -222 if it is out of its range.
    """
    if isinstance(given, bytes):
        raise ScpiError(-104, "Data type error")
    words = {"MIN": low, "MAX": high, "DEF": default, "INF": INFINITY, "NINF": -INFINITY}
    words |= {"MINIMUM": low, "MAXIMUM": high, "DEFAULT": default, "INFINITY": INFINITY}
    sought = given.upper()
    if sought in words:
        value = words[sought]
        if value is None or not math.isfinite(value):
            raise ScpiError(-224, "Illegal parameter value")
        if abs(value) >= INFINITY > max(abs(low), abs(high)):
            raise ScpiError(-222, "Data out of range")
        return value
    if sought[:2] in _BASES:
        try:
            value = float(int(sought[2:], _BASES[sought[:2]]))
        except ValueError:
            raise ScpiError(-121, "Invalid character in number") from None
    else:
        found = _NUMBER.fullmatch(given.strip())
        if found is None:
            raise ScpiError(-104, "Data type error")
        value = float(found[1].replace(" ", "")) * _multiplier(found[2].upper())
    if not low <= value <= high:
        raise ScpiError(-222, f"Data out of range; {value:g} is not in [{low:g}, {high:g}]")
    return value


def _multiplier(unit: str) -> float:
    for known in _UNITS:
        prefix = unit.removesuffix(known) if known else unit
        if (known and not unit.endswith(known)) or prefix not in _MULTIPLIERS:
            continue
        if prefix == "M" and known in ("HZ", "OHM", "SA/S"):
            return 1e6  # SCPI: MHZ and MOHM are mega
        return _MULTIPLIERS[prefix]
    raise ScpiError(-131, "Invalid suffix")


def boolean(given: str | bytes) -> bool:
    """Read ``ON``, ``OFF`` or a number, of which 0 is off.

    Raises
    ------
    ScpiError
        -104 if it is none of these.
    """
    sought = given.upper() if isinstance(given, str) else ""
    if sought in ("ON", "OFF"):
        return sought == "ON"
    return round(number(given)) != 0


def word(given: str | bytes, choices: Sequence[str]) -> str:
    """Read one of `choices`, written as ``SINusoid``; return its short form.

    Raises
    ------
    ScpiError
        -224 if it is none of these.
    """
    sought = given.upper() if isinstance(given, str) else ""
    for choice in choices:
        short = "".join(c for c in choice if not c.islower())
        if sought in (short, choice.upper()):
            return short
    raise ScpiError(-224, f"Illegal parameter value; {sought} is not one of {', '.join(choices)}")


def text(given: str | bytes) -> str:
    """Read a string in single or double quotation marks, or bare.

    Raises
    ------
    ScpiError
        -151 if it is a block, or a quotation mark is missing.
    """
    if isinstance(given, bytes):
        raise ScpiError(-151, "Invalid string data")
    if given[:1] in ("'", '"'):
        if len(given) < 2 or given[-1] != given[0]:
            raise ScpiError(-151, "Invalid string data")
        return given[1:-1].replace(given[0] * 2, given[0])
    return given


def nr3(value: float) -> str:
    """Write a number as ``+1.00000000000000E+03``.

    Examples
    --------
    >>> nr3(9.9e37), nr3(float("nan"))
    ('+9.90000000000000E+37', '9.91E+37')
    """
    return NOT_A_NUMBER if math.isnan(value) else f"{value:+.14E}"
