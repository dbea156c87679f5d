"""Sound in a flat box with non-linear scatterers, by finite differences."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.checks import number, one_of
from simulators.acoustic.box import AcousticBox
from simulators.acoustic.finite_differences import WaveGrid
from simulators.acoustic.finite_differences_numba import has_numba
from simulators.acoustic.modes import box_modes
from simulators.acoustic.patches import absorber_damping, patch_weights
from simulators.acoustic.quality import quality_of_rt60
from simulators.acoustic.rig import AcousticRig

__all__ = ["AcousticGrid"]

Array = NDArray[Any]

# Peak of an ordinary row, in reference pressures: what the step must bear.
_ORDINARY_PEAK = 3.0
# The modes up to so many times the band give the size of g; the others are far from resonance.
_GAIN_REACH = 2.0
_HIGHEST_COURANT = 1 / math.sqrt(2)
_PICTURE_POINTS = 120  # along the longer side


class AcousticGrid(AcousticBox):
    """The cavity of `AcousticCavity`, on a grid: a second model that shares no solver with it.

    The pressure obeys the damped wave equation with rigid walls (Kuttruff, Room Acoustics,
    ch. 3), all modes of the box included and equally fast to die::

        p_tt + 2 s p_t = c^2 (p_xx + p_yy) + A g sum_l D(r - r_l) d_l(t)
                                           - A k sum_s D(r - r_s) R(p_s)
        R(p) = quadratic p^2 / p0 + cubic p^3 / p0^2,   s = 3 ln(10) / rt60
        k = (2 pi f_c)^2 / (Q n_scatterers),  f_c the centre of the band, Q = f_c rt60 / 2.2

    A is the area of the box. D is a Dirac pulse less its mean, as a leak keeps the mean pressure
    of the box. A scatterer is a Gaussian patch, and p_s is the pressure weighted by it. An
    absorbing layer before the walls adds to s. Drives, answers, units, positions and
    imperfections are those of the cavity: the same seed places the same rig. See `WaveGrid` for
    the steps.

    Parameters
    ----------
    n_inputs, n_outputs, setting, input, output, quadratic, cubic
        See `AcousticCavity`; as all parameters that are not described here.
    rt60 : float or None
        Reverberation time in s, of all modes alike. None: that of the setting's quality at the
        centre of the band.
    spacing : float
        Side of a cell in m; both sides of the box must be whole multiples of it. A wave is well
        resolved by 10 cells or more.
    absorber_width : float
        Thickness in m of an absorbing layer before each wall; 0 is none.
    absorber_reflection : float
        Amplitude that a wave straight through the layer and back would have left, from 0 to 1,
        both excluded.
    sample_rate : float or None
        In Hz; its inverse is the time step. None: 24 kHz, or 36 kHz in the setting "rich", whose
        stiffer scatterers need it.
    n_settle : int or None
        None: for tones 1 / 15.625 s, which is also the shortest window.
    scatterer_size : float or None
        Standard deviation of the patch in m; 0 is a point. None: 0.02, or half a cell where that
        is more.
    accelerator : {"auto", "numba", "numpy"}
        What runs the steps. The answers are the same but for rounding; "auto" takes numba where
        it is installed.
    precision : {"single", "double"}
        Of the fields.

    Attributes
    ----------
    tone_frequencies, output_frequencies, output_microphones, speakers, microphones, scatterers
        See `AcousticCavity`; so too sample_rate, n_window, n_settle, gain, reference_pressure
        and coupling.
    shape : (int, int)
        Cells along y and along x.
    courant : float
        ``c_nl h / d`` with the non-linear wave speed of an ordinary row.

    Raises
    ------
    ValueError
        If an argument is out of its range, the box is no whole number of cells, or the step is
        too long for the wave speed, linear or not: the message has both numbers.
    ImportError
        If ``accelerator="numba"`` is asked for and not installed.

    Examples
    --------
    >>> import numpy as np
    >>> with AcousticGrid(n_inputs=4, n_outputs=8, n_settle=256, spacing=0.05) as box:
    ...     box.measure(np.full((2, 4), 0.5)).shape
    (2, 8)
    """

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 128,
        setting: Literal["measured-like", "rich"] = "measured-like",
        input: Literal["tones", "waveform", "bins"] = "tones",
        output: Literal["tones", "waveform", "bins"] = "tones",
        quadratic: float | None = None,
        cubic: float | None = None,
        rt60: float | None = None,
        length_x: float = 0.9,
        length_y: float = 0.7,
        spacing: float = 0.025,
        absorber_width: float = 0.0,
        absorber_reflection: float = 0.01,
        speed_of_sound: float = 343.0,
        temperature: float = 293.15,
        band: tuple[float, float] = (200.0, 1200.0),
        grid: Literal["uniform", "odd", "sparse"] = "uniform",
        listen: Literal["driven", "products", "all"] | None = None,
        sample_rate: float | None = None,
        n_window: int | None = None,
        n_settle: int | None = None,
        speakers: int | ArrayLike = 1,
        microphones: int | ArrayLike | None = None,
        scatterers: int | ArrayLike | None = None,
        scatterer_size: float | None = None,
        speaker_band: tuple[float, float] | Literal["flat"] | None = None,
        microphone_band: tuple[float, float] | Literal["flat"] | None = None,
        spread: float | None = None,
        noise: float | None = None,
        seed: int = 0,
        ideal: bool = False,
        accelerator: Literal["auto", "numba", "numpy"] = "auto",
        precision: Literal["single", "double"] = "double",
    ) -> None:
        me = type(self).__name__
        one_of(me, "accelerator", accelerator, ("auto", "numba", "numpy"))
        one_of(me, "precision", precision, ("single", "double"))
        rate = (36_000.0 if setting == "rich" else 24_000.0) if sample_rate is None else sample_rate
        number(me, "spacing", spacing, 0.0, above=True)
        size = max(0.02, spacing / 2) if scatterer_size is None else scatterer_size
        rig = AcousticRig(
            me,
            setting=setting,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            input=input,
            output=output,
            quadratic=quadratic,
            cubic=cubic,
            length_x=length_x,
            length_y=length_y,
            speed_of_sound=speed_of_sound,
            temperature=temperature,
            band=band,
            grid=grid,
            listen=listen,
            sample_rate=rate,
            n_window=n_window,
            n_settle=n_settle,
            speakers=speakers,
            microphones=microphones,
            scatterers=scatterers,
            scatterer_size=size,
            speaker_band=speaker_band,
            microphone_band=microphone_band,
            spread=spread,
            noise=noise,
            seed=seed,
            ideal=ideal,
            shortest=_shortest(me, rate),
        )
        self._stand("acoustic-grid", rig)
        cells = np.round(rig.box / spacing).astype(int)
        if (cells < 3).any() or not np.allclose(cells * spacing, rig.box, rtol=1e-6):
            raise ValueError(
                f"{me}: spacing={spacing:g} m must divide both sides of the box, "
                f"{rig.box.tolist()} m, into a whole number of cells, 3 or more"
            )
        self.shape = int(cells[1]), int(cells[0])
        centre = sum(rig.band) / 2
        if rt60 is None:
            central = float(rig.usual["quality"])
            rt60 = central / float(quality_of_rt60(1.0, centre))
        else:
            number(me, "rt60", rt60, 0.0, above=True)
            central = float(quality_of_rt60(rt60, centre))
        loss = 3 * math.log(10) / rt60
        _, frequencies = box_modes(rig.box, speed_of_sound, _GAIN_REACH * rig.band[1])
        self.gain = rig.gain(frequencies, np.full(len(frequencies), 2 * loss))
        self.coupling = rig.coupling(central)
        speed = speed_of_sound * rig.warmth
        if 0 < size < spacing / 2:
            raise ValueError(
                f"{me}: scatterer_size={size:g} m is less than half a cell of "
                f"spacing={spacing:g} m; give 0 for a point, or a patch that the grid resolves"
            )
        self._check_step(speed, speed / (rate * spacing), spacing)
        self._grid: dict[str, Any] = {
            "speed": speed,
            "spacing": spacing,
            "step": 1.0 / rate,
            "damping": loss
            + absorber_damping(me, self.shape, spacing, absorber_width, absorber_reflection, speed),
            "drive": patch_weights(rig.speakers, self.shape, spacing, 0.0),
            "react": patch_weights(rig.scatterers, self.shape, spacing, size),
            "gain": self.gain,
            "strength": self.coupling,
            "quadratic": rig.quadratic / rig.reference_pressure,
            "cubic": rig.cubic / rig.reference_pressure**2,
            "precision": precision,
            "numba": accelerator == "numba" or (accelerator == "auto" and has_numba()),
        }
        self._solver = WaveGrid(
            hear=patch_weights(rig.microphones, self.shape, spacing, 0.0), **self._grid
        )
        self.highest_pressure = rig.highest_pressure(self._solver.highest_stiffness)
        # The slope R' at an ordinary peak.
        slope = 2 * abs(rig.quadratic) * _ORDINARY_PEAK + 3 * rig.cubic * _ORDINARY_PEAK**2
        self.courant = self._solver.courant(slope)
        self._check_step(self.courant * spacing * rate, self.courant, spacing)

    def _check_step(self, wave_speed: float, courant: float, spacing: float) -> None:
        if courant > _HIGHEST_COURANT:
            rate = self.sample_rate
            raise ValueError(
                f"{self._rig.me}: c dt / h = {courant:.4g} with a wave speed of {wave_speed:.4g} "
                f"m/s, what the scatterers add included, sample_rate={rate:g} Hz and "
                f"spacing={spacing:g} m; the step is stable up to {_HIGHEST_COURANT:.4g}. Raise "
                f"sample_rate above {rate * courant / _HIGHEST_COURANT:.6g} Hz, or spacing"
            )

    def _solve(self, played: Array, steps: int, first: int) -> tuple[Array, Array]:
        return self._solver.run(played, steps, first)

    def _map(
        self, played: Array, steps: int, first: int
    ) -> tuple[Array, Array, Array, Array, Array]:
        (ny, nx), spacing = self.shape, self._grid["spacing"]
        every = math.ceil(max(ny, nx) / _PICTURE_POINTS)
        y, x = np.arange(ny)[::every], np.arange(nx)[::every]
        cells = (y[:, None] * nx + x).ravel()
        heard, reached = WaveGrid(hear=cells, **self._grid).run(played, steps, first)
        shape = len(y), len(x)
        squares = np.mean(heard[..., 0] ** 2, axis=0).reshape(shape)
        x, y = (x + 0.5) * spacing, (y + 0.5) * spacing
        return x, y, squares, heard[-1, :, 0].reshape(shape), reached

    def _block(self) -> int:
        return self._solver.block


def _shortest(owner: str, rate: float) -> int:
    """Return the even number of samples whose bins are nearest to 15.625 Hz."""
    return max(4, 2 * round(number(owner, "sample_rate", rate, 0.0, above=True) / 31.25))
