"""Named settings of the interferometer mesh."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["SETTINGS"]

#: What a named setting gives to the arguments left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {
        "encoding": "amplitude",
        "phase_range": math.pi,
        "absorption": 0.0,
        "splitting_error": 0.02,
        "phase_noise": 5e-3,
        "crosstalk": 0.01,
        "loss_db": 0.1,
        "noise": 0.003,
    },
    "rich": {
        "encoding": "phase",
        "phase_range": math.pi,
        "absorption": 2.0,
        "splitting_error": 0.02,
        "phase_noise": 1e-3,
        "crosstalk": 0.01,
        "loss_db": 0.05,
        "noise": 0.005,
    },
}
