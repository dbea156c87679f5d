"""The two named settings of the acoustic simulators, and what the scatterers do in them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulators._checks import one_of

__all__ = ["SETTINGS", "Setting", "highest_pressure", "setting_of"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Defaults of the arguments that are left at None.

    Parameters
    ----------
    quadratic, cubic : float
        Strength of the scatterers' response.
    scatterers : int
        How many.
    quality : float
        Quality factor at the centre of the band.
    noise : float
        Standard deviation of the noise on a microphone's samples where inputs and outputs are
        tones, in units of a typical answer.
    relative_noise : float
        The same for other inputs or outputs, in units of the reference pressure.
    speaker_band, microphone_band : (float, float)
        Corner frequencies in Hz; the upper one at most 0.4 times the sample rate.
    spread : float
        Spread of gains and corner frequencies between channels.
    """

    quadratic: float
    cubic: float
    scatterers: int
    quality: float = 40.0
    noise: float = 0.1
    relative_noise: float = 0.005
    speaker_band: tuple[float, float] = (120.0, 3000.0)
    microphone_band: tuple[float, float] = (30.0, 3500.0)
    spread: float = 0.05


SETTINGS = {
    "measured-like": Setting(quadratic=0.1, cubic=0.1, scatterers=4),
    "rich": Setting(quadratic=1.0, cubic=2.0, scatterers=8),
}


def setting_of(owner: str, name: str) -> Setting:
    """Return the setting of that name, or raise `ValueError`."""
    return SETTINGS[one_of(owner, "setting", name, tuple(SETTINGS))]


def highest_pressure(quadratic: float, cubic: float, stiffness: float) -> float:
    """Return up to which ``|x|`` the slope ``2 a x + 3 b x^2`` stays below `stiffness`.

    Infinite where it always does.
    """
    inside = quadratic**2 + 3 * cubic * stiffness
    if not math.isfinite(stiffness) or inside < 0:
        return math.inf
    slope = abs(quadratic) + math.sqrt(inside)
    return stiffness / slope if slope else math.inf
