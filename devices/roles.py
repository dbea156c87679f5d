"""Roles that instruments play in a rig: small Protocols, which any object may satisfy.

A driver plays a role by having its methods, not by inheriting from it; a wrapped PyMeasure or
QCoDeS instrument, or a few functions, do as well as the drivers shipped here.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Camera",
    "Digitizer",
    "Instrument",
    "Modulator",
    "Monitor",
    "Record",
    "Source",
    "TriggeredCamera",
    "VectorNetworkAnalyser",
]

Array = NDArray[Any]


@dataclass(frozen=True)
class Record:
    """What a digitizer captured after one trigger, which is at time 0.

    Attributes
    ----------
    volts : ndarray of shape (n_channels, n_samples)
    clipped : ndarray of shape (n_channels, n_samples), bool
        Whether the converter was at the end of its range, as its codes tell.
    start_s, step_s : float
        Time of the first sample, and between samples.
    """

    volts: Array
    clipped: NDArray[np.bool_]
    start_s: float
    step_s: float


@runtime_checkable
class Instrument(Protocol):
    """What every instrument of a rig can do."""

    name: str

    def open(self) -> Any:
        """Connect, check the identity, write the settings and read them back."""

    def close(self) -> None:
        """Disconnect; may be called twice."""

    def on(self) -> None:
        """Come back from `off`, where measuring alone would not."""

    def hold(self) -> None:
        """Pause in a state that keeps the thermal equilibrium."""

    def off(self) -> None:
        """Switch the output off, and check that it is."""

    def step(self) -> AbstractContextManager[Any]:
        """Keep the calls inside together: they share one unbroken connection or one fails."""

    def settings(self) -> dict[str, Any]:
        """Return what is worth a place in the record: identity and settings as read back."""


@runtime_checkable
class Source(Instrument, Protocol):
    """Plays waveforms: finite bursts, each at a trigger."""

    channels: tuple[int, ...]

    def prepare(self, sample_rate_hz: float, full_scale_v: float, points: int) -> None:
        """Fix rate, range and length for the run; called before `open`."""

    def load(self, waveforms: Array, slot: int = 0) -> None:
        """Put volts of shape (n_channels, n_samples) into the memory place `slot`."""

    def select(self, slot: int) -> None:
        """Make the waveform in `slot` the one that is played."""

    def fire(self) -> None:
        """Play the selected waveform once."""


@runtime_checkable
class Digitizer(Instrument, Protocol):
    """Captures waveforms."""

    channels: tuple[int, ...]

    def prepare(self, duration_s: float, segments: int, least_rate_hz: float) -> None:
        """Fix length, number and least rate of captures for the run; called before `open`."""

    def arm(self) -> None:
        """Get ready for a trigger, and check that it is."""

    def wait(self, deadline_s: float) -> None:
        """Wait until everything is captured; raises `ReplyTimeout` where no trigger comes."""

    def fetch(self) -> list[Record]:
        """Return what was captured since `arm`, one record per segment."""


@runtime_checkable
class VectorNetworkAnalyser(Instrument, Protocol):
    """Measures complex S-parameters."""

    parameters: tuple[str, ...]
    frequencies_hz: Array

    def sweep(self) -> Array:
        """Clear averages, sweep once and return complex values, (n_parameters, n_points)."""


@runtime_checkable
class Modulator(Instrument, Protocol):
    """Puts bits, phases or codes in the way of a wave."""

    n_elements: int

    def set(self, values: Array) -> None:
        """Show values of shape (n_elements,), and check that they were taken."""


@runtime_checkable
class Camera(Instrument, Protocol):
    """Takes pictures."""

    shape: tuple[int, int]
    full_scale: float

    def grab(self, flush: int = 0) -> Array:
        """Throw away `flush` frames and return the next, (height, width)."""


@runtime_checkable
class TriggeredCamera(Camera, Protocol):
    """A camera that can wait for a trigger line: each `arm` is for one frame."""

    triggered: bool

    def arm(self) -> None:
        """Get ready for a trigger; the next `grab` returns the frame that it starts."""


@runtime_checkable
class Monitor(Protocol):
    """Reads one number beside the measurement: a temperature, a laser's power, a supply."""

    name: str
    unit: str

    def read(self) -> float:
        """Return the value now."""
