"""A vector network analyser of the Keysight PNA/E5080 family."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.analyser_span import ENDS, Span
from simulators.bench.analyser_traces import Traces, formatted, packed
from simulators.bench.faults import COMMON_KINDS, Faults
from simulators.bench.scpi import Numbers, ScpiInstrument
from simulators.bench.values import Parameters, ScpiError, nr3, number, one, text, word
from simulators.bench.wiring import Scattering, analyser_noise

__all__ = ["NetworkAnalyser"]

Array = NDArray[Any]

_FORMATS = (
    "MLINear", "MLOGarithmic", "PHASe", "UPHase", "IMAGinary", "REAL", "POLar", "SMITh", "GDELay",
    "SWR",
)  # fmt: skip


class NetworkAnalyser(ScpiInstrument):
    """Channel 1 of an analyser: linear sweeps, any S-parameters, averaging over sweeps.

    A sweep is over at once, whatever ``SENSe:SWEep:TIME?`` says. With averaging over sweeps each
    new sweep is mixed into the average until ``SENSe:AVERage:CLEar``: change what is measured in
    between, and the average mixes both. Noise grows with the root of the IF bandwidth and falls
    with the power.

    Parameters
    ----------
    name : str
        In the rig.
    physics : Scattering
        What is between the ports.
    lowest_hz, highest_hz : float
        Range of frequencies.
    idn, faults, lock
        See `ScpiInstrument`.
    """

    faults_of = (*COMMON_KINDS, "nan", "drift")

    def __init__(
        self,
        name: str,
        physics: Scattering,
        *,
        lowest_hz: float = 1e7,
        highest_hz: float = 2.65e10,
        idn: str = "Keysight Technologies,N5222B,MY00000004,A.13.95.09",
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, idn, faults, lock)
        self.physics = physics
        self.gain = 1.0  # of the receivers; drifts where a fault says so
        self.traces, self.span = Traces(), Span(lowest_hz, highest_hz)
        self._average: Array | None = None  # S-parameters, (n_traces, n_points)
        self._swept = 0  # sweeps in the average
        self._data_format = ("ASC", 0)
        self._sweep_commands()
        self._trace_commands()
        self._other_commands()

    # -- sweeping ------------------------------------------------------------------------------

    @property
    def frequencies(self) -> Array:
        """The grid of the sweep, in Hz."""
        return np.linspace(self.span.start, self.span.stop, int(self.setting("points", 1)))

    @property
    def output_on(self) -> bool:
        """Whether the sources are on."""
        return bool(self.setting("output"))

    def sweep(self) -> None:
        """Measure all traces once, into the average where that is on."""
        pairs = self.traces.pairs()
        noise = analyser_noise(
            float(self.setting("bandwidth", 1)), float(self.setting("power", 1, 1))
        )
        on = self.output_on
        point = self.setting("average", 1) and self.setting("average_mode", 1) == "POIN"
        if point:  # each point is averaged before the next is measured
            noise /= float(self.setting("average_count", 1)) ** 0.5
        new = self.physics.scattering(self.frequencies, pairs, noise)
        if fault := self.faults.due("drift", self.name):
            self.gain *= 1 + fault.size
        new = new * (self.gain if on else 0.0)
        if self._average is not None and self._average.shape == new.shape and self._averages():
            self._swept = min(self._swept + 1, self._averages())
            new = self._average + (new - self._average) / self._swept
        else:
            self._swept = 1
        self._average = new

    def _averages(self) -> int:
        """Return over how many sweeps is averaged, 0 for none."""
        sweeps = self.setting("average", 1) and self.setting("average_mode", 1) != "POIN"
        return int(self.setting("average_count", 1)) if sweeps else 0

    def _data(self) -> Array:
        """Return the selected trace's S-parameter, (n_points,), complex."""
        index = self.traces.index()
        if self.setting("sweep_mode", 1) == "CONT" or self._average is None:
            if self._average is None and self.setting("sweep_mode", 1) != "CONT":
                raise ScpiError(-230, "Data corrupt or stale; nothing has been swept")
            self.sweep()
        assert self._average is not None
        if len(self._average) <= index:
            raise ScpiError(-230, "Data corrupt or stale; this trace has not been swept")
        values = self._average[index]
        if self.faults.due("nan", self.name, "CALCulate:DATA?"):
            values = np.full_like(values, complex(np.nan, np.nan))
        return values

    def _clear_average(self) -> None:
        self._average, self._swept = None, 0

    def reset(self) -> None:
        """Return to the state after ``*RST``: one trace, S11, sweeping on and on."""
        self.traces.preset()
        self.span.preset()
        self._data_format = ("ASC", 0)
        self._clear_average()
        super().reset()

    # -- commands ------------------------------------------------------------------------------

    def _sweep_commands(self) -> None:
        sense, anew = "SENSe#:", lambda *_: self._clear_average()
        for end in ENDS:
            self._frequency(f"{sense}FREQuency:{end}", end)
        self.number_setting(
            sense + "SWEep:POINts", "points", 201, 1, 100_001, whole=True, changed=anew
        )
        self.command(sense + "SWEep:TIME", lambda *_: None, lambda *_: nr3(self._seconds()))
        self.command(
            sense + "SWEep:MODE", self._mode, lambda *_: str(self.setting("sweep_mode", 1))
        )
        self._defaults["sweep_mode"] = "CONT"
        types = ("LINear", "LOGarithmic", "CW", "SEGMent")
        self.word_setting(sense + "SWEep:TYPE", "sweep_type", "LIN", types)
        self.number_setting(sense + "SWEep:GROups:COUNt", "groups", 1, 1, 2e6, whole=True)
        for header in ("BANDwidth[:RESolution]", "BWIDth[:RESolution]"):
            self.number_setting(sense + header, "bandwidth", 1e5, 1, 1.5e7)
        average = sense + "AVERage"
        self.switch_setting(average + "[:STATe]", "average", changed=anew)
        self.number_setting(
            average + ":COUNt", "average_count", 1, 1, 65536, whole=True, changed=anew
        )
        self.word_setting(average + ":MODE", "average_mode", "SWE", ("POINt", "SWEep"))
        self.command(average + ":CLEar", anew)
        self.switch_setting(sense + "CORRection[:STATe]", "correction")
        self.command(
            sense + "CORRection:CSET:GUID",
            lambda *_: None,
            lambda *_: '"{00000000-0000-0000-0000-000000000001}"',
        )
        self.number_setting(
            "SOURce#:POWer#[:LEVel][:IMMediate][:AMPLitude]", "power", 0.0, -95, 13, changed=anew
        )
        self.word_setting(
            "TRIGger[:SEQuence]:SOURce",
            "trigger_source",
            "IMM",
            ("EXTernal", "IMMediate", "MANual"),
        )
        self.command("INITiate#[:IMMediate]", lambda *_: self.sweep())
        self.command(
            "INITiate#:CONTinuous",
            lambda n, p: self._mode(n, ("CONT" if str(one(p)).upper() in ("ON", "1") else "HOLD",)),
            lambda *_: str(int(self.setting("sweep_mode", 1) == "CONT")),
        )
        self.command("ABORt", lambda *_: None)

    def _frequency(self, header: str, end: str) -> None:
        """Add the command for an end, the centre or the width of the sweep."""

        def act(numbers: Numbers, parameters: Parameters) -> None:
            self.span.set(end, number(one(parameters)))
            self._clear_average()

        self.command(header, act, lambda *_: nr3(self.span.get(end)))

    def _seconds(self) -> float:
        return int(self.setting("points", 1)) * 1.2 / float(self.setting("bandwidth", 1))

    def _mode(self, numbers: Numbers, parameters: Parameters) -> None:
        mode = word(one(parameters), ("HOLD", "CONTinuous", "GROups", "SINGle"))
        if mode in ("SING", "GRO"):
            for _ in range(int(self.setting("groups", 1)) if mode == "GRO" else 1):
                self.sweep()
            mode = "HOLD"  # the sweeps are over
        self.settings["sweep_mode", (1,)] = mode

    def _trace_commands(self) -> None:
        calc, traces = "CALCulate#:", self.traces
        self.command(calc + "PARameter[:DEFine]:EXTended", lambda _, p: traces.define(p))
        self.command(calc + "PARameter:DELete:ALL", lambda *_: traces.clear())
        self.command(calc + "PARameter:DELete[:NAME]", lambda _, p: traces.delete(text(one(p))))
        self.command(
            calc + "PARameter:SELect",
            lambda _, p: traces.select(text(p[0]) if p else ""),
            lambda *_: f'"{traces.name()}"',
        )
        self.command(
            calc + "PARameter:MNUMber[:SELect]",
            lambda _, p: traces.select_number(round(number(one(p), 1, 64))),
            lambda *_: str(traces.number()),
        )
        self.command(calc + "PARameter:MODify:EXTended", lambda _, p: traces.modify(p))
        for header in ("PARameter:CATalog", "PARameter:CATalog:EXTended"):
            self.command(calc + header, ask=lambda *_: f'"{traces.catalog()}"')
        self.word_setting(calc + "FORMat", "trace_format", "MLOG", _FORMATS)
        self.command(calc + "DATA", ask=lambda _, p: self._answer(word(p[0], ("FDATA", "SDATA"))))
        self.command(calc + "X[:VALues]", ask=lambda *_: self._pack(self.frequencies))
        self.command("SENSe#:X[:VALues]", ask=lambda *_: self._pack(self.frequencies))
        self.number_setting(calc + "CORRection:EDELay[:TIME]", "delay", 0.0, -10, 10)
        measure = "CALCulate#:MEASure#:"
        self.command(measure + "PARameter", self._measured_as, self._measured)
        self.command(measure + "DATA:SDATA", ask=lambda n, _: self._of(n[1], "SDATA"))
        self.command(measure + "DATA:FDATA", ask=lambda n, _: self._of(n[1], "FDATA"))
        self.command(measure + "X[:VALues]", ask=lambda *_: self._pack(self.frequencies))
        self.command(measure + "X:AXIS:UNIT", ask=lambda *_: "FREQ")
        self.command(measure + "Y:AXIS:UNIT", ask=lambda *_: "DB")
        self.command("SYSTem:MEASure:CATalog", ask=lambda *_: f'"{traces.numbers()}"')
        self.command("SYSTem:CHANnels:CATalog", ask=lambda *_: '"1"')

    def _measured(self, numbers: Numbers, parameters: Parameters) -> str:
        self.traces.select_number(numbers[1])
        return f'"{self.traces.parameter()}"'

    def _measured_as(self, numbers: Numbers, parameters: Parameters) -> None:
        self.traces.select_number(numbers[1])
        self.traces.modify(parameters)

    def _of(self, trace: int, what: str) -> bytes | str:
        self.traces.select_number(trace)
        return self._answer(what)

    def _answer(self, what: str) -> bytes | str:
        """Return the selected trace, complex or as it is displayed."""
        values = self._data()
        if what == "SDATA":
            return self._pack(values.astype(complex).view(float))
        form = str(self.setting("trace_format", 1))
        return self._pack(formatted(values, form, self.frequencies))

    def _pack(self, values: Array) -> bytes | str:
        kind, length = self._data_format
        return packed(values, kind, length, swapped=self.setting("border") == "SWAP")

    def _other_commands(self) -> None:
        def act(numbers: Numbers, parameters: Parameters) -> None:
            kind = word(parameters[0], ("ASCii", "REAL")) if parameters else "ASC"
            length = round(number(parameters[1], 0, 64)) if len(parameters) > 1 else 0
            length = (length or 64) if kind == "REAL" else 0
            if length not in (0, 32, 64):
                raise ScpiError(-222, "Data out of range; REAL,32 or REAL,64")
            self._data_format = (kind, length)

        self.command(
            "FORMat[:DATA]", act, lambda *_: f"{self._data_format[0]},{self._data_format[1]}"
        )
        self.word_setting("FORMat:BORDer", "border", "NORM", ("NORMal", "SWAPped"))
        self.switch_setting("OUTPut[:STATe]", "output", True)
        for shown in (
            "DISPlay:WINDow#[:STATe]", "DISPlay:WINDow#:TRACe#:FEED", "DISPlay:TRACe#:STATe",
            "DISPlay[:WINDow#]:TRACe#[:STATe]", "DISPlay:ENABle", "DISPlay:UPDate",
        ):  # fmt: skip
            self.command(shown, lambda *_: None)
        self.command("DISPlay:TRACe:NEW", lambda *_: self.traces.add("S11"))
        for preset in ("SYSTem:PRESet", "SYSTem:FPReset"):
            self.command(preset, lambda *_: self.reset())
