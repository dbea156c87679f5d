"""The traces of a network analyser: names, S-parameters, formats, transfers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.syntax import block
from simulators.bench.values import NOT_A_NUMBER, Parameters, ScpiError, text

__all__ = ["Traces", "formatted", "packed"]

Array = NDArray[Any]

_SHORT = re.compile(r"S([1-9])([1-9])")
_LONG = re.compile(r"S(\d+)_(\d+)")


class Traces:
    """Traces by name and number, one of them selected; after a preset one, S11."""

    def __init__(self) -> None:
        self._all: dict[str, tuple[int, str]] = {}
        self.preset()

    def preset(self) -> None:
        """Return to one trace, S11."""
        self._all = {"CH1_S11_1": (1, "S11")}
        self._selected = "CH1_S11_1"

    def clear(self) -> None:
        """Delete all."""
        self._all.clear()
        self._selected = ""

    def define(self, parameters: Parameters) -> None:
        """Make a trace of a name and an S-parameter."""
        if len(parameters) < 2:
            raise ScpiError(-109, "Missing parameter")
        name, measured = text(parameters[0]), text(parameters[1]).upper()
        if name in self._all:
            raise ScpiError(-224, f"Illegal parameter value; a trace {name!r} exists")
        ports(measured)
        taken = {k for k, _ in self._all.values()}
        number = next(k for k in range(1, len(taken) + 2) if k not in taken)
        self._all[name] = number, measured
        self._selected = self._selected or name

    def add(self, measured: str) -> None:
        """Make a trace whose name the analyser chooses."""
        number = max((k for k, _ in self._all.values()), default=0) + 1
        self.define((f"CH1_{measured}_{number}", measured))

    def delete(self, name: str) -> None:
        """Delete one."""
        self._all.pop(self._known(name))
        if self._selected == name:
            self._selected = next(iter(self._all), "")

    def select(self, name: str) -> None:
        """Select by name."""
        self._selected = self._known(name)

    def select_number(self, number: int) -> None:
        """Select by number."""
        for name, (own, _) in self._all.items():
            if own == number:
                self._selected = name
                return
        raise ScpiError(-222, f"Data out of range; there is no trace {number}")

    def modify(self, parameters: Parameters) -> None:
        """Let the selected trace measure something else."""
        if not parameters:
            raise ScpiError(-109, "Missing parameter")
        measured = text(parameters[0]).upper()
        ports(measured)
        self._all[self.name()] = self.number(), measured

    def name(self) -> str:
        """Return the selected trace's name."""
        return self._known(self._selected)

    def number(self) -> int:
        """Return the selected trace's number."""
        return self._all[self.name()][0]

    def parameter(self) -> str:
        """Return the selected trace's S-parameter."""
        return self._all[self.name()][1]

    def index(self) -> int:
        """Return the selected trace's place among all."""
        return list(self._all).index(self.name())

    def catalog(self) -> str:
        """Return names and S-parameters, by commas."""
        pairs = (f"{name},{measured}" for name, (_, measured) in self._all.items())
        return ",".join(pairs) or "NO CATALOG"

    def numbers(self) -> str:
        """Return the numbers, by commas."""
        return ",".join(str(number) for number, _ in self._all.values())

    def pairs(self) -> list[tuple[int, int]]:
        """Return answering and driven port of each trace."""
        return [ports(measured) for _, measured in self._all.values()]

    def _known(self, name: str) -> str:
        if name not in self._all:
            raise ScpiError(-221, f"Settings conflict; no trace {name!r}, or none is selected")
        return name


def ports(measured: str) -> tuple[int, int]:
    """Return answering and driven port of ``S21`` or ``S10_1``.

    Raises
    ------
    ScpiError
        -224 if it is no S-parameter.
    """
    found = _SHORT.fullmatch(measured) or _LONG.fullmatch(measured)
    if found is None:
        raise ScpiError(-224, f"Illegal parameter value; {measured!r} is no S-parameter")
    return int(found[1]), int(found[2])


def formatted(values: Array, form: str, frequencies: Array) -> Array:
    """Return complex values, (n,), as a format displays them: (n,), or (2 n,) for POL and SMIT."""
    phase = np.angle(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        if form in ("POL", "SMIT"):
            return values.astype(complex).view(float)
        if form == "GDEL":
            slope = np.gradient(np.unwrap(phase), frequencies) if len(values) > 1 else 0 * phase
            return -slope / (2 * np.pi)
        swr = (1 + np.abs(values)) / np.maximum(1 - np.abs(values), 1e-9)
        kinds: dict[str, Array] = {
            "MLIN": np.abs(values),
            "MLOG": np.maximum(20 * np.log10(np.abs(values)), -400.0),
            "PHAS": np.degrees(phase),
            "UPH": np.degrees(np.unwrap(phase)),
            "IMAG": values.imag,
            "REAL": values.real,
            "SWR": swr,
        }
        return kinds[form]


def packed(values: Array, kind: str, length: int, *, swapped: bool) -> bytes | str:
    """Return numbers as a block of floats, or in ASCII."""
    if kind == "ASC":
        return ",".join(NOT_A_NUMBER if np.isnan(v) else f"{v:+.12E}" for v in values)
    return block(values.astype(f"{'<' if swapped else '>'}f{length // 8}").tobytes())
