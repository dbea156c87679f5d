"""A shaped pulse through a Kerr fibre: bins of the pulse in, bins of the spectrum out."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, DeviceError, DeviceSpec
from devices.checks import flag, number, one_of, whole
from simulators._arrays import namespace
from simulators._settings import settle
from simulators._tensors import constant, differentiable
from simulators.optical.camera import Camera
from simulators.optical.kerr_launch import Launch
from simulators.optical.kerr_settings import SETTINGS
from simulators.optical.spectrometer import spectral_bins
from simulators.optical.split_step import LARGEST_KERR_PHASE, SplitStep, check_steps
from simulators.picture import Picture

__all__ = ["KerrFibre"]

Array = NDArray[Any]

_RUN_PHASE = 4 * LARGEST_KERR_PHASE  # in any step: a pulse may compress on its way
_EDGE = 0.1  # share of the grid's frequencies that must stay dark, and how dark
_DARK = 1e-3
_BLOCK = 2**14  # samples of a block's fields, 256 KB
_SECONDS_PER_SAMPLE = 3e-8  # of one step on one core; measured within a factor of two


class KerrFibre(Device):
    """A pulse, a shaper, a fibre that disperses and has a Kerr effect, and a spectrometer.

    The field obeys the nonlinear Schroedinger equation (Agrawal, Nonlinear Fiber Optics)::

        i dA/dz - (beta2 / 2) d2A/dt2 + gamma |A|^2 A = 0

    in soliton units: times in the pulse's T0, lengths in L_D = T0^2 / |beta2|, powers in
    1 / (gamma L_D), so that beta2 = -1 (anomalous dispersion) and gamma = 1, and a pulse
    ``sqrt(power) sech(t)`` is the soliton of order sqrt(power). The shaper gives each of
    `n_inputs` bins of the pulse, of equal width, the amplitude u (`encoding` "amplitude") or the
    factor exp(i u) ("phase"); see `simulators.optical.kerr_launch`. The answers are the powers in
    n_outputs equal bins of the spectrum behind the fibre, read by a line camera, relative: if
    all light falls onto the camera, their mean over uniform drives and outputs is 1.

    With `n_modes` above 1 the fibre guides a chain of modes (a multicore fibre): each has its own
    shaper with n_inputs / n_modes bins and its own spectrometer, is coupled linearly to its
    neighbours, and feels their intensity; see `simulators.optical.split_step`.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Bins of the shaper and of the spectrometer, over all modes: multiples of `n_modes`.
    setting : {"measured-like", "rich"}
        Where the arguments left at None get their values from: a soliton with a shaped
        spectrum, or slots of time with phases, which mix as they disperse.
    bins : {"spectral", "temporal"} or None
        What the bins divide: the spectrum of a sech pulse, or a long flat pulse.
    encoding : {"amplitude", "phase"} or None
        Drives from 0 to 1, or from 0 to `phase_range` rad.
    phase_range : float or None
        Highest legal phase in rad, at most 2 pi.
    span : float or None
        All bins of a shaper together, in rad / T0 or T0. None: 4 rad / T0, which holds 99.6 % of
        a sech pulse, or 1 T0 per bin.
    power : float or None
        Peak power of the pulse, in 1 / (gamma L_D).
    length : float or None
        Length of the fibre in L_D.
    beta2, gamma : float
        Signs, or other units of length and power. A positive beta2 is normal dispersion.
    n_modes : int
    coupling, cross : float
        Linear coupling to, and cross-Kerr factor of, each neighbouring mode.
    output_band : float or None
        Width of the spectrum that is read, in rad / T0, centred. None: 1.5 times `span` with
        spectral bins of light, or 3 pi over the width of a temporal bin.
    n_samples, n_steps : int or None
        Of the time window and of the fibre. None chooses them.
    full_well, read_noise, bits, full_scale
        Of the spectrometer's `Camera`.
    seed : int
        Of the camera's noise.
    ideal : bool
        True bypasses the camera.

    Attributes
    ----------
    launch : Launch
    solver : SplitStep
    output_edges : ndarray of shape (n_outputs / n_modes + 1,)
        Edges of the spectrometer's bins, in rad / T0.

    Raises
    ------
    ValueError
        If an argument is out of its range, a step is too long, or the grid is too coarse.

    Notes
    -----
    A step may turn the phase of the strongest light that can be launched by 0.1 rad, and that of
    the fastest frequency of the grid by pi. On its way a pulse may compress: a row that exceeds
    0.4 rad in a step, or whose spectrum reaches the edge of the grid, is a `DeviceError`.
    ``spec.seconds_per_query`` estimates the time that one core computes for a row. The fibre is
    `devices.Differentiable`.

    Examples
    --------
    >>> import numpy as np
    >>> with KerrFibre(n_inputs=8, n_outputs=16) as fibre:
    ...     fibre.measure(np.ones((2, 8))).shape
    (2, 16)
    """

    reproducible = True

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 64,
        setting: Literal["measured-like", "rich"] = "measured-like",
        bins: Literal["spectral", "temporal"] | None = None,
        encoding: Literal["amplitude", "phase"] | None = None,
        phase_range: float | None = None,
        span: float | None = None,
        power: float | None = None,
        length: float | None = None,
        beta2: float = -1.0,
        gamma: float = 1.0,
        n_modes: int = 1,
        coupling: float = 0.5,
        cross: float = 2.0,
        output_band: float | None = None,
        n_samples: int | None = None,
        n_steps: int | None = None,
        full_well: float | None = None,
        read_noise: float | None = None,
        bits: int = 12,
        full_scale: float | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = self._me = type(self).__name__
        chosen = settle(
            me,
            setting,
            SETTINGS,
            bins=bins,
            encoding=encoding,
            phase_range=phase_range,
            power=power,
            length=length,
            full_well=full_well,
            read_noise=read_noise,
            full_scale=full_scale,
        )
        whole(me, "n_modes", n_modes, 1)
        for name, width in (("n_inputs", n_inputs), ("n_outputs", n_outputs)):
            if whole(me, name, width, 1) % n_modes:
                raise ValueError(f"{me}: {name}={width} must be a multiple of n_modes={n_modes}")
        temporal = one_of(me, "bins", chosen["bins"], ("spectral", "temporal")) == "temporal"
        self._phases = one_of(me, "encoding", chosen["encoding"], ("amplitude", "phase")) == "phase"
        reach = number(me, "phase_range", chosen["phase_range"], 0.0, 2 * math.pi, above=True)
        number(me, "power", chosen["power"], 0.0, above=True)
        number(me, "length", chosen["length"], 0.0, above=True)
        for name, value in (("beta2", beta2), ("gamma", gamma), ("coupling", coupling)):
            number(me, name, value, -math.inf)
        number(me, "cross", cross, 0.0)
        whole(me, "seed", seed, 0)
        self.ideal = flag(me, "ideal", ideal)
        self.camera = Camera(
            full_well=chosen["full_well"],
            read_noise=chosen["read_noise"],
            bits=bits,
            full_scale=chosen["full_scale"],
        )
        n_read = n_outputs // n_modes
        self.launch = Launch(
            me,
            temporal=temporal,
            n_bins=n_inputs // n_modes,
            span=span,
            power=chosen["power"],
            # The Kerr effect broadens by about the square root of its phase per length.
            broadening=4 * math.sqrt(abs(gamma) * chosen["power"]),
            output_band=output_band,
            n_samples=n_samples,
        )
        self.solver = SplitStep(
            n_samples=self.launch.n_samples,
            window=self.launch.window,
            length=chosen["length"],
            n_steps=check_steps(
                me,
                n_steps,
                chosen["length"],
                nonlinear=abs(gamma) * self.launch.peak * (1 + cross * min(2, n_modes - 1)),
                linear=abs(beta2) * self.launch.reach**2 / 2 + 2 * abs(coupling) * (n_modes > 1),
            ),
            beta2=beta2,
            gamma=gamma,
            n_modes=n_modes,
            coupling=coupling,
            cross=cross,
        )
        self._n_modes = n_modes
        self.output_edges, self._bins = spectral_bins(
            me, self.solver.omega, self.launch.output_band, n_read
        )
        edge = np.abs(self.solver.omega) > (1 - _EDGE) * self.launch.reach
        self._edge = edge.astype(float)
        amount, mean = (1 / 3, 1 / 2)
        if self._phases:
            amount, mean = 1.0, abs(math.sin(reach / 2) / (reach / 2))
        self._bins /= self.launch.mean_energy(amount, mean) / n_read
        self._random = np.random.default_rng(seed)
        self.spec = DeviceSpec(
            name="kerr-fibre",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            high=reach if self._phases else 1.0,
            domain="phase" if self._phases else "amplitude",
            input_unit="rad" if self._phases else "1",
            seconds_per_query=n_modes
            * self.launch.n_samples
            * self.solver.n_steps
            * _SECONDS_PER_SAMPLE,
            saturation=None if ideal else self.camera.full_scale,
        )

    # -- public --------------------------------------------------------------------------------

    def forward(self, drives: Any) -> Any:
        """Return the noiseless answers to a torch tensor (batch, n_inputs), differentiably.

        Raises
        ------
        ValueError
            If `drives` is not a tensor of that shape. Limits are not checked.
        """
        drives = differentiable(self._me, "drives", drives, self.spec.n_inputs, 2)
        return self._read(self.solver.run(self._launched(drives))[0])

    def picture(self, drive: ArrayLike | None = None, *, mode: int = 0) -> Picture:
        """Return the power |A|^2 against time and place in the fibre, for one drive.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,) or None
            Legal; None drives every input with the middle of its range.
        mode : int
        """
        low, high = self.spec.limits
        row = self.spec.check_drives(
            ((low + high) / 2 if drive is None else np.asarray(drive))[None]
        )
        whole(self._me, "mode", mode, 0, self._n_modes - 1)
        every = max(1, self.solver.n_steps // 200)
        kept = self.solver.run(self._launched(row), every)[2]
        n, window = self.launch.n_samples, self.launch.window
        values = np.abs(np.fft.ifft(np.stack([spectra[0, mode] for spectra in kept]))) ** 2
        return Picture(
            title="Pulse in a Kerr fibre",
            values=values,
            x=(np.arange(n) - n // 2) * (window / n),
            y=np.arange(len(kept)) * every * self.solver.step,
            label="power (1 / (gamma L_D))",
            x_label="time (T0)",
            y_label="place (L_D)",
        )

    # -- hook ----------------------------------------------------------------------------------

    def _measure(self, drives: Array) -> Array:
        answers = np.empty((len(drives), self.spec.n_outputs))
        size = max(1, _BLOCK // (self._n_modes * self.launch.n_samples))
        for start in range(0, len(drives), size):
            rows = slice(start, min(start + size, len(drives)))
            spectra, phase, _ = self.solver.run(self._launched(drives[rows]))
            powers = self._read(spectra)
            shares = self._at_the_edge(spectra)
            bad = (phase > _RUN_PHASE) | (shares > _DARK)
            good = int(np.argmax(bad)) if bad.any() else len(bad)
            if not self.ideal:
                powers[:good] = self.camera.detect(powers[:good], self._random)
            answers[rows] = powers
            if good < len(bad):
                raise DeviceError(
                    f"kerr-fibre: a step turned the phase by {phase[good]:.3g} rad (at most "
                    f"{_RUN_PHASE:g}), and {shares[good]:.2g} of the energy is in the outermost "
                    f"{_EDGE:.0%} of the grid's frequencies (at most {_DARK:g}). Raise "
                    f"n_steps={self.solver.n_steps} or n_samples={self.launch.n_samples}, or "
                    "lower the power",
                    rows=answers[: start + good].copy(),
                    failed_row=start + good,
                )
        return answers

    def _launched(self, drives: Any) -> Any:
        """Return the spectra at the start, (rows, n_modes, n_samples)."""
        xp = namespace(drives)
        modulation = xp.exp(1j * drives) if self._phases else drives + 0j
        modulation = modulation.reshape(len(drives), self._n_modes, -1)
        return modulation @ constant(self.launch.spectra, drives)

    def _read(self, spectra: Any) -> Any:
        """Return the powers in the spectrometer's bins, (rows, n_outputs)."""
        power = spectra.real**2 + spectra.imag**2
        power = power @ constant(self._bins, spectra)
        return power.reshape(len(spectra), self.spec.n_outputs)

    def _at_the_edge(self, spectra: Array) -> Array:
        power = (spectra.real**2 + spectra.imag**2).sum(axis=1)
        share: Array = (power @ self._edge) / np.maximum(power.sum(axis=1), 1e-300)
        return share
