"""Oscilloscopes of the Keysight InfiniiVision family: DSO-X and MSO-X, 1000 to 6000."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import flag, number, one_of, whole
from devices.drivers.scpi import ScpiInstrument
from devices.errors import DeviceError, ReplyTimeout, ShortTransfer
from devices.roles import Record

__all__ = ["InfiniiVision"]

_RUNNING = 8  # bit of the operation status condition register
_WORD = 1  # as the preamble writes it
# The converters have 8 bits, shifted up to 16; zero is a hole, a sample that was not taken.
_HIGHEST, _LOWEST, _HOLE = 0xFF00, 0x01FF, 0x0000
_BEHIND_TRIGGER = 0.89  # of the screen: the reference on the left is a division from the edge
_POLL_S = 0.001
_ARMING_S = 5.0
_TYPES = {"normal": "NORMal", "hresolution": "HRESolution"}


class InfiniiVision(ScpiInstrument):
    """An oscilloscope that captures one record per trigger; the role `Digitizer`.

    Range, coupling, impedance, probe and bandwidth are set once and read back; nothing is
    auto-ranged while a run goes on. Samples come as raw codes, from which clipping is seen.

    Parameters
    ----------
    address : str
        See `devices.transports`.
    channels : sequence of int
        Inputs, in the order of the records.
    range_v : float or sequence of float
        Full screen (8 divisions) in V, of all channels or of each.
    offset_v : float or sequence of float
        Centre of the screen in V.
    coupling : {"DC", "AC"}
    impedance_ohm : {1e6, 50}
    probe : float
        Attenuation of the probe.
    bandwidth_limit : bool
        Whether the 20 MHz filter is on.
    acquisition : {"normal", "hresolution"}
        ``hresolution`` averages neighbouring samples inside the instrument.
    points : int or None
        Length of a record; None takes what the rig's least rate asks for.
    trigger_source : str
        ``EXTernal`` or ``CHANnel<n>``; at a rising edge through `trigger_level_v`.
    trigger_level_v : float
    reference_10mhz : bool or None
        True takes the external 10 MHz reference, False the own one, None leaves it.
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
        channels: Sequence[int] = (1,),
        range_v: float | Sequence[float] = 8.0,
        offset_v: float | Sequence[float] = 0.0,
        coupling: Literal["DC", "AC"] = "DC",
        impedance_ohm: float = 1e6,
        probe: float = 1.0,
        bandwidth_limit: bool = False,
        acquisition: Literal["normal", "hresolution"] = "normal",
        points: int | None = None,
        trigger_source: str = "EXTernal",
        trigger_level_v: float = 1.0,
        reference_10mhz: bool | None = None,
        name: str = "oscilloscope",
        idn: str = r"(DSO|MSO|EDU)-?X",
        **link: Any,
    ) -> None:
        super().__init__(address, name=name, idn=idn, **link)
        self.channels = tuple(channels)
        if not self.channels or any(c not in range(1, 9) for c in self.channels):
            raise ValueError(f"{name}: channels={channels!r} must be numbers from 1")
        n = len(self.channels)
        self._ranges = [number(name, "range_v", v, 1e-3, 1e4) for v in _each(range_v, n)]
        self._offsets = [number(name, "offset_v", v, -1e4, 1e4) for v in _each(offset_v, n)]
        if len(self._ranges) != n or len(self._offsets) != n:
            raise ValueError(f"{name}: range_v and offset_v must be one number, or {n}")
        self._coupling = one_of(name, "coupling", coupling, ("DC", "AC"))
        if impedance_ohm not in (50, 1e6):
            raise ValueError(f"{name}: impedance_ohm={impedance_ohm!r} must be 50 or 1e6")
        self._impedance = "FIFTy" if impedance_ohm == 50 else "ONEMeg"
        self._probe = number(name, "probe", probe, 1e-3, 1e4)
        self._limit = flag(name, "bandwidth_limit", bandwidth_limit)
        self._type = _TYPES[one_of(name, "acquisition", acquisition, tuple(_TYPES))]
        self._points = None if points is None else whole(name, "points", points, 100)
        self._trigger = trigger_source
        self._level = number(name, "trigger_level_v", trigger_level_v, -100, 100)
        self._reference = reference_10mhz
        self._duration_s, self._segments, self._least_points = 0.0, 1, 100.0

    def prepare(self, duration_s: float, segments: int, least_rate_hz: float) -> None:
        """Fix the run's records: length in s from the trigger on, number, and least rate."""
        number(self.name, "duration_s", duration_s, 0.0, 1e4, above=True)
        self._duration_s = duration_s / _BEHIND_TRIGGER
        self._segments = whole(self.name, "segments", segments, 1, 1000)
        self._least_points = max(100.0, self._duration_s * least_rate_hz)

    def configure(self) -> None:
        """Write every setting of the run and read back what the instrument may round."""
        if not self._duration_s:
            raise DeviceError(f"{self.name}: prepare() was not called, the length is not set")
        self.send("*CLS", ":STOP")
        if self._reference is not None:
            self.send(f":TIMebase:REFClock {'ON' if self._reference else 'OFF'}")
        for n, volts, offset in zip(self.channels, self._ranges, self._offsets, strict=True):
            here = f":CHANnel{n}"
            self.send(
                f"{here}:DISPlay ON",
                f"{here}:PROBe {self._probe:g}",
                f"{here}:IMPedance {self._impedance}",
                f"{here}:COUPling {self._coupling}",
                f"{here}:BWLimit {'ON' if self._limit else 'OFF'}",
                f"{here}:SCALe {volts / 8:.6g}",
                f"{here}:OFFSet {offset:.6g}",
            )
            self.verify(f"{here}:PROBe?", self._probe)
            self.verify(f"{here}:IMPedance?", self._impedance)
            self.verify(f"{here}:COUPling?", self._coupling)
            self.verify(f"{here}:SCALe?", volts / 8, tolerance=0.02)
            self.verify(f"{here}:OFFSet?", offset, tolerance=0.02)
        self.send(
            ":TIMebase:MODE MAIN",
            ":TIMebase:REFerence LEFT",
            f":TIMebase:RANGe {self._duration_s:.9g}",
            ":TIMebase:POSition 0",
            f":ACQuire:TYPE {self._type}",
            f":ACQuire:MODE {'SEGMented' if self._segments > 1 else 'RTIMe'}",
        )
        if self._segments > 1:
            self.send(f":ACQuire:SEGMented:COUNt {self._segments}")
        self.send(
            ":TRIGger:MODE EDGE",
            ":TRIGger:SWEep NORMal",
            f":TRIGger:EDGE:SOURce {self._trigger}",
            ":TRIGger:EDGE:SLOPe POSitive",
            f":TRIGger:EDGE:LEVel {self._level:g}",
            ":WAVeform:FORMat WORD",
            ":WAVeform:BYTeorder LSBFirst",
            ":WAVeform:UNSigned ON",
            ":WAVeform:POINts:MODE RAW",
            f":WAVeform:POINts {self._points or _allowed_points(self._least_points)}",
        )
        set_s = self.number(":TIMebase:RANGe?")
        if set_s < self._duration_s * (1 - 1e-6):
            raise DeviceError(
                f"{self.name}: the screen is {set_s:g} s wide, {self._duration_s:g} s are needed"
            )
        self._read_back["SRATe"] = self.number(":ACQuire:SRATe?")
        self._read_back["ACQuire:TYPE"] = self._type
        self.check_errors()

    def arm(self) -> None:
        """Start a single capture, and return when the instrument waits for its trigger."""
        self.send(":STOP")
        self.ask(":TER?", once=True)  # reading clears both registers of the capture before
        self.ask(":AER?", once=True)
        self.send(":SINGle")
        until = time.monotonic() + _ARMING_S
        while self.number(":AER?", once=True) == 0:
            if time.monotonic() > until:
                raise ReplyTimeout(f"{self.name}: not armed {_ARMING_S:g} s after :SINGle")
            time.sleep(_POLL_S)

    def wait(self, deadline_s: float) -> None:
        """Wait for the end of the capture, and check that there was a trigger.

        Raises
        ------
        ReplyTimeout
            If no trigger comes: a cable, the trigger's source or its level is wrong.
        """
        until, pause = time.monotonic() + deadline_s, 1e-4
        while int(self.number(":OPERegister:CONDition?")) & _RUNNING:
            if time.monotonic() > until:
                self.send(":STOP")
                raise ReplyTimeout(
                    f"{self.name}: no trigger, or not enough of them, within {deadline_s:g} s; "
                    f"check the cable to {self._trigger} and trigger_level_v={self._level:g}"
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        if self.number(":TER?", once=True) == 0:
            raise ReplyTimeout(f"{self.name}: stopped without a trigger; the data are old")

    def fetch(self) -> list[Record]:
        """Return the records captured since `arm`; every sample, as the converter saw it."""
        if self._segments == 1:
            return [self._record()]
        got = int(self.number(":WAVeform:SEGMented:COUNt?"))
        if got != self._segments:
            raise ReplyTimeout(f"{self.name}: {got} of {self._segments} triggers came")
        records = []
        for k in range(1, self._segments + 1):
            self.send(f":ACQuire:SEGMented:INDex {k}")
            records.append(self._record())
        return records

    def _record(self) -> Record:
        parts: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []
        axis = (0.0, 1.0)
        for n in self.channels:
            self.send(f":WAVeform:SOURce CHANnel{n}")
            text = self.ask(":WAVeform:PREamble?")
            values = [float(v) for v in text.split(",")]
            if len(values) != 10 or values[0] != _WORD:
                raise DeviceError(f"{self.name}: the preamble {text!r} is not that of words")
            points, step, start, at, gain, zero, centre = (values[i] for i in (2, 4, 5, 6, 7, 8, 9))
            codes = np.frombuffer(self.transport.query_block(":WAVeform:DATA?"), "<u2")
            if len(codes) != int(points):
                raise ShortTransfer(f"{self.name}: {len(codes)} samples of {points:g} came")
            if (codes == _HOLE).any():
                raise DeviceError(
                    f"{self.name}: channel {n} has samples that were not taken; lower `points`"
                )
            parts.append(
                (
                    (codes.astype(float) - centre) * gain + zero,
                    (codes >= _HIGHEST) | (codes <= _LOWEST),
                )
            )
            axis = (start - at * step, step)
        lengths = {len(volts) for volts, _ in parts}
        if len(lengths) != 1:
            raise DeviceError(f"{self.name}: the channels have {sorted(lengths)} samples")
        return Record(np.stack([p[0] for p in parts]), np.stack([p[1] for p in parts]), *axis)

    def off(self) -> None:
        """Stop capturing."""
        self.send(":STOP")


def _allowed_points(least: float) -> int:
    """Return the number of points that the instrument allows, at least as many as asked for."""
    size = 10 ** math.floor(math.log10(least))
    return int(next(k * size for k in (1, 2, 5, 10) if k * size >= least))


def _each(value: float | Sequence[float], n: int) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * n
