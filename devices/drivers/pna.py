"""Vector network analysers of the Keysight PNA and E5080 families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from devices.drivers.scpi import ScpiInstrument
from devices.errors import DeviceError, ShortTransfer

__all__ = ["Pna"]


class Pna(ScpiInstrument):
    """An analyser that sweeps once per question; the role `VectorNetworkAnalyser`.

    Everything that a correction depends on (range, points, bandwidth, power) is set, read back
    and kept in the record. A grid other than that of the correction would be interpolated or
    uncorrected in silence: with `correction` the instrument must say that a correction is on.

    Parameters
    ----------
    address : str
        See `devices.transports`.
    start_hz, stop_hz : float
        Range of the sweep.
    points : int
        Frequencies, evenly spaced.
    parameters : sequence of str
        ``S21``, ``S11`` ..., in the order of the answers.
    if_bandwidth_hz : float
    power_dbm : float
        At port 1.
    averages : int
        Sweeps of each point, averaged inside the instrument point by point.
    correction : bool or None
        True demands a correction that is on, False switches it off, None takes what there is.
    sweep_s : float
        Longest time of one sweep.
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
        start_hz: float,
        stop_hz: float,
        points: int,
        parameters: Sequence[str] = ("S21",),
        if_bandwidth_hz: float = 1e3,
        power_dbm: float = -10.0,
        averages: int = 1,
        correction: bool | None = None,
        sweep_s: float = 60.0,
        name: str = "analyser",
        idn: str = r"PNA|E50[678]\d|E83\d\d|N52\d\d|M98\d\d|P50\d\d|P93\d\d",
        **link: Any,
    ) -> None:
        super().__init__(address, name=name, idn=idn, **link)
        self._start = number(name, "start_hz", start_hz, 1.0)
        self._stop = number(name, "stop_hz", stop_hz, self._start, above=points > 1)
        self._n = whole(name, "points", points, 1, 100_001)
        self.parameters = tuple(parameters)
        for p in self.parameters:
            if len(p) != 3 or p[0].upper() != "S" or not p[1:].isdigit():
                raise ValueError(f"{name}: parameters: {p!r} is none such as 'S21'")
        self._bandwidth = number(name, "if_bandwidth_hz", if_bandwidth_hz, 0.1, 1e8)
        self.power_dbm = number(name, "power_dbm", power_dbm, -120, 30)
        self._averages = whole(name, "averages", averages, 1, 65536)
        self._correction = correction
        self._sweep_s = number(name, "sweep_s", sweep_s, 0.0, 1e5, above=True)
        self.frequencies_hz = np.linspace(self._start, self._stop, self._n)

    def configure(self) -> None:
        """Hold, define the traces, write the settings and read them back."""
        self.send("*CLS", "SENS1:SWE:MODE HOLD", "CALC1:PAR:DEL:ALL", "DISP:WIND1 ON")
        for k, p in enumerate(self.parameters, 1):
            self.send(f"CALC1:PAR:DEF:EXT 'pnn_{p}','{p}'", f"DISP:WIND1:TRAC{k}:FEED 'pnn_{p}'")
        self.send(
            "TRIG:SOUR IMM",
            "SENS1:SWE:TYPE LIN",
            f"SENS1:FREQ:STAR {self._start:.12g}",
            f"SENS1:FREQ:STOP {self._stop:.12g}",
            f"SENS1:SWE:POIN {self._n}",
            f"SENS1:BWID {self._bandwidth:g}",
            f"SOUR1:POW1 {self.power_dbm:g}",
            "SENS1:AVER:MODE POIN",
            f"SENS1:AVER:COUN {self._averages}",
            f"SENS1:AVER {'ON' if self._averages > 1 else 'OFF'}",
            "FORM:DATA REAL,64",
            "FORM:BORD SWAP",
        )
        if self._correction is False:
            self.send("SENS1:CORR OFF")
        for question, expected in (
            ("SENS1:FREQ:STAR?", self._start),
            ("SENS1:FREQ:STOP?", self._stop),
            ("SENS1:SWE:POIN?", float(self._n)),
            ("SENS1:BWID?", self._bandwidth),
            ("SOUR1:POW1?", self.power_dbm),
            ("SENS1:AVER:COUN?", float(self._averages)),
        ):
            self.verify(question, expected, tolerance=1e-6)
        self._check_correction()
        self.on()
        self.check_errors()

    def on(self) -> None:
        """Switch the power on, and check that it is."""
        self.send("OUTP ON")
        if self.number("OUTP?") == 0:
            raise DeviceError(f"{self.name}: the power is still off after OUTP ON")

    def _check_correction(self) -> None:
        on = self.number("SENS1:CORR?") != 0
        self._read_back["SENS1:CORR"] = on
        if self._correction and not on:
            raise DeviceError(
                f"{self.name}: correction=true, but the instrument's correction is off; a changed "
                "grid, bandwidth or power invalidates it. Calibrate for "
                f"{self._start:g} to {self._stop:g} Hz with {self._n} points, or set "
                "correction=false"
            )
        if on:
            self._read_back["SENS1:CORR:CSET:GUID"] = self.ask("SENS1:CORR:CSET:GUID?").strip('"')

    def sweep(self) -> NDArray[np.complex128]:
        """Clear the averages, sweep once, wait for its end and return (n_parameters, n_points).

        Raises
        ------
        ShortTransfer
            If a trace has another number of points than was set.
        """
        self.send("SENS1:AVER:CLE", "SENS1:SWE:MODE SING")
        self.ask("*OPC?", deadline_s=self._sweep_s)
        traces = []
        for p in self.parameters:
            self.send(f"CALC1:PAR:SEL 'pnn_{p}'")
            values = np.frombuffer(self.transport.query_block("CALC1:DATA? SDATA"), "<f8")
            if len(values) != 2 * self._n:
                raise ShortTransfer(
                    f"{self.name}: {p} has {len(values) / 2:g} points, {self._n} were set"
                )
            traces.append(values.view(np.complex128))
        return np.stack(traces)

    def hold(self) -> None:
        """Stop sweeping; the source stays on."""
        self.send("SENS1:SWE:MODE HOLD")

    def off(self) -> None:
        """Stop sweeping and switch the power off."""
        self.send("SENS1:SWE:MODE HOLD", "OUTP OFF")
        if self.number("OUTP?") != 0:
            raise DeviceError(f"{self.name}: the power is still on after OUTP OFF")
