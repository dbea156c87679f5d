"""A waveform generator of the Keysight 33500B/33600A family."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.faults import Faults
from simulators.bench.generator_levels import OWN_OHM, Levels
from simulators.bench.generator_waveforms import Arbitraries, one_cycle
from simulators.bench.scpi import Numbers, ScpiInstrument
from simulators.bench.values import INFINITY, Parameters, ScpiError, boolean, nr3, number, one, text

__all__ = ["Generator"]

Array = NDArray[Any]
#: What a channel plays: volts at the load, and samples per second.
Signal = tuple[Array, float]

_FUNCTIONS = ("SINusoid", "SQUare", "TRIangle", "RAMP", "PULSe", "PRBS", "NOISe", "ARB", "DC")


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
        self.levels = {1: Levels(), 2: Levels()}
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
        emf = self.levels[channel].emf(values)
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

    def reset(self) -> None:
        """Return to the state after ``*RST``: outputs off, uploads forgotten."""
        for levels in self.levels.values():
            levels.reset()
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
        level, edge = source + "VOLTage", "[:LEVel][:IMMediate]"
        self.command(
            f"{level}{edge}[:AMPLitude]",
            lambda n, p: self._level(n).set_amplitude(number(one(p)), self._unit(n)),
            lambda n, _: nr3(self._level(n).shown_amplitude(self._unit(n))),
        )
        self.command(
            f"{level}{edge}:OFFSet",
            lambda n, p: self._level(n).set_offset(number(one(p))),
            lambda n, _: nr3(self._level(n).now()[1]),
        )
        for side, header in enumerate(("LOW", "HIGH")):
            self._edge(f"{level}{edge}:{header}", f"{level}:LIMit:{header}", side)
        self.word_setting(level + ":UNIT", "unit", "VPP", ("VPP", "VRMS", "DBM"))
        self.switch_setting(level + ":RANGe:AUTO", "autorange", True)
        self.command(
            level + ":LIMit:STATe",
            lambda n, p: self._level(n).limit(boolean(one(p))),
            lambda n, _: str(int(self._level(n).limited)),
        )
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
        self.command("OUTPut#:LOAD", self._set_load, lambda n, _: nr3(self._level(n).load_ohm))
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

    def _level(self, numbers: Numbers) -> Levels:
        return self.levels[ch(numbers)]

    def _unit(self, numbers: Numbers) -> str:
        return str(self.setting("unit", ch(numbers)))

    def _edge(self, header: str, limit: str, side: int) -> None:
        """Add the commands for the low (0) or high (1) level, and for its limit."""
        self.command(
            header,
            lambda n, p: self._level(n).set_edge(side, number(one(p))),
            lambda n, _: nr3(self._level(n).edges()[side]),
        )
        self.command(
            limit,
            lambda n, p: self._level(n).set_limit(side, number(one(p), -10, 10)),
            lambda n, _: nr3(self._level(n).limits[side]),
        )

    def _set_load(self, numbers: Numbers, parameters: Parameters) -> None:
        given = one(parameters)
        endless = isinstance(given, str) and given.upper() in ("INF", "INFINITY", "MAX")
        self._level(numbers).set_load(INFINITY if endless else number(given, 1, INFINITY, 50))

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
