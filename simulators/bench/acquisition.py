"""How an oscilloscope acquires: time base, trigger, arming, segments, averages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.converter import Capture
from simulators.bench.faults import Faults
from simulators.bench.scpi import Numbers, ScpiInstrument
from simulators.bench.syntax import Unit
from simulators.bench.values import nr3, number, one

__all__ = ["CHANNELS", "MEMORY", "Acquisition"]

Array = NDArray[Any]

CHANNELS = 4
MEMORY = 4_000_000  # samples per channel
_FASTEST = 2e9  # samples per second
_SEGMENTS = 1000
_RUNNING, _WAITING = 8, 32  # bits of the operation status register
_LEFT = {"LEFT": 0.1, "CENT": 0.5, "RIGH": 0.9}


class Acquisition(ScpiInstrument):
    """Waits for triggers and keeps what the inputs see after them; see `Oscilloscope`.

    Attributes
    ----------
    records : list of Capture
        What the last acquisition took; more than one of segments.
    gain : float
        Of all channels; drifts where a fault says so.
    """

    def __init__(
        self,
        name: str,
        idn: str,
        on_arm: Callable[[], None],
        faults: Faults | None,
        lock: threading.RLock | None,
    ) -> None:
        super().__init__(name, idn, faults, lock)
        self.on_arm = on_arm
        self.gain = 1.0
        self.records: list[Capture] = []
        self._taken: list[Capture] = []
        self._armed = self._runs = self._triggered = self._arm_event = False
        self._time_commands()
        self._trigger_commands()
        self._acquisition_commands()

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
        with self.lock:
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
        self.records = taken
        if not self._runs:
            self._armed = False
            self.finished()

    def arm(self, *, held: bool = False, runs: bool = False) -> None:
        """Start an acquisition; `held` as by ``:DIGitize``, `runs` as by ``:RUN``."""
        self._taken, self._armed, self._arm_event, self._runs = [], True, True, runs
        if not runs:
            self.records = []
            if held:
                self.began(held=True)
        self.on_arm()
        if self._armed and self.setting("sweep") == "AUTO":
            while self._armed:
                self.capture(np.zeros((CHANNELS, 0)), 1.0)
                if runs:
                    break

    def stop(self) -> None:
        """End the acquisition; what it has is kept."""
        self._armed = self._runs = False
        if self._taken and self.setting("mode") == "SEGM":
            self.records, self._taken = self._taken, []
        if self.busy:
            self.finished()

    def abort(self) -> None:
        """Give up an acquisition that holds the instrument."""
        self.stop()

    def reset(self) -> None:
        """Return to the state after ``*RST``."""
        self._armed = self._runs = self._triggered = self._arm_event = False
        self._taken, self.records = [], []
        super().reset()

    def must_wait(self, unit: Unit) -> bool:
        """Whether a unit waits; ``:STOP`` never does."""
        return unit.header.upper() not in (":STOP", "STOP") and super().must_wait(unit)

    # -- commands ------------------------------------------------------------------------------

    def _time_commands(self) -> None:
        time = "TIMebase:"
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
                f"MAIN:RANG {self.setting('time_range'):+.2E};"
                f"POS {self.setting('time_position'):+.1E}"
            ),
        )

    def _trigger_commands(self) -> None:
        trigger, edge = "TRIGger:", "TRIGger[:EDGE]:"
        self.word_setting(trigger + "MODE", "trigger_mode", "EDGE", ("EDGE",))
        self.word_setting(trigger + "SWEep", "sweep", "AUTO", ("AUTO", "NORMal"))
        sources = ("EXTernal", "LINE", "WGEN", *(f"CHANnel{k}" for k in range(1, CHANNELS + 1)))
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
        self.command(trigger + "FORCe", lambda *_: self.capture(np.zeros((CHANNELS, 0)), 1.0))

    def _acquisition_commands(self) -> None:
        acquire = "ACQuire:"
        types = ("NORMal", "AVERage", "HRESolution", "PEAK")
        self.word_setting(acquire + "TYPE", "type", "NORM", types)
        self.word_setting(acquire + "MODE", "mode", "RTIM", ("RTIMe", "SEGMented", "ETIMe"))
        self.number_setting(acquire + "COUNt", "count", 8, 2, 65536, whole=True)
        self.number_setting(acquire + "SEGMented:COUNt", "segments", 2, 2, _SEGMENTS, whole=True)
        self.number_setting(acquire + "SEGMented:INDex", "segment", 1, 1, _SEGMENTS, whole=True)
        self.command(acquire + "SRATe", ask=lambda *_: nr3(self._rate()))
        self.command(acquire + "POINts", ask=lambda *_: f"{self.depth():+d}")
        self.command(acquire + "COMPlete", ask=lambda *_: "100" if self.records else "0")
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

    def depth(self) -> int:
        """Return how many samples an acquisition takes."""
        return min(MEMORY, max(100, round(float(self.setting("time_range")) * _FASTEST)))

    def _rate(self) -> float:
        return self.depth() / float(self.setting("time_range"))
