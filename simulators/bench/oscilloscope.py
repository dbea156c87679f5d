"""An oscilloscope of the Keysight InfiniiVision family (DSOX)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.converter import Capture, Converter
from simulators.bench.faults import Faults
from simulators.bench.scpi import Numbers, Parameters, ScpiInstrument, one
from simulators.bench.syntax import Unit, block
from simulators.bench.values import ScpiError, nr3, number, word

__all__ = ["Oscilloscope"]

Array = NDArray[Any]

_CHANNELS = 4
_MEMORY = 4_000_000
_FASTEST = 2e9  # samples per second
_SEGMENTS = 1000
_COUNTS = sorted(
    {k * 10**d for d in range(2, 7) for k in (1, 2, 5)} | {250, 62_500, 4_000_000, _MEMORY}
)
_RUNNING, _WAITING = 8, 32  # bits of the operation status register
_LEFT = {"LEFT": 0.1, "CENT": 0.5, "RIGH": 0.9}


class Oscilloscope(ScpiInstrument):
    """Four channels that capture what the bench lets them see.

    Time 0 of a record is the trigger. ``:DIGitize`` holds all later commands until it has
    triggered, ``:SINGle`` does not; with ``:TRIGger:SWEep AUTO``, as after ``*RST``, both capture
    at once whatever is there. Segmented capture takes one segment per trigger.

    Parameters
    ----------
    name : str
        In the rig.
    on_arm : callable
        Called when the oscilloscope has been armed: what plays by itself triggers it.
    idn, faults, lock
        See `ScpiInstrument`.
    """

    def __init__(
        self,
        name: str = "oscilloscope",
        *,
        on_arm: Callable[[], None] = lambda: None,
        idn: str = "AGILENT TECHNOLOGIES,DSO-X 3034A,MY00000002,02.65.0000000000",
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, idn, faults, lock)
        self.on_arm = on_arm
        self.gain = 1.0  # of all channels; drifts where a fault says so
        self._still()
        self._channel_commands()
        self._time_commands()
        self._acquisition_commands()
        self._waveform_commands()

    # -- acquiring -----------------------------------------------------------------------------

    @property
    def armed(self) -> bool:
        """Whether a trigger would be captured."""
        return self._armed

    def span(self) -> tuple[float, float]:
        """Return begin and length of a record, in s; the trigger is at 0."""
        length = float(self.setting("time_range"))
        share = _LEFT[str(self.setting("reference"))]
        return float(self.setting("time_position")) - share * length, length

    def capture(self, signals: Array, rate: float) -> None:
        """Take a trigger, with volts at the inputs from it on, (n_channels, n_samples)."""
        if not self._armed:
            return
        if fault := self.faults.due("saturate", self.name):
            signals = signals * fault.size
        if fault := self.faults.due("drift", self.name):
            self.gain *= 1 + fault.size
        self._taken.append(Capture(signals * self.gain, rate, *self.span()))
        self._triggered = True
        if len(self._taken) >= self._wanted():
            self._complete_acquisition()

    def _wanted(self) -> int:
        """Return how many triggers an acquisition takes."""
        if self.setting("mode") == "SEGM":
            return int(self.setting("segments"))
        return int(self.setting("count")) if self.setting("type") == "AVER" else 1

    def _complete_acquisition(self) -> None:
        taken, self._taken = self._taken, []
        if self.setting("type") == "AVER" and self.setting("mode") != "SEGM":
            longest = max(each.signals.shape[1] for each in taken)
            total = np.zeros((max(len(each.signals) for each in taken), longest))
            for each in taken:
                total[: len(each.signals), : each.signals.shape[1]] += each.signals
            last = taken[-1]
            taken = [Capture(total / len(taken), last.rate, last.start_s, last.length_s)]
        self._records = taken
        if not self._runs:
            self._armed = False
            self.finished()

    def arm(self, *, held: bool = False, runs: bool = False) -> None:
        """Start an acquisition; `held` as by ``:DIGitize``, `runs` as by ``:RUN``."""
        self._taken, self._armed, self._arm_event, self._runs = [], True, True, runs
        if not runs:
            self._records = []
            if held:
                self.began(held=True)
        self.on_arm()
        if self._armed and self.setting("sweep") == "AUTO":
            while self._armed:
                self.capture(np.zeros((_CHANNELS, 0)), 1.0)
                if runs:
                    break

    def stop(self) -> None:
        """End the acquisition; what it has is kept."""
        self._armed = self._runs = False
        if self._taken and self.setting("mode") == "SEGM":
            self._records, self._taken = self._taken, []
        if self.busy:
            self.finished()

    def abort(self) -> None:
        """Give up an acquisition that holds the instrument."""
        self.stop()

    def _still(self) -> None:
        self._armed = self._runs = self._triggered = self._arm_event = False
        self._taken: list[Capture] = []
        self._records: list[Capture] = []

    def reset(self) -> None:
        """Return to the state after ``*RST``."""
        self._still()
        super().reset()

    def must_wait(self, unit: Unit) -> bool:
        """Whether a unit waits; ``:STOP`` never does."""
        return unit.header.upper() not in (":STOP", "STOP") and super().must_wait(unit)

    # -- commands ------------------------------------------------------------------------------

    def _channel_commands(self) -> None:
        channel, switch = "CHANnel#:", self.switch_setting
        self.number_setting(channel + "RANGe", "range", 40.0, 8e-3, 4e5)
        self.command(
            channel + "SCALe",
            lambda n, p: self.settings.__setitem__(("range", n), 8 * number(one(p), 1e-3, 5e4)),
            lambda n, _: nr3(float(self.setting("range", *n)) / 8),
        )
        self.number_setting(channel + "OFFSet", "offset", 0.0, -1e5, 1e5)
        self.number_setting(channel + "PROBe", "probe", 1.0, 0.1, 1e4)
        self.number_setting(channel + "PROBe:SKEW", "skew", 0.0, -1e-7, 1e-7)
        self.word_setting(channel + "PROBe:STYPe", "signal", "SING", ("SINGle", "DIFFerential"))
        self.word_setting(channel + "COUPling", "coupling", "DC", ("AC", "DC"))
        self.word_setting(channel + "IMPedance", "impedance", "ONEM", ("ONEMeg", "FIFTy"))
        self.word_setting(channel + "UNITs", "units", "VOLT", ("VOLT", "AMPere"))
        switch(channel + "DISPlay", "display", True)
        switch(channel + "BWLimit", "bandwidth_limit")
        switch(channel + "INVert", "invert")
        labels: dict[Numbers, str] = {}
        self.command(
            channel + "LABel",
            lambda n, p: labels.__setitem__(n, str(one(p)).strip("'\"").upper()[:10]),
            lambda n, _: f'"{labels.get(n, n[0])}"',
        )
        self.command("CHANnel#", ask=self._channel)

    def _channel(self, numbers: Numbers, parameters: Parameters) -> str:
        get = lambda key: self.setting(key, *numbers)  # noqa: E731
        return (
            f":CHAN{numbers[0]}:RANG {get('range'):+.2E};OFFS {get('offset'):+.5E};"
            f"COUP {get('coupling')};IMP {get('impedance')};DISP {get('display'):d};"
            f'BWL {get("bandwidth_limit"):d};INV {get("invert"):d};LAB "{numbers[0]}";'
            f"UNIT {get('units')};PROB {get('probe'):+.0E};PROB:SKEW {get('skew'):+.2E};STYP SING"
        )

    def _time_commands(self) -> None:
        time, trigger, edge = "TIMebase:", "TRIGger:", "TRIGger[:EDGE]:"
        modes = ("MAIN", "WINDow", "XY", "ROLL")
        self.word_setting(time + "MODE", "time_mode", "MAIN", modes)
        self.number_setting(time + "RANGe", "time_range", 1e-3, 1e-8, 500)
        self.command(
            time + "SCALe",
            lambda _, p: self.settings.__setitem__(
                ("time_range", ()), 10 * number(one(p), 1e-9, 50)
            ),
            lambda *_: nr3(float(self.setting("time_range")) / 10),
        )
        self.number_setting(time + "POSition", "time_position", 0.0, -500, 500)
        self.word_setting(time + "REFerence", "reference", "CENT", ("LEFT", "CENTer", "RIGHt"))
        self.switch_setting(time + "REFClock", "reference_clock")
        self.command(
            "TIMebase",
            ask=lambda *_: (
                f":TIM:MODE {self.setting('time_mode')};REF {self.setting('reference')};"
                f"MAIN:RANG {self.setting('time_range'):+.2E};POS {self.setting('time_position'):+.1E}"
            ),
        )
        self.word_setting(trigger + "MODE", "trigger_mode", "EDGE", ("EDGE",))
        self.word_setting(trigger + "SWEep", "sweep", "AUTO", ("AUTO", "NORMal"))
        sources = ("EXTernal", "LINE", "WGEN", *(f"CHANnel{k}" for k in range(1, _CHANNELS + 1)))
        self.word_setting(edge + "SOURce", "trigger_source", "CHAN1", sources)
        slopes = ("POSitive", "NEGative", "EITHer", "ALTernate")
        self.word_setting(edge + "SLOPe", "trigger_slope", "POS", slopes)
        self.word_setting(edge + "COUPling", "trigger_coupling", "DC", ("AC", "DC", "LFReject"))
        levels: dict[Numbers, float] = {}
        self.command(
            edge + "LEVel",
            lambda n, p: levels.__setitem__(n, number(p[0]) if p else 0.0),
            lambda n, _: nr3(levels.get(n, 0.0)),
        )
        self.command(trigger + "FORCe", lambda *_: self.capture(np.zeros((_CHANNELS, 0)), 1.0))

    def _acquisition_commands(self) -> None:
        acquire = "ACQuire:"
        types = ("NORMal", "AVERage", "HRESolution", "PEAK")
        self.word_setting(acquire + "TYPE", "type", "NORM", types)
        self.word_setting(acquire + "MODE", "mode", "RTIM", ("RTIMe", "SEGMented", "ETIMe"))
        self.number_setting(acquire + "COUNt", "count", 8, 2, 65536, whole=True)
        self.number_setting(acquire + "SEGMented:COUNt", "segments", 2, 2, _SEGMENTS, whole=True)
        self.number_setting(acquire + "SEGMented:INDex", "segment", 1, 1, _SEGMENTS, whole=True)
        self.command(acquire + "SRATe", ask=lambda *_: nr3(self._rate()))
        self.command(acquire + "POINts", ask=lambda *_: f"{self._depth():+d}")
        self.command(acquire + "COMPlete", ask=lambda *_: "100" if self._records else "0")
        self.command("DIGitize", lambda *_: self.arm(held=True))
        self.command("SINGle", lambda *_: self.arm())
        self.command("RUN", lambda *_: self.arm(runs=True))
        self.command("STOP", lambda *_: self.stop())
        self.command(
            "RSTate", ask=lambda *_: "RUN" if self._runs else "SING" if self._armed else "STOP"
        )
        self.command("OPERegister:CONDition", ask=lambda *_: f"{self._condition():+d}")
        self.command("OPERegister[:EVENt]", ask=lambda *_: f"{self._condition():+d}")
        self.command("TER", ask=lambda *_: self._event_of("_triggered"))
        self.command("AER", ask=lambda *_: self._event_of("_arm_event"))
        for silent in ("AUToscale", "SYSTem:PRESet", "SYSTem:DSP", "BLANk", "VIEW"):
            self.command(silent, lambda *_: None)
        self.switch_setting("SYSTem:HEADer", "header")

    def _condition(self) -> int:
        return (_RUNNING | _WAITING) if self._armed else 0

    def _event_of(self, name: str) -> str:
        happened = getattr(self, name)
        setattr(self, name, False)
        return f"{int(happened):+d}"

    def _depth(self) -> int:
        return min(_MEMORY, max(100, round(float(self.setting("time_range")) * _FASTEST)))

    def _rate(self) -> float:
        return self._depth() / float(self.setting("time_range"))

    # -- transfer ------------------------------------------------------------------------------

    def _waveform_commands(self) -> None:
        wave = "WAVeform:"
        sources = tuple(f"CHANnel{k}" for k in range(1, _CHANNELS + 1))
        self.word_setting(wave + "SOURce", "source", "CHAN1", sources)
        self.word_setting(wave + "FORMat", "format", "BYTE", ("BYTE", "WORD", "ASCii"))
        self.word_setting(wave + "BYTeorder", "order", "MSBF", ("MSBFirst", "LSBFirst"))
        self.switch_setting(wave + "UNSigned", "unsigned", True)
        modes = ("NORMal", "MAXimum", "RAW")
        self.word_setting(wave + "POINts:MODE", "points_mode", "NORM", modes)
        self._defaults["points"] = 1000.0
        self.command(wave + "POINts", self._set_points, lambda *_: f"{self._points():+d}")
        self.command(wave + "COUNt", ask=lambda *_: "+1")
        self.command(wave + "TYPE", ask=lambda *_: str(self.setting("type")))
        self.command(wave + "XINCrement", ask=lambda *_: nr3(self._preamble()[4]))
        self.command(wave + "XORigin", ask=lambda *_: nr3(self._preamble()[5]))
        self.command(wave + "YINCrement", ask=lambda *_: nr3(self._preamble()[7]))
        self.command(wave + "YORigin", ask=lambda *_: nr3(self._preamble()[8]))
        self.command(wave + "YREFerence", ask=lambda *_: f"{self._preamble()[9]:+.0f}")
        self.command(wave + "PREamble", ask=lambda *_: self._preamble_text())
        self.command(wave + "DATA", ask=lambda *_: self._data())
        self.command(wave + "SEGMented:COUNt", ask=lambda *_: f"{len(self._records):+d}")
        self.command(wave + "SEGMented:TTAG", ask=lambda *_: nr3(0.0))
        self.switch_setting(wave + "SEGMented:ALL", "all_segments")

    def _set_points(self, numbers: Numbers, parameters: Parameters) -> None:
        given = one(parameters)
        most = isinstance(given, str) and given.upper() in ("MAX", "MAXIMUM")
        self.settings["points", ()] = float(_MEMORY) if most else number(given, 100, _MEMORY)

    def _points(self) -> int:
        most = min(float(self.setting("points")), self._depth())
        return max(count for count in (*_COUNTS, 100) if count <= most)

    def _record(self) -> Capture:
        if not self._records:
            raise ScpiError(-230, "Data corrupt or stale; nothing has been acquired")
        if self.setting("mode") != "SEGM":
            return self._records[-1]
        index = int(self.setting("segment"))
        if index > len(self._records):
            raise ScpiError(-222, "Data out of range; there is no such segment")
        return self._records[index - 1]

    def _source(self) -> int:
        return int(str(self.setting("source"))[-1])

    def _converter(self) -> Converter:
        channel = self._source()
        bits = 8 if self.setting("type") in ("NORM", "PEAK") else 12
        return Converter(
            float(self.setting("range", channel)), float(self.setting("offset", channel)), bits
        )

    def _preamble(self) -> list[float]:
        start, length = (
            (self._records[-1].start_s, self._records[-1].length_s)
            if self._records
            else self.span()
        )
        form, points = self.setting("format"), self._points()
        step, origin, reference = self._converter().scale(words=form == "WORD")
        kind = {"NORM": 0, "PEAK": 1, "AVER": 2, "HRES": 3}[str(self.setting("type"))]
        code = {"BYTE": 0, "WORD": 1, "ASC": 4}[str(form)]
        return [code, kind, points, 1, length / points, start, 0, step, origin, reference]

    def _preamble_text(self) -> str:
        values = self._preamble()
        whole = (0, 1, 2, 3, 6, 9)
        return ",".join(
            f"{value:+.0f}" if i in whole else f"{value:+.8E}" for i, value in enumerate(values)
        )

    def _data(self) -> bytes:
        points, form = self._points(), self.setting("format")
        every = self.setting("all_segments") and self.setting("mode") == "SEGM" and self._records
        records = self._records if every else [self._record()]
        channel = self._source()
        sign = -1.0 if self.setting("invert", channel) else 1.0
        volts = np.concatenate([sign * each.at(channel - 1, points) for each in records])
        broken = self.faults.due("nan", self.name, ":WAVeform:DATA?") is not None
        converter = self._converter()
        if form == "ASC":
            codes = converter.words(volts).astype(float)
            step, origin, reference = converter.scale(words=True)
            values = (codes - reference) * step + origin
            texts = ["9.9E+37"] * len(values) if broken else [f"{v:+.5E}" for v in values]
            return block((",".join(texts)).encode())
        words = form == "WORD"
        codes = converter.words(volts) if words else converter.bytes_(volts)
        if broken:
            codes[:] = 0  # holes: this transfer knows no other way to say so
        if not self.setting("unsigned"):
            codes = codes ^ (0x8000 if words else 0x80)
        order = ">" if self.setting("order") == "MSBF" else "<"
        return block(codes.astype(f"{order}u2" if words else "u1").tobytes())
