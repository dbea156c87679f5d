"""Controllers of metasurfaces and other banks of bits, by lines of text from a template."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from devices.drivers.scpi import ScpiInstrument
from devices.errors import DeviceError, LimitError

__all__ = ["MetasurfaceController"]


class MetasurfaceController(ScpiInstrument):
    """Sets all elements at once; the role `Modulator`.

    Parameters
    ----------
    address : str
        See `devices.transports`.
    n_elements : int
    set : str
        Command, with ``{hex}`` (the first element is the highest bit of the first digit, filled
        up with zeros to whole bytes) or ``{bits}`` (a 0 or 1 for each element).
    ok : str
        What the controller answers to it; "" if it answers nothing.
    readback : str
        Question for the state, answered in the form of the command's argument; "" for none.
    off_command : str
        "" sets all elements to 0 by `set`.
    settle_s : float
        Time that the elements take to change.
    name, idn, identify : str
        See `ScpiInstrument` and `LinkSettings`; ``identify=""`` for one that has no name. There
        is no name that all controllers share: without an `idn`, any of them is taken.
    **link
        Settings of the transport.

    Raises
    ------
    ValueError
        If `set` has no place for the bits.
    """

    def __init__(
        self,
        address: str,
        *,
        n_elements: int,
        set: str = "BITS {hex}",
        ok: str = "OK",
        readback: str = "BITS?",
        off_command: str = "OFF",
        settle_s: float = 0.0,
        name: str = "metasurface",
        idn: str = "",
        identify: str = "*IDN?",
        **link: Any,
    ) -> None:
        # No register that could be used as an echo: the identity, or draining only.
        link = {"echo": identify or None} | link
        super().__init__(address, name=name, idn=idn, identify=identify, **link)
        self.n_elements = whole(name, "n_elements", n_elements, 1, 100_000)
        self.settle_s = number(name, "settle_s", settle_s, 0.0, 60.0)
        if "{hex}" not in set and "{bits}" not in set:
            raise ValueError(f"{name}: set={set!r} must contain {{hex}} or {{bits}}")
        self._set, self._ok, self._readback, self._off = set, ok, readback, off_command

    def set(self, values: NDArray[Any]) -> None:
        """Show bits of shape (n_elements,), each 0 or 1, and check that they were taken.

        Raises
        ------
        LimitError
            If there is another number of them, or one is neither 0 nor 1.
        DeviceError
            If the controller refuses, or shows something else.
        """
        bits = np.asarray(values)
        if bits.shape != (self.n_elements,) or not np.isin(bits, (0, 1)).all():
            raise LimitError(
                f"{self.name}: expected {self.n_elements} bits of 0 or 1, got shape {bits.shape}"
            )
        text = "".join(str(int(b)) for b in bits)
        packed = np.packbits(bits.astype(bool)).tobytes().hex().upper()
        self._command(self._set.format(hex=packed, bits=text))
        if self._readback:
            shown = self.ask(self._readback).strip().strip('"').upper()
            if shown not in (packed, text):
                raise DeviceError(
                    f"{self.name}: it shows {shown[:40]!r} after {self._set.split()[0]} "
                    f"{(packed if '{hex}' in self._set else text)[:40]!r}"
                )

    def off(self) -> None:
        """All elements to 0."""
        if self._off:
            self._command(self._off)
        else:
            self.set(np.zeros(self.n_elements))

    def _command(self, line: str) -> None:
        if not self._ok:
            self.send(line)
            return
        # Setting the same bits twice is the same as once: it may be repeated.
        answer = self.ask(line)
        if answer != self._ok:
            raise DeviceError(f"{self.name}: {line[:40]!r} was answered with {answer!r}")
