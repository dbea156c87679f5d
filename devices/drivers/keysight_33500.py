"""Arbitrary-waveform generators of the Keysight 33500B and 33600A families."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of
from devices.drivers.scpi import ScpiInstrument
from devices.errors import DeviceError, LimitError

__all__ = ["Keysight33500"]

_FULL_CODE = 32767
_LEAST_POINTS = 8
_FILTERS = {"off": "OFF", "normal": "NORM", "step": "STEP"}
_INFINITE_OHM = 9.9e37  # how SCPI writes infinity


class Keysight33500(ScpiInstrument):
    """A generator that plays finite bursts at a software trigger; the role `Source`.

    The volts that the instrument states are those at the load that it is told: with 50 ohm set
    and a high impedance connected they double. So `load_ohm` has no default, and is set with the
    limits off (it cannot change while they are on), before the volts, and read back.

    Parameters
    ----------
    address : str
        See `devices.transports`.
    load_ohm : float
        What is really connected; ``inf`` for a high impedance, 50 for a matched input.
    channels : sequence of int
        Outputs in use, in the order of the waveforms.
    filter : {"off", "normal", "step"}
        The instrument's filter of arbitrary waveforms.
    reference_10mhz : bool or None
        True takes the external reference, False the own one, None leaves it.
    name, idn : str
        See `ScpiInstrument`.
    **link
        Settings of the transport.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    def __init__(
        self,
        address: str,
        *,
        load_ohm: float,
        channels: Sequence[int] = (1,),
        filter: Literal["off", "normal", "step"] = "off",
        reference_10mhz: bool | None = None,
        name: str = "generator",
        idn: str = r"33[56]\d\d[AB]",
        **link: Any,
    ) -> None:
        super().__init__(address, name=name, idn=idn, **link)
        if not (isinstance(load_ohm, (int, float)) and load_ohm >= 1):
            raise ValueError(f"{name}: load_ohm={load_ohm!r} must be 1 to 10000, or inf")
        self.load_ohm = float(load_ohm)
        self.channels = tuple(channels)
        if not self.channels or any(c not in (1, 2) for c in self.channels):
            raise ValueError(f"{name}: channels={channels!r} must be 1, 2 or both")
        self._filter = _FILTERS[one_of(name, "filter", filter, tuple(_FILTERS))]
        self._reference = reference_10mhz
        self.sample_rate_hz = self.full_scale_v = 0.0
        self._points = _LEAST_POINTS
        self._loaded: set[int] = set()

    def prepare(self, sample_rate_hz: float, full_scale_v: float, points: int) -> None:
        """Fix the run's rate in Hz, range (peak, in V at the load) and length in samples.

        The range is rounded up to what the instrument can be set to, see `full_scale_v`.
        """
        self.sample_rate_hz = number(
            self.name, "sample_rate_hz", sample_rate_hz, 1e-6, 1e9, above=True
        )
        highest = 10.0 if math.isinf(self.load_ohm) else 10 * self.load_ohm / (50 + self.load_ohm)
        number(self.name, "full_scale_v", full_scale_v, 0.5e-3, highest)
        # The instrument keeps four digits; it must not be the one who rounds. Even ones, so that
        # half of the peak-to-peak value, which is the limit, has four digits too.
        digit = 10.0 ** (math.floor(math.log10(2 * full_scale_v)) - 3)
        steps = math.ceil(full_scale_v / digit - 1e-9)
        self.full_scale_v = min(highest, float(f"{steps * digit:.12g}"))
        self._points = points

    def configure(self) -> None:
        """Switch off; set load, volts, limits, rate, filter and trigger; read all back."""
        if not self.sample_rate_hz:
            raise DeviceError(f"{self.name}: prepare() was not called, rate and volts are not set")
        self._loaded.clear()
        self.send("*CLS", "ABOR", "FORM:BORD SWAP", "TRIG1:SOUR BUS")
        if self._reference is not None:
            where = "EXT" if self._reference else "INT"
            self.send("ROSC:SOUR:AUTO OFF", f"ROSC:SOUR {where}")
            self.verify("ROSC:SOUR?", where)
        for channel in self.channels:
            self._configure_channel(channel)
        self.send(f"OUTP:TRIG:SOUR CH{self.channels[0]}", "OUTP:TRIG ON")
        self.check_errors()
        free = self.number(f"SOUR{self.channels[0]}:DATA:VOL:FREE?")
        if not _LEAST_POINTS <= self._points <= free:
            raise DeviceError(
                f"{self.name}: a waveform of {self._points} points does not fit, the memory has "
                f"room for {_LEAST_POINTS} to {free:g}; lower the sample rate, the length or "
                "rows_per_shot"
            )

    def _configure_channel(self, n: int) -> None:
        volts, source = self.full_scale_v, f"SOUR{n}"
        load = "INF" if math.isinf(self.load_ohm) else f"{self.load_ohm:g}"
        self.send(
            f"OUTP{n} OFF",
            f"{source}:BURS:STAT OFF",
            f"{source}:VOLT:LIM:STAT OFF",
            f"OUTP{n}:LOAD {load}",
            f"{source}:DATA:VOL:CLE",
        )
        self.verify(f"OUTP{n}:LOAD?", _INFINITE_OHM if load == "INF" else self.load_ohm)
        if n != 1:
            self.send(f"TRIG{n}:SOUR BUS")
        self.send(
            f"{source}:FUNC:ARB:FILT {self._filter}",
            f"{source}:FUNC:ARB:SRAT {self.sample_rate_hz:.12g}",
            f"{source}:VOLT:UNIT VPP",
            f"{source}:VOLT {2 * volts:.9g}",
            f"{source}:VOLT:OFFS 0",
            f"{source}:VOLT:LIM:HIGH {volts:.9g}",
            f"{source}:VOLT:LIM:LOW {-volts:.9g}",
            f"{source}:VOLT:LIM:STAT ON",
        )
        for question, expected in (
            (f"{source}:FUNC:ARB:FILT?", self._filter),
            (f"{source}:FUNC:ARB:SRAT?", self.sample_rate_hz),
            (f"{source}:VOLT?", 2 * volts),
            (f"{source}:VOLT:OFFS?", 0.0),
            (f"{source}:VOLT:LIM:HIGH?", volts),
            (f"{source}:VOLT:LIM:LOW?", -volts),
            (f"{source}:VOLT:LIM:STAT?", 1.0),
        ):
            self.verify(question, expected)

    def load(self, waveforms: NDArray[Any], slot: int = 0) -> None:
        """Put a waveform into the memory as ``pnn<slot>``; slot 0 clears the memory first.

        Parameters
        ----------
        waveforms : ndarray of shape (n_channels, n_samples)
            Volts at the load. Never normalised: a volt is a volt in every row.
        slot : int
            Memory place.

        Raises
        ------
        LimitError
            If a sample is beyond the range; nothing was sent.
        """
        volts = np.asarray(waveforms, float)
        if volts.ndim != 2 or len(volts) != len(self.channels):
            raise LimitError(
                f"{self.name}: waveforms have shape {volts.shape}, expected "
                f"({len(self.channels)}, n_samples)"
            )
        bad = ~(np.abs(volts) <= self.full_scale_v * (1 + 1e-9))
        if bad.any():
            row, sample = (int(i) for i in np.argwhere(bad)[0])
            raise LimitError(
                f"{self.name}: {volts[row, sample]:.6g} V at sample {sample} of channel "
                f"{self.channels[row]} is beyond the range of +-{self.full_scale_v:g} V; "
                "nothing was sent. Raise full_scale_v or lower the drive"
            )
        codes = np.rint(volts * (_FULL_CODE / self.full_scale_v)).astype("<i2")
        if slot == 0:
            self._loaded.clear()
            self.send(*(f"SOUR{n}:DATA:VOL:CLE" for n in self.channels))
        for n, code in zip(self.channels, codes, strict=True):
            self.transport.write_block(f"SOUR{n}:DATA:ARB:DAC pnn{slot},", code.tobytes())
            points = self.number(f"SOUR{n}:DATA:ATTR:POIN? pnn{slot}")
            if points != codes.shape[1]:
                raise DeviceError(
                    f"{self.name}: {codes.shape[1]} points were sent and {points:g} arrived"
                )
        self._loaded.add(slot)
        if slot == 0:
            self.select(0)
            for n in self.channels:
                self.send(
                    f"SOUR{n}:FUNC ARB",
                    f"SOUR{n}:BURS:MODE TRIG",
                    f"SOUR{n}:BURS:NCYC 1",
                    f"SOUR{n}:BURS:STAT ON",
                    f"OUTP{n} ON",
                )
        self.ask("*OPC?")
        self.check_errors()

    def select(self, slot: int) -> None:
        """Make ``pnn<slot>`` the waveform that is played."""
        if slot not in self._loaded:
            raise DeviceError(f"{self.name}: nothing was loaded into slot {slot}")
        for n in self.channels:
            self.send(f"SOUR{n}:FUNC:ARB pnn{slot}")
        self.ask("*OPC?")

    def fire(self) -> None:
        """Play the selected waveform once, on all channels."""
        self.send("*TRG")

    def off(self) -> None:
        """Stop, switch the outputs off and check that they are."""
        self._loaded.clear()
        self.send("ABOR", *(f"OUTP{n} OFF" for n in self.channels))
        for n in self.channels:
            if self.number(f"OUTP{n}?") != 0:
                raise DeviceError(f"{self.name}: output {n} is still on after OUTP{n} OFF")
