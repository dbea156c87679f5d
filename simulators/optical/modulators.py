"""What puts a drive onto light: liquid-crystal modulators (SLM) and mirror arrays (DMD)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from devices import Domain
from devices.checks import number, one_of, whole
from simulators._arrays import grid_side, namespace

__all__ = ["DMD", "ENCODINGS", "AmplitudeSLM", "Modulator", "PhaseSLM", "modulator_for"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Modulator:
    """Base of the modulators: pixels on a square grid, filled row by row, lit evenly.

    A drive is rounded to one of `levels`, smeared over the four neighbours, and answered with the
    field of its pixel, relative to the light that falls on it. With the pixel's own response
    ``m(u)``::

        u' = (1 - crosstalk) u + crosstalk <u of the four neighbours>
        E  = sqrt(1 - zero_order) (fill_factor m(u') + (1 - fill_factor) gap) + sqrt(zero_order)

    At the edge of the grid a missing neighbour counts as the pixel itself. For liquid crystals
    the smearing is that of the fringing fields between electrodes (Persson et al., Opt. Express
    20, 22334, 2012); for mirrors it stands for imaging of finite resolution. E is the mean over
    the pixel: the light between pixels enters coherently, and the structure inside a pixel only
    feeds diffraction orders that the optics after it are assumed to block.

    Parameters
    ----------
    n_pixels : int
        Pixels, one for each input.
    levels : int or None
        Values that a pixel can take, spread evenly over the legal range, ends included; None for
        a continuous one.
    crosstalk : float
        Share of a pixel's drive that is its neighbours', from 0 to 1.
    fill_factor : float
        Share of the area that is modulated; above 0, at most 1.
    zero_order : float
        Share of the power that misses the modulator but not what follows; from 0 to below 1.
    pitch_m : float
        Distance between pixels, in m.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    n_pixels: int
    levels: int | None = None
    crosstalk: float = 0.0
    fill_factor: float = 1.0
    zero_order: float = 0.0
    pitch_m: float = 8e-6

    domain: ClassVar[Domain]
    unit: ClassVar[str] = "1"
    gap: ClassVar[float]
    complex_light: ClassVar[bool] = False

    def __post_init__(self) -> None:
        me = type(self).__name__
        whole(me, "n_pixels", self.n_pixels, 1)
        if self.levels is not None:
            whole(me, "levels", self.levels, 2, 2**16)
        number(me, "crosstalk", self.crosstalk, 0.0, 1.0)
        number(me, "fill_factor", self.fill_factor, 0.0, 1.0, above=True)
        number(me, "zero_order", self.zero_order, 0.0, 1.0, below=True)
        number(me, "pitch_m", self.pitch_m, 0.0, above=True)
        side = grid_side(self.n_pixels)
        pixel = np.arange(self.n_pixels)
        row, column = pixel // side, pixel % side
        neighbours = np.stack([pixel] * 4, axis=1)
        for k, (down, right) in enumerate(((-1, 0), (1, 0), (0, -1), (0, 1))):
            there = (row + down) * side + column + right
            inside = (row + down >= 0) & (column + right >= 0) & (column + right < side)
            inside &= there < self.n_pixels
            neighbours[inside, k] = there[inside]
        object.__setattr__(self, "_neighbours", neighbours)

    _neighbours: ClassVar[Array]

    @property
    def high(self) -> float:
        """Highest legal drive; the lowest is 0."""
        return 1.0

    @property
    def moments(self) -> tuple[float, complex]:
        """Means of |m|^2 and of m over drives that are uniform between the limits."""
        return 1 / 3, 1 / 2

    @property
    def mean_power(self) -> float:
        """Mean of |E|^2 over such drives, for a full fill factor, no cross-talk and no levels."""
        power, mean = self.moments
        z = self.zero_order
        return (1 - z) * power + z + 2 * math.sqrt(z * (1 - z)) * mean.real

    @property
    def mean_light(self) -> complex:
        """Mean of E over such drives, under the same conditions."""
        return math.sqrt(1 - self.zero_order) * self.moments[1] + math.sqrt(self.zero_order)

    def light(self, drives: Any) -> tuple[Any, Any]:
        """Return the real and the imaginary part of E; the latter None where E is real.

        Parameters
        ----------
        drives : ndarray or torch.Tensor of shape (batch, n_pixels)
            Legal drives. Gradients of torch pass the rounding to levels as if it were not there.
        """
        if self.levels is not None:
            drives = self._rounded(drives, self.high / (self.levels - 1))
        if self.crosstalk:
            around = drives[:, self._neighbours].mean(-1)
            drives = (1 - self.crosstalk) * drives + self.crosstalk * around
        real, imag = self._response(drives)
        if self.fill_factor < 1:
            real = self.fill_factor * real + (1 - self.fill_factor) * self.gap
            imag = None if imag is None else self.fill_factor * imag
        if self.zero_order:
            real = math.sqrt(1 - self.zero_order) * real + math.sqrt(self.zero_order)
            imag = None if imag is None else math.sqrt(1 - self.zero_order) * imag
        return real, imag

    def _response(self, drives: Any) -> tuple[Any, Any]:
        return drives, None

    @staticmethod
    def _rounded(drives: Any, step: float) -> Any:
        if isinstance(drives, np.ndarray):
            return np.round(drives / step) * step
        rounded = (drives / step).round() * step
        return drives + (rounded - drives).detach()


@dataclass(frozen=True, kw_only=True)
class PhaseSLM(Modulator):
    """Liquid crystal on a mirror: ``m = exp(i u)``, u in rad. The gaps reflect unmodulated.

    Parameters
    ----------
    phase_range : float
        Highest legal phase in rad, above 0 and at most 2 pi.
    n_pixels, levels, crosstalk, fill_factor, zero_order, pitch_m
        See `Modulator`.
    """

    phase_range: float = math.pi

    domain: ClassVar[Domain] = "phase"
    unit: ClassVar[str] = "rad"
    gap: ClassVar[float] = 1.0
    complex_light: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        number(type(self).__name__, "phase_range", self.phase_range, 0.0, 2 * math.pi, above=True)

    @property
    def high(self) -> float:
        """Highest legal phase."""
        return self.phase_range

    @property
    def moments(self) -> tuple[float, complex]:
        """Means of |m|^2 and of m."""
        top = self.phase_range
        return 1.0, complex(math.sin(top), 1 - math.cos(top)) / top

    def _response(self, drives: Any) -> tuple[Any, Any]:
        xp = namespace(drives)
        return xp.cos(drives), xp.sin(drives)


@dataclass(frozen=True, kw_only=True)
class AmplitudeSLM(Modulator):
    """Liquid crystal between polarisers: ``m = u`` from 0 to 1, with dark gaps."""

    domain: ClassVar[Domain] = "amplitude"
    gap: ClassVar[float] = 0.0


@dataclass(frozen=True, kw_only=True)
class DMD(Modulator):
    """Tilting mirrors: a pixel is off (0) or on (1), with dark gaps."""

    domain: ClassVar[Domain] = "bits"
    gap: ClassVar[float] = 0.0

    @property
    def moments(self) -> tuple[float, complex]:
        """Means of |m|^2 and of m over random bits."""
        return 1 / 2, 1 / 2


#: Modulators by the name of what they do to the light.
ENCODINGS: dict[str, type[Modulator]] = {
    "phase": PhaseSLM,
    "amplitude": AmplitudeSLM,
    "binary": DMD,
}


def modulator_for(owner: str, encoding: str, phase_range: float, **options: Any) -> Modulator:
    """Return the modulator for an encoding; `phase_range` is for "phase" only.

    Parameters
    ----------
    owner : str
        What the first two arguments' error messages name.
    encoding : {"phase", "amplitude", "binary"}
    phase_range : float
        See `PhaseSLM`.
    **options
        Of `Modulator`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    kind = ENCODINGS[one_of(owner, "encoding", encoding, tuple(ENCODINGS))]
    number(owner, "phase_range", phase_range, 0.0, 2 * math.pi, above=True)
    if kind is PhaseSLM:
        options["phase_range"] = phase_range
    return kind(**options)
