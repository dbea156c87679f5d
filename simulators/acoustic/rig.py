"""The rig around a box: loudspeakers, scatterers, microphones, and what a number means to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.checks import flag, number, one_of, whole
from simulators._settings import settle
from simulators.acoustic.answer import LISTENS, OUTPUTS, SoundAnswer, heard_bins
from simulators.acoustic.drive import INPUTS, SoundDrive
from simulators.acoustic.modes import mode_powers
from simulators.acoustic.places import places
from simulators.acoustic.settings import SETTINGS, highest_pressure
from simulators.acoustic.tones import GRIDS, band_limits, band_room
from simulators.acoustic.transducers import Transducers

__all__ = ["AcousticRig"]

Array = NDArray[Any]

ROOM_TEMPERATURE = 293.15  # K, at which speed_of_sound is given


class AcousticRig:
    """Checks the arguments that all acoustic simulators share, and sets everything up.

    `AcousticCavity` describes the arguments. `shortest` is the shortest window that
    ``n_window=None`` chooses for tones, and the default `n_settle`.

    Raises
    ------
    ValueError
        If an argument is out of its range, or contradicts another.
    """

    def __init__(
        self,
        me: str,
        *,
        setting: str,
        n_inputs: int,
        n_outputs: int,
        input: str,
        output: str,
        quadratic: float | None,
        cubic: float | None,
        length_x: float,
        length_y: float,
        speed_of_sound: float,
        temperature: float,
        band: tuple[float, float],
        grid: str,
        listen: str | None,
        sample_rate: float,
        n_window: int | None,
        n_settle: int | None,
        speakers: int | ArrayLike,
        microphones: int | ArrayLike | None,
        scatterers: int | ArrayLike | None,
        scatterer_size: float,
        speaker_band: Any,
        microphone_band: Any,
        spread: float | None,
        noise: float | None,
        seed: int,
        ideal: bool,
        shortest: int,
    ) -> None:
        self.me = me
        chosen = settle(
            me,
            setting,
            SETTINGS,
            quadratic=quadratic,
            cubic=cubic,
            scatterers=scatterers,
            spread=spread,
        )
        self.usual = usual = SETTINGS[setting]
        self.n_inputs = whole(me, "n_inputs", n_inputs, 1)
        self.n_outputs = whole(me, "n_outputs", n_outputs, 1)
        self.input = one_of(me, "input", input, INPUTS)
        one_of(me, "output", output, OUTPUTS)
        one_of(me, "grid", grid, GRIDS)
        self.quadratic = number(me, "quadratic", chosen["quadratic"], -math.inf)
        self.cubic = number(me, "cubic", chosen["cubic"], -math.inf)
        self.box = np.array(
            [
                number(me, "length_x", length_x, 0.0, above=True),
                number(me, "length_y", length_y, 0.0, above=True),
            ]
        )
        self.nominal_speed = number(me, "speed_of_sound", speed_of_sound, 0.0, above=True)
        number(me, "temperature", temperature, 0.0, above=True)
        # An ideal gas: c grows with the square root of the temperature, 0.17 % per kelvin.
        self.warmth = math.sqrt(temperature / ROOM_TEMPERATURE)
        self.sample_rate = number(me, "sample_rate", sample_rate, 0.0, above=True)
        self.band = band_limits(me, band)
        self.ideal = flag(me, "ideal", ideal)
        whole(me, "seed", seed, 0)
        if n_settle is None:
            n_settle = shortest if input == "tones" else 0
        self.n_settle = whole(me, "n_settle", n_settle, 0)
        self.scatterer_size = number(me, "scatterer_size", scatterer_size, 0.0)

        where = np.random.SeedSequence(seed).spawn(6)
        self.speakers = places(me, "speakers", speakers, 1, self.box, where[0])
        self.scatterers = places(me, "scatterers", chosen["scatterers"], 0, self.box, where[1])
        self.drive = SoundDrive(
            me,
            input,
            n_inputs,
            len(self.speakers),
            self.band,
            self.sample_rate,
            n_window,
            grid=grid,
            shortest=shortest,
        )
        self.n_window = self.drive.n_window
        self.n_steps = self.n_settle + self.n_window
        self.tone_frequencies = self.drive.bins * (self.sample_rate / self.n_window)
        self._place_microphones(output, listen, microphones, where[2])
        self.random = np.random.default_rng(where[3])

        self.spread = 0.0 if self.ideal else number(me, "spread", chosen["spread"], 0.0, 0.5)
        self.speaker_response = self._transducers(
            "speaker_band", self.speakers, speaker_band, usual, where[4]
        )
        self.microphone_response = self._transducers(
            "microphone_band", self.microphones, microphone_band, usual, where[5]
        )
        self.microphone_gains = self.answer.gains(self.microphone_response)
        # On tones the microphones act as factors; on anything else as filters, from the start.
        self.filtered = output != "tones" and not self.microphone_response.flat
        self._table = self.drive.table
        if not self.speaker_response.flat:
            all_steps = np.arange(self.n_steps) % self.n_window
            self._table = self.speaker_response.apply(self.drive.table[all_steps])

        self.reference_pressure = math.sqrt(n_inputs / 2) if input == "tones" else 1.0
        if noise is None:
            tones = input == output == "tones"
            relative = usual["relative_noise"] * self.reference_pressure
            noise = usual["noise"] if tones else relative
        self.noise = number(me, "noise", noise, 0.0) * (not self.ideal)

    # -- use -----------------------------------------------------------------------------------

    def play(self, drives: Array) -> Array:
        """Return what the loudspeakers radiate, (n_window or n_steps, n_speakers, rows)."""
        return _map(self._table, drives)

    def waveforms(self, drives: Array) -> Array:
        """Return what is sent to the loudspeakers, (rows, n_speakers, n_steps)."""
        period = _map(self.drive.table, drives)
        return np.ascontiguousarray(
            period[np.arange(self.n_steps) % self.n_window].transpose(2, 1, 0)
        )

    def read(self, heard: Array) -> Array:
        """Return the answers, (rows, n_outputs), to what was heard.

        `heard` begins with the row where the microphones act as filters, else with the window.
        """
        if self.filtered:
            heard = self.microphone_response.apply(heard)[self.n_settle :]
        return self.answer.read(heard, self.microphone_gains, self.noise, self.random)

    # -- for the physics -----------------------------------------------------------------------

    def gain(self, frequencies: Array, damping: Array) -> float:
        """Return g, by which uniform drives give the reference pressure.

        In rms, over places, drives and time, in a settled linear box whose modes have these
        frequencies in Hz and damping ``w / Q`` in 1/s.
        """
        at = np.arange(self.n_window // 2 + 1) * (self.sample_rate / self.n_window)
        power = self.drive.power() * np.abs(self.speaker_response.nominal(at)) ** 2
        loud = power > 1e-12 * power.max()  # the others are rounding
        total = power[loud] @ mode_powers(frequencies, damping, at[loud])
        return self.reference_pressure / math.sqrt(total)

    def coupling(self, quality: float) -> float:
        """Return k, from the quality factor at the centre of the band."""
        return (np.pi * sum(self.band)) ** 2 / (quality * max(1, len(self.scatterers)))

    def highest_pressure(self, stiffness: float) -> float:
        """Return the pressure at which the scatterers' R' reaches `stiffness`."""
        return self.reference_pressure * highest_pressure(self.quadratic, self.cubic, stiffness)

    # -- set-up --------------------------------------------------------------------------------

    def _place_microphones(
        self,
        output: str,
        listen: str | None,
        microphones: int | ArrayLike | None,
        seed: np.random.SeedSequence,
    ) -> None:
        me, tones = self.me, self.input == "tones"
        choice = ("driven" if tones else "all") if listen is None else listen
        one_of(me, "listen", choice, LISTENS if tones else ("all",))
        room = band_room(self.band, self.sample_rate / self.n_window)
        given = (
            None
            if microphones is None
            else places(me, "microphones", microphones, 1, self.box, seed)
        )
        self.answer = SoundAnswer(
            me,
            output,
            self.n_outputs,
            None if given is None else len(given),
            self.n_window,
            heard_bins(choice, self.drive.bins, *room),
            self.sample_rate,
        )
        if given is None:
            given = places(me, "microphones", len(self.answer.counts), 1, self.box, seed)
        self.microphones = given

    def _transducers(
        self,
        name: str,
        positions: Array,
        band: Any,
        usual: dict[str, Any],
        seed: np.random.SeedSequence,
    ) -> Transducers:
        if isinstance(band, str):
            one_of(self.me, name, band, ("flat",))
        if band is None:
            low, high = usual[name]
            band = low, min(high, 0.4 * self.sample_rate)
        return Transducers(
            self.me,
            name,
            len(positions),
            None if self.ideal or isinstance(band, str) else band,
            self.spread,
            self.sample_rate,
            seed,
        )


def _map(table: Array, drives: Array) -> Array:
    played: Array = table.reshape(-1, table.shape[2]) @ drives.T
    return played.reshape(*table.shape[:2], len(drives))
