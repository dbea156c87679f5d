"""A programmable metasurface and a network analyser: bits out, S-parameters in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of, whole
from devices.errors import DeviceError
from devices.rigs.base import Rig
from devices.roles import Modulator, VectorNetworkAnalyser
from devices.safety import LabLimits
from devices.spec import DeviceSpec

__all__ = ["MetasurfaceRig"]

Array = NDArray[Any]

_NOISY = 3.0  # times what two repeats differ by: beyond noise


class MetasurfaceRig(Rig):
    """Rows of bits on the elements; S-parameters at all frequencies.

    For every row: hold the analyser, set the bits, settle, clear its averages, sweep once, wait
    for the end of the sweep, read. In any other order, averages mix configurations.

    Every `sentinel_every` rows two configurations are measured again, all elements off and all on;
    they show drift, and elements that no longer switch: see `sentinel_change`.

    Parameters
    ----------
    modulator : Modulator
    analyser : VectorNetworkAnalyser
        With grid, bandwidth, power and correction, which are read back and recorded.
    n_outputs : int or None
        Width of an answer: all parameters at the first frequency, then at the second and so on;
        None takes all.
    answers : {"magnitude", "complex"}
    settle_s : float or None
        Wait after the bits are set; None is the modulator's.
    sentinel_every : int
        Rows between sentinels; 0 for none.
    sentinel_tolerance : float
        Largest change of the sentinels, as a share of the distance between them; where noise
        alone does more, three times that.
    attempts : int
        How often one row is tried.
    limits, instruments, monitors, warm_up_s, name
        See `Rig`.

    Attributes
    ----------
    sentinel_change : float
        Relative change of the sentinels since they were first measured.

    Raises
    ------
    ValueError
        If a setting is out of its range, or the power is above the laboratory's limit.
    """

    def __init__(
        self,
        modulator: Modulator,
        analyser: VectorNetworkAnalyser,
        *,
        n_outputs: int | None = None,
        answers: Literal["magnitude", "complex"] = "complex",
        settle_s: float | None = None,
        sentinel_every: int = 0,
        sentinel_tolerance: float = 0.1,
        attempts: int = 2,
        limits: LabLimits | None = None,
        instruments: Mapping[str, Any] | None = None,
        monitors: Mapping[str, Any] | None = None,
        warm_up_s: float = 0.0,
        name: str = "metasurface-rig",
    ) -> None:
        room = len(analyser.parameters) * len(analyser.frequencies_hz)
        count = whole(name, "n_outputs", room if n_outputs is None else n_outputs, 1, room)
        one_of(name, "answers", answers, ("magnitude", "complex"))
        self._complex = answers == "complex"
        self._modulator, self._analyser = modulator, analyser
        own = getattr(modulator, "settle_s", 0.0)
        settle_s = number(name, "settle_s", own if settle_s is None else settle_s, 0.0, 60.0)
        self._every = whole(name, "sentinel_every", sentinel_every, 0)
        self._tolerance = number(name, "sentinel_tolerance", sentinel_tolerance, 0.0, above=True)
        self._reference: Array | None = None
        self._room = self._tolerance
        self._since = 0
        self.sentinel_change = 0.0
        power, most = getattr(analyser, "power_dbm", None), (limits or LabLimits()).power_dbm
        if power is not None and most is not None and power > most:
            raise ValueError(
                f"{name}: the analyser's power_dbm={power:g} is above the laboratory's limit, "
                f"power_dbm={most:g}"
            )
        self.spec = DeviceSpec(
            name=name,
            n_inputs=modulator.n_elements,
            n_outputs=count,
            domain="bits",
            output_dtype="complex128" if self._complex else "float64",
            seconds_per_query=settle_s,
            settle_s=settle_s,
            max_batch=1,
            attempts=attempts,
        )
        self._stand(
            instruments or {modulator.name: modulator, analyser.name: analyser},
            limits,
            monitors,
            warm_up_s,
        )

    @property
    def settles(self) -> bool:
        """True: every row waits between bits and sweep."""
        return True

    def _open(self) -> None:
        super()._open()
        self._reference, self._since, self.sentinel_change = None, 0, 0.0

    def _measure(self, drives: Array) -> Array:
        if self._every and (self._reference is None or self._since >= self._every):
            self._look_at_sentinels()
        answers = np.stack([self._row(bits) for bits in drives])
        self._since += len(drives)
        return answers

    def _row(self, bits: Array) -> Array:
        with self._modulator.step(), self._analyser.step():
            self._analyser.hold()
            self._modulator.set(bits)
            time.sleep(self.spec.settle_s)
            values = self._analyser.sweep().T.ravel()[: self.spec.n_outputs]
        return values if self._complex else np.abs(values)

    def _look_at_sentinels(self) -> None:
        n = self.spec.n_inputs
        now = np.stack([self._row(np.zeros(n)), self._row(np.ones(n))])
        self._since = 0
        self._ledger.queries["calibration"] += len(now)
        if self._reference is None:
            self._learn_sentinels(now)
            return
        self.sentinel_change = self._change(now)
        if self.sentinel_change > self._room:
            raise DeviceError(
                f"{self.spec.name}: the sentinel configurations have changed by "
                f"{self.sentinel_change:.3g} of what lies between them, allowed are "
                f"{self._room:.3g} (sentinel_tolerance={self._tolerance:g}, or what the noise "
                "does): elements are stuck, or the bench has drifted. The last "
                f"{self._every} rows are suspect"
            )

    def _learn_sentinels(self, first: Array) -> None:
        """Keep the sentinels' answers, and find out by repeats how far noise moves them."""
        n = self.spec.n_inputs
        again = np.stack([self._row(np.zeros(n)), self._row(np.ones(n))])
        self._ledger.queries["calibration"] += len(again)
        if np.linalg.norm(first[1] - first[0]) <= _NOISY * np.linalg.norm(again - first):
            raise DeviceError(
                f"{self.spec.name}: all elements off and all on differ no more than noise does; "
                "does the controller drive the elements, is the analyser connected, and are the "
                "parameters those between antennas that see the metasurface?"
            )
        self._reference = first
        self._room = max(self._tolerance, _NOISY * self._change(again))

    def _change(self, now: Array) -> float:
        """Return how far the sentinels are from the reference, in units of their distance."""
        assert self._reference is not None
        distance = np.linalg.norm(self._reference[1] - self._reference[0])
        return float(np.linalg.norm(now - self._reference) / distance)
