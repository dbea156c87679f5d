"""A waveform generator of the Keysight 33500B/33600A family."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.faults import Faults
from simulators.bench.generator_waveforms import OWN_OHM, Arbitraries, one_cycle
from simulators.bench.scpi import Numbers, Parameters, ScpiInstrument, one
from simulators.bench.values import INFINITY, ScpiError, nr3, number, text

__all__ = ["Generator"]

Array = NDArray[Any]
#: What a channel plays: volts at the load, and samples per second.
Signal = tuple[Array, float]

_FUNCTIONS = ("SINusoid", "SQUare", "TRIangle", "RAMP", "PULSe", "PRBS", "NOISe", "ARB", "DC")
_EMF_LIMIT = 10.0  # V, either way: 5 V into 50 ohm


class Generator(ScpiInstrument):
    """Two channels behind 50 ohm: uploads, bursts, limits, and what loads do to volts.

    A set amplitude is that at the *declared* load (``OUTPut:LOAD``); what the load really gets
    follows from the open-circuit voltage and `load_ohm`. A burst plays when it is triggered and
    ends by itself. With the output off nothing plays. The filter of arbitrary waveforms and the
    noise of the output are not modelled.

    Parameters
    ----------
    name : str
        In the rig.
    load_ohm : float
        What is really connected.
    on_fire : callable
        Called with ``{channel: Signal}`` when a trigger plays something.
    idn, faults, lock
        See `ScpiInstrument`.
    """

    def __init__(
        self,
        name: str = "generator",
        *,
        load_ohm: float = 1e6,
        on_fire: Callable[[dict[int, Signal]], None] = lambda signals: None,
        idn: str = "Agilent Technologies,33522B,MY00000001,4.00-1.19-2.00-52-00",
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, idn, faults, lock)
        self.load_ohm, self.on_fire = load_ohm, on_fire
        self.arbitraries = {1: Arbitraries(), 2: Arbitraries()}
        self._start()
        self._source_commands()
        self._arbitrary_commands()
        self._other_commands()

    # -- what plays ----------------------------------------------------------------------------

    @property
    def outputs(self) -> dict[int, bool]:
        """Whether each channel's output is on."""
        return {channel: bool(self.setting("output", channel)) for channel in (1, 2)}

    def signal(self, channel: int) -> Signal:
        """Return one cycle of what a channel is set to play, in volts at the real load."""
        values, rate = one_cycle(self, channel)
        emf = self._amplitude[channel] / 2 * values + self._offset[channel]
        return emf * self.load_ohm / (self.load_ohm + OWN_OHM), rate

    def running(self) -> dict[int, Signal]:
        """Return one cycle of each channel that plays without waiting for a trigger."""
        return {
            channel: self.signal(channel)
            for channel, on in self.outputs.items()
            if on and not (self.setting("burst", channel) and self._waits(channel))
        }

    def _waits(self, channel: int) -> bool:
        return self.setting("trigger_source", channel) in ("BUS", "EXT")

    def trigger(self, source: str, *channels: int) -> None:
        """Play the bursts of the channels that wait for this source of triggers."""
        ready = [
            channel
            for channel in channels or (1, 2)
            if self.setting("burst", channel) and self.setting("trigger_source", channel) == source
        ]
        signals = {}
        for channel in ready:
            if self.outputs[channel]:
                cycle, rate = self.signal(channel)
                cycles = float(self.setting("cycles", channel))
                # An endless burst is cut: nobody listens that long.
                signals[channel] = np.tile(cycle, int(min(cycles, 1e5))), rate
        if ready:
            self.on_fire(signals)

    # -- commands ------------------------------------------------------------------------------

    def _start(self) -> None:
        # Open-circuit volts: what the amplifier makes, whatever load is declared.
        self._amplitude = {1: 0.2, 2: 0.2}
        self._offset = {1: 0.0, 2: 0.0}
        self._declared = {1: 50.0, 2: 50.0}
        self._limits = {1: [-5.0, 5.0], 2: [-5.0, 5.0]}  # at the declared load

    def reset(self) -> None:
        """Return to the state after ``*RST``: outputs off, uploads forgotten."""
        self._start()
        for memory in self.arbitraries.values():
            memory.clear()
        super().reset()

    def _source_commands(self) -> None:
        source, channel_ = "[SOURce#:]", self.number_setting
        self.word_setting(source + "FUNCtion", "function", "SIN", _FUNCTIONS)
        channel_(source + "FREQuency[:CW]", "frequency", 1e3, 1e-6, 120e6)
        modes = ("CW", "LIST", "SWEEP", "FIXED")
        self.word_setting(source + "FREQuency:MODE", "frequency_mode", "CW", modes)
        channel_(source + "PHASe", "phase", 0.0, -360, 360)
        channel_(source + "FUNCtion:SQUare:DCYCle", "square_duty", 50.0, 0.01, 99.99)
        channel_(source + "FUNCtion:RAMP:SYMMetry", "symmetry", 100.0, 0, 100)
        channel_(source + "FUNCtion:PULSe:WIDTh", "width", 1e-4, 16e-9, 1e6)
        channel_(source + "FUNCtion:PULSe:DCYCle", "pulse_duty", 10.0, 0, 100)
        channel_(source + "FUNCtion:PULSe:PERiod", "period", 1e-3, 33e-9, 1e6)
        channel_(source + "FUNCtion:PULSe:TRANsition[:BOTH]", "edge", 1e-8, 8.4e-9, 1e-6)
        self.word_setting(source + "FUNCtion:PULSe:HOLD", "hold", "WIDT", ("WIDTh", "DCYCle"))
        level = source + "VOLTage"
        self.command(level + "[:LEVel][:IMMediate][:AMPLitude]", self._set_volts, self._ask_volts)
        self.command(level + "[:LEVel][:IMMediate]:OFFSet", self._set_offset, self._ask_offset)
        self.command(level + "[:LEVel][:IMMediate]:HIGH", *self._edge(1))
        self.command(level + "[:LEVel][:IMMediate]:LOW", *self._edge(0))
        self.word_setting(level + ":UNIT", "unit", "VPP", ("VPP", "VRMS", "DBM"))
        self.switch_setting(level + ":RANGe:AUTO", "autorange", True)
        self.command(level + ":LIMit:HIGH", *self._limit(1))
        self.command(level + ":LIMit:LOW", *self._limit(0))
        self.switch_setting(level + ":LIMit:STATe", "limited", changed=self._limits_on)
        burst = source + "BURSt:"
        self.switch_setting(burst + "STATe", "burst")
        self.word_setting(burst + "MODE", "burst_mode", "TRIG", ("TRIGgered", "GATed"))
        channel_(burst + "NCYCles", "cycles", 1, 1, INFINITY)
        channel_(burst + "PHASe", "burst_phase", 0.0, -360, 360)
        channel_(burst + "INTernal:PERiod", "burst_period", 1e-2, 1e-6, 8e3)
        self.word_setting(burst + "GATE:POLarity", "gate", "NORM", ("NORMal", "INVerted"))

    def _arbitrary_commands(self) -> None:
        source, data = "[SOURce#:]", "[SOURce#:]DATA:"
        self.command(source + "FUNCtion:ARBitrary", self._select, self._selected)
        self.number_setting(source + "FUNCtion:ARBitrary:SRATe", "rate", 4e4, 1e-6, 250e6)
        filters, steps = ("NORMal", "STEP", "OFF"), ("TRIGger", "SRATe")
        self.word_setting(source + "FUNCtion:ARBitrary:FILTer", "filter", "STEP", filters)
        self.word_setting(source + "FUNCtion:ARBitrary:ADVance", "advance", "SRAT", steps)
        self.command(
            source + "FUNCtion:ARBitrary:POINts",
            ask=lambda n, _: f"{len(self.arbitraries[ch(n)].points(self._name(n))):+d}",
        )
        self.command(data + "ARBitrary", self._upload(dac=False))
        self.command(data + "ARBitrary:DAC", self._upload(dac=True))
        memory = self.arbitraries
        self.command(data + "VOLatile:CLEar", lambda n, _: memory[ch(n)].clear())
        self.command(data + "VOLatile:FREE", ask=lambda n, _: f"{memory[ch(n)].free:+d}")
        self.command(data + "VOLatile:CATalog", ask=lambda n, _: memory[ch(n)].catalog())
        self.command(
            data + "ATTRibute:POINts",
            ask=lambda n, p: f"{len(memory[ch(n)].points(text(one(p)))):+d}",
        )
        self.word_setting("FORMat:BORDer", "border", "NORM", ("NORMal", "SWAPped"))

    def _other_commands(self) -> None:
        self.switch_setting("OUTPut#[:STATe]", "output")
        self.command("OUTPut#:LOAD", self._set_load, lambda n, _: nr3(self._declared[ch(n)]))
        self.word_setting("OUTPut#:POLarity", "polarity", "NORM", ("NORMal", "INVerted"))
        self.switch_setting("OUTPut#:SYNC[:STATe]", "sync", True)
        self.word_setting("OUTPut:SYNC:SOURce", "sync_source", "CH1", ("CH1", "CH2"))
        self.switch_setting("OUTPut:TRIGger[:STATe]", "trigger_out")
        self.word_setting("OUTPut:TRIGger:SOURce", "trigger_out_source", "CH1", ("CH1", "CH2"))
        sources = ("IMMediate", "EXTernal", "TIMer", "BUS")
        self.word_setting("TRIGger#:SOURce", "trigger_source", "IMM", sources)
        self.word_setting("TRIGger#:SLOPe", "trigger_slope", "POS", ("POSitive", "NEGative"))
        self.number_setting("TRIGger#:COUNt", "trigger_count", 1, 1, 1e6, whole=True)
        self.number_setting("TRIGger#:DELay", "trigger_delay", 0.0, 0, 1000)
        self.number_setting("TRIGger#:TIMer", "trigger_timer", 1.0, 1e-6, 8000)
        self.number_setting("TRIGger#:LEVel", "trigger_level", 1.6, 0.9, 3.8)
        self.command("TRIGger#[:IMMediate]", lambda n, _: self.trigger("BUS", ch(n)))
        self.command("*TRG", lambda *_: self.trigger("BUS"))
        self.word_setting("ROSCillator:SOURce", "reference", "INT", ("INTernal", "EXTernal"))
        self.switch_setting("ROSCillator:SOURce:AUTO", "reference_auto", True)
        self.switch_setting("DISPlay[:STATe]", "display", True)
        for silent in ("ABORt", "PHASe:SYNChronize", "PHASe:SYNC", "SYSTem:BEEPer[:IMMediate]"):
            self.command(silent, lambda *_: None)
        self.command("SYSTem:BEEP", lambda *_: None)
        for shown in ("DISPlay:TEXT", "DISPlay:TEXT:CLEar"):
            self.command(shown, lambda *_: None)

    # -- volts ---------------------------------------------------------------------------------

    def _share(self, channel: int) -> float:
        """Return what part of the open-circuit voltage the declared load would get."""
        declared = self._declared[channel]
        return 1.0 if declared >= INFINITY else declared / (declared + OWN_OHM)

    def _put(self, channel: int, amplitude: float, offset: float) -> None:
        """Set amplitude and offset, in volts at the declared load, if they are legal."""
        share = self._share(channel)
        high, low = offset + amplitude / 2, offset - amplitude / 2
        if max(abs(high), abs(low)) > _EMF_LIMIT * share * (1 + 1e-12) or amplitude < 0:
            raise ScpiError(-222, "Data out of range; amplitude and offset exceed the output")
        floor, ceiling = self._limits[channel]
        if self.setting("limited", channel) and not floor <= low <= high <= ceiling:
            raise ScpiError(-222, "Data out of range; value outside the voltage limits")
        self._amplitude[channel], self._offset[channel] = amplitude / share, offset / share

    def _now(self, channel: int) -> tuple[float, float]:
        share = self._share(channel)
        return self._amplitude[channel] * share, self._offset[channel] * share

    def _set_volts(self, numbers: Numbers, parameters: Parameters) -> None:
        channel = ch(numbers)
        amplitude, offset = self._now(channel)
        unit = self.setting("unit", channel)
        given = number(one(parameters), -INFINITY, INFINITY)
        if unit == "VRMS":
            given *= 2 * 2**0.5
        elif unit == "DBM":
            given = 2 * (2 * self._declared[channel] * 1e-3 * 10 ** (given / 10)) ** 0.5
        self._put(channel, given, offset)

    def _ask_volts(self, numbers: Numbers, parameters: Parameters) -> str:
        channel = ch(numbers)
        amplitude, unit = self._now(channel)[0], self.setting("unit", channel)
        if unit == "VRMS":
            amplitude /= 2 * 2**0.5
        elif unit == "DBM":
            amplitude = 10 * np.log10((amplitude / 2) ** 2 / 2 / self._declared[channel] / 1e-3)
        return nr3(float(amplitude))

    def _set_offset(self, numbers: Numbers, parameters: Parameters) -> None:
        channel = ch(numbers)
        self._put(channel, self._now(channel)[0], number(one(parameters)))

    def _ask_offset(self, numbers: Numbers, parameters: Parameters) -> str:
        return nr3(self._now(ch(numbers))[1])

    def _edge(self, side: int) -> tuple[Any, Any]:
        """Return how the high (1) or low (0) level is set and asked."""

        def levels(channel: int) -> list[float]:
            amplitude, offset = self._now(channel)
            return [offset - amplitude / 2, offset + amplitude / 2]

        def act(numbers: Numbers, parameters: Parameters) -> None:
            both = levels(ch(numbers))
            both[side] = number(one(parameters))
            if both[0] > both[1]:
                raise ScpiError(-221, "Settings conflict; low level above high level")
            self._put(ch(numbers), both[1] - both[0], (both[0] + both[1]) / 2)

        return act, lambda numbers, _: nr3(levels(ch(numbers))[side])

    def _limit(self, side: int) -> tuple[Any, Any]:
        def act(numbers: Numbers, parameters: Parameters) -> None:
            self._limits[ch(numbers)][side] = number(one(parameters), -10, 10)
            self._limits_on(numbers)

        return act, lambda numbers, _: nr3(self._limits[ch(numbers)][side])

    def _limits_on(self, numbers: Numbers) -> None:
        """Refuse limits that the present output breaks, as the real one does."""
        channel = ch(numbers)
        if not self.setting("limited", channel):
            return
        amplitude, offset = self._now(channel)
        floor, ceiling = self._limits[channel]
        if not floor <= offset - amplitude / 2 <= offset + amplitude / 2 <= ceiling:
            self.settings["limited", numbers] = False
            raise ScpiError(-221, "Settings conflict; the output is outside these limits")

    def _set_load(self, numbers: Numbers, parameters: Parameters) -> None:
        channel = ch(numbers)
        if self.setting("limited", channel):
            raise ScpiError(-221, "Settings conflict; turn the voltage limits off first")
        given = one(parameters)
        endless = isinstance(given, str) and given.upper() in ("INF", "INFINITY", "MAX")
        value = INFINITY if endless else number(given, 1, INFINITY, 50)
        # The open-circuit voltage stays; the volts shown change.
        self._declared[channel] = INFINITY if value >= INFINITY else min(value, 1e4)

    # -- arbitrary waveforms -------------------------------------------------------------------

    def _upload(self, *, dac: bool) -> Callable[[Numbers, Parameters], None]:
        def act(numbers: Numbers, parameters: Parameters) -> None:
            if len(parameters) < 2:
                raise ScpiError(-109, "Missing parameter")
            big = self.setting("border") == "NORM"
            memory = self.arbitraries[ch(numbers)]
            memory.store(text(parameters[0]), parameters[1:], dac=dac, big_endian=big)

        return act

    def _name(self, numbers: Numbers) -> str:
        return self.arbitraries[ch(numbers)].selected

    def _select(self, numbers: Numbers, parameters: Parameters) -> None:
        memory, name = self.arbitraries[ch(numbers)], text(one(parameters)).upper()
        memory.points(name)
        memory.selected = name

    def _selected(self, numbers: Numbers, parameters: Parameters) -> str:
        return f'"{self._name(numbers)}"'


def ch(numbers: Numbers) -> int:
    """Return the channel that a header names.

    Raises
    ------
    ScpiError
        -114 if there is no such channel.
    """
    if numbers[0] not in (1, 2):
        raise ScpiError(-114, "Header suffix out of range")
    return numbers[0]
