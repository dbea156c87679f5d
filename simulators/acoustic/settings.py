"""The two named settings of the acoustic simulators, and what the scatterers do in them."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["SETTINGS", "highest_pressure"]

# What both settings share. `quality` holds at the centre of the band; `noise` is that of samples
# where inputs and outputs are tones, in units of a typical answer, and `relative_noise` that for
# other inputs or outputs, in units of the reference pressure: 47 and 46 dB below the signal.
_COMMON = {
    "quality": 40.0,
    "noise": 0.1,
    "relative_noise": 0.005,
    "speaker_band": (120.0, 3000.0),
    "microphone_band": (30.0, 3500.0),
    "spread": 0.05,
}

#: Defaults of the arguments that are left at None, by the name of the setting.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": _COMMON | {"quadratic": 0.1, "cubic": 0.1, "scatterers": 4},
    "rich": _COMMON | {"quadratic": 1.0, "cubic": 4.0, "scatterers": 24, "quality": 60.0},
}


def highest_pressure(quadratic: float, cubic: float, stiffness: float) -> float:
    """Return up to which ``|x|`` the slope ``2 a x + 3 b x^2`` stays below `stiffness`.

    Infinite where it always does.
    """
    inside = quadratic**2 + 3 * cubic * stiffness
    if not math.isfinite(stiffness) or inside < 0:
        return math.inf
    slope = abs(quadratic) + math.sqrt(inside)
    return stiffness / slope if slope else math.inf
