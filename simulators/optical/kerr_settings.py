"""Named settings of the Kerr fibre."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["SETTINGS"]

#: What a named setting gives to the arguments left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {
        "bins": "spectral",
        "encoding": "amplitude",
        "phase_range": math.pi,
        "power": 1.0,
        "length": 1.0,
        "full_well": 1e4,
        "read_noise": 10.0,
        "full_scale": 16.0,
    },
    "rich": {
        "bins": "temporal",
        "encoding": "phase",
        "phase_range": 1.5,
        "power": 1.0,
        "length": 0.5,
        "full_well": 1e6,
        "read_noise": 100.0,
        "full_scale": 40.0,
    },
}
