"""What connects the instruments of a rig: one physics behind all of them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from devices.checks import number
from simulators.acoustic.box import AcousticBox
from simulators.acoustic.play import resampled
from simulators.bench.generator import Generator, Signal
from simulators.bench.modulator import Modulator
from simulators.bench.oscilloscope import Oscilloscope
from simulators.microwave.metasurface_cavity import MetasurfaceCavity

__all__ = ["MicrowaveWiring", "Played", "SoundWiring"]

Array = NDArray[Any]

_REMEMBERED = 100_000  # bursts
_RUN_IN_S = 0.25  # what plays on its own has played for this long when it is looked at
_IF_BANDWIDTH = 1000.0  # Hz at which the analyser's noise is the simulator's, at 0 dBm


@dataclass(frozen=True)
class Played:
    """One burst that reached the load: its channel, extremes in V, and duration in s."""

    channel: int
    low_v: float
    high_v: float
    seconds: float


@dataclass
class SoundWiring:
    """Generators play into the loudspeakers of a box; oscilloscopes hear its microphones.

    Channel k of the generator is loudspeaker k, channel k of the oscilloscope microphone k, and
    every trigger of the generator reaches the oscilloscope's external trigger input. Each burst
    finds the box at rest. Samples are taken at the simulator's rate; a generator or oscilloscope
    at that rate, or a multiple on its grid, loses nothing to interpolation.

    Parameters
    ----------
    box : AcousticBox
        The physics.
    volts_per_input : float
        Volts at the load that are a full input of the box: of a tone's full amplitude.
    volts_per_output : float
        Volts at the oscilloscope for the unit of the box's answers.
    lock : RLock
        That of the bench.

    Attributes
    ----------
    played : deque of Played
        All bursts, for tests of what reached the load.
    """

    box: AcousticBox
    volts_per_input: float = 0.05
    volts_per_output: float = 0.05
    lock: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        for name in ("volts_per_input", "volts_per_output"):
            number("bench", name, getattr(self, name), 0.0, above=True)
        self.played: deque[Played] = deque(maxlen=_REMEMBERED)
        self.generators: list[Generator] = []
        self.oscilloscopes: list[Oscilloscope] = []

    def fire(self, signals: dict[int, Signal]) -> None:
        """Play bursts of channels, in volts at the load, and let the oscilloscopes capture."""
        for channel, (volts, rate) in signals.items():
            seen = Played(channel, float(volts.min()), float(volts.max()), len(volts) / rate)
            self.played.append(seen)
        listening = [scope for scope in self.oscilloscopes if scope.armed]
        if not listening:
            return
        seconds = max((len(volts) / rate for volts, rate in signals.values()), default=0.0)
        seconds = max([seconds, *(sum(scope.span()) for scope in listening)])
        heard = self._heard(signals, seconds)
        for scope in listening:
            scope.capture(heard, self.box.sample_rate)

    def armed(self) -> None:
        """Let what plays without a trigger be captured; called when an oscilloscope was armed."""
        running: dict[int, Signal] = {}
        for generator in self.generators:
            running |= generator.running()
        listening = [scope for scope in self.oscilloscopes if scope.armed]
        if not running or not listening:
            return
        seconds = max(sum(scope.span()) for scope in listening) + _RUN_IN_S
        endless = {
            channel: (np.resize(volts, max(1, round(seconds * rate))), rate)
            for channel, (volts, rate) in running.items()
        }
        for channel, (volts, _) in endless.items():
            self.played.append(Played(channel, float(volts.min()), float(volts.max()), seconds))
        heard = self._heard(endless, seconds)[:, round(_RUN_IN_S * self.box.sample_rate) :]
        for scope in listening:
            scope.capture(heard, self.box.sample_rate)

    def _heard(self, signals: dict[int, Signal], seconds: float) -> Array:
        """Return volts at the oscilloscope, (n_microphones, n_samples), from the trigger on."""
        rate = self.box.sample_rate
        sound = np.zeros((len(self.box.speakers), max(1, round(seconds * rate))))
        for channel, (volts, own_rate) in signals.items():
            if channel <= len(sound):
                length = max(1, round(len(volts) / own_rate * rate))
                new = resampled(volts[None] / self.volts_per_input, own_rate, rate, length)[0]
                new = new[: sound.shape[1]]
                sound[channel - 1, : len(new)] = new
        return self.box.play(sound, rate) * self.volts_per_output


@dataclass
class MicrowaveWiring:
    """A modulator sets the elements of a metasurface; analysers measure between the antennas.

    Port k is transmitter k, and the ports after the last transmitter are the receivers. What the
    simulator does not know, the reflection at a port and the coupling of two transmitters or two
    receivers, is 0.

    Parameters
    ----------
    cavity : MetasurfaceCavity
        The physics; its own frequencies do not matter, those of the sweep do.
    arguments : dict
        What the cavity was made of, to make it anew for the frequencies of a sweep.
    modulator : Modulator
        Whose bits count.
    reference_hz : float
        The simulator's unit of frequency, in Hz.
    """

    cavity: MetasurfaceCavity
    arguments: dict[str, Any]
    modulator: Modulator
    reference_hz: float = 2.45e9

    def __post_init__(self) -> None:
        number("bench", "reference_hz", self.reference_hz, 0.0, above=True)
        self._grid: tuple[float, ...] = ()
        self._swept = self.cavity
        self._random = np.random.default_rng(self.arguments.get("seed", 0))

    @property
    def n_ports(self) -> int:
        """Ports of an analyser: all antennas."""
        return len(self.cavity.transmitters) + len(self.cavity.receivers)

    def scattering(
        self, frequencies_hz: Array, pairs: list[tuple[int, int]], noise: float = 1.0
    ) -> Array:
        """Return S-parameters, (n_pairs, n_frequencies), for the bits that are set now.

        Parameters
        ----------
        frequencies_hz : ndarray of shape (n_frequencies,)
        pairs : list of (int, int)
            Answering and driven port, from 1 on: (2, 1) is S21.
        noise : float
            Times the simulator's own noise.
        """
        grid = tuple(float(f) for f in frequencies_hz)
        if grid != self._grid:
            kept = {key: value for key, value in self.arguments.items() if key != "n_outputs"}
            inside = np.asarray(grid) / self.reference_hz
            self._swept = MetasurfaceCavity(**(kept | {"frequencies": inside}))
            self._grid = grid
        channels = self._swept.channels(self.modulator.bits[None].astype(float))[0]
        n_transmitters = channels.shape[2]
        sigma = noise * self._swept._noise * self.cavity.reference_level / np.sqrt(2)
        answers = np.zeros((len(pairs), len(grid)), complex)
        for k, pair in enumerate(pairs):
            low, high = sorted(pair)
            if 1 <= low <= n_transmitters < high <= self.n_ports:
                answers[k] = channels[:, high - n_transmitters - 1, low - 1]
        drawn = self._random.standard_normal((*answers.shape, 2))
        return answers + sigma * drawn.view(complex)[..., 0]


def analyser_noise(if_bandwidth_hz: float, power_dbm: float) -> float:
    """Return an analyser's noise relative to that of the simulator."""
    return float(np.sqrt(if_bandwidth_hz / _IF_BANDWIDTH) * 10 ** (-power_dbm / 20))


class Scattering(Protocol):
    """What an analyser measures: see `MicrowaveWiring`."""

    @property
    def n_ports(self) -> int:
        """Ports."""
        ...

    def scattering(
        self, frequencies_hz: Array, pairs: list[tuple[int, int]], noise: float = 1.0
    ) -> Array:
        """Return S-parameters, (n_pairs, n_frequencies)."""
        ...
