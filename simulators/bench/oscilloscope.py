"""An oscilloscope of the Keysight InfiniiVision family (DSOX)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.bench.acquisition import CHANNELS, MEMORY, Acquisition
from simulators.bench.converter import Capture, Converter
from simulators.bench.faults import COMMON_KINDS, Faults
from simulators.bench.scpi import Numbers
from simulators.bench.syntax import block
from simulators.bench.values import Parameters, ScpiError, nr3, number, one

__all__ = ["Oscilloscope"]

Array = NDArray[Any]

_COUNTS = sorted({k * 10**d for d in range(2, 7) for k in (1, 2, 5)} | {250, 62_500, MEMORY})


class Oscilloscope(Acquisition):
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

    faults_of = (*COMMON_KINDS, "nan", "saturate", "drift")

    def __init__(
        self,
        name: str = "oscilloscope",
        *,
        on_arm: Callable[[], None] = lambda: None,
        idn: str = "AGILENT TECHNOLOGIES,DSO-X 3034A,MY00000002,02.65.0000000000",
        faults: Faults | None = None,
        lock: threading.RLock | None = None,
    ) -> None:
        super().__init__(name, idn, on_arm, faults, lock)
        self._channel_commands()
        self._waveform_commands()

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
        def get(key: str) -> float | str | bool:
            return self.setting(key, *numbers)

        return (
            f":CHAN{numbers[0]}:RANG {get('range'):+.2E};OFFS {get('offset'):+.5E};"
            f"COUP {get('coupling')};IMP {get('impedance')};DISP {get('display'):d};"
            f'BWL {get("bandwidth_limit"):d};INV {get("invert"):d};LAB "{numbers[0]}";'
            f"UNIT {get('units')};PROB {get('probe'):+.0E};PROB:SKEW {get('skew'):+.2E};STYP SING"
        )

    # -- transfer ------------------------------------------------------------------------------

    def _waveform_commands(self) -> None:
        wave = "WAVeform:"
        sources = tuple(f"CHANnel{k}" for k in range(1, CHANNELS + 1))
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
        self.command(wave + "SEGMented:COUNt", ask=lambda *_: f"{len(self.records):+d}")
        self.command(wave + "SEGMented:TTAG", ask=lambda *_: nr3(0.0))
        self.switch_setting(wave + "SEGMented:ALL", "all_segments")

    def _set_points(self, numbers: Numbers, parameters: Parameters) -> None:
        given = one(parameters)
        most = isinstance(given, str) and given.upper() in ("MAX", "MAXIMUM")
        self.settings["points", ()] = float(MEMORY) if most else number(given, 100, MEMORY)

    def _points(self) -> int:
        most = min(float(self.setting("points")), self.depth())
        return max(count for count in (*_COUNTS, 100) if count <= most)

    def _record(self) -> Capture:
        if not self.records:
            raise ScpiError(-230, "Data corrupt or stale; nothing has been acquired")
        if self.setting("mode") != "SEGM":
            return self.records[-1]
        index = int(self.setting("segment"))
        if index > len(self.records):
            raise ScpiError(-222, "Data out of range; there is no such segment")
        return self.records[index - 1]

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
            (self.records[-1].start_s, self.records[-1].length_s) if self.records else self.span()
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
        every = self.setting("all_segments") and self.setting("mode") == "SEGM" and self.records
        records = self.records if every else [self._record()]
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
