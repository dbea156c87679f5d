"""Train physical neural networks: any instrument that answers a drive is a layer.

Everything a user needs is here (``pnn.PhysicalClassifier``, ``pnn.open_device``,
``pnn.ScatteringMedium`` ...) and is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


def _refuse_shadows() -> None:
    """Raise if a file of the user's hides one of our packages.

    `devices` or `calibration` are likely names for a script; Python then finds that script
    first, and the error would be a puzzling one deep inside.
    """
    for name in ("devices", "simulators", "calibration"):
        spec = importlib.util.find_spec(name)
        ours = _HERE.parent / name / "__init__.py"
        if spec is None or spec.origin is None or not ours.is_file():
            continue
        if Path(spec.origin).resolve() != ours:
            raise ImportError(
                f"{spec.origin} hides the package {name!r} that pnn needs ({ours.parent}). "
                "Rename that file, or start Python from another folder."
            )


_refuse_shadows()

try:
    __version__ = version("pnn-toolkit")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

_WHERE = {
    "pnn.config": ("Config", "load_config", "presets"),
    "pnn.data": ("Dataset",),
    "pnn.encoders": ("Encoder",),
    "pnn.estimators": ("PhysicalClassifier", "PhysicalRegressor"),
    "pnn.layer": ("PhysicalLayer", "PhysicalNetwork"),
    "pnn.reading": ("Run", "open_run"),
    "pnn.rules": ("RULES", "ForwardForward", "MonoForward", "PhyLL", "Readout", "Rule"),
    "pnn.run_file": ("load",),
    "pnn.sweeps": ("sweep",),
    "pnn.training": ("Training",),
    "devices": (
        "Averaged",
        "Cached",
        "Device",
        "DeviceError",
        "DeviceSpec",
        "Drifting",
        "FunctionDevice",
        "idealised",
        "LimitError",
        "Noisy",
        "Quantised",
        "Recorded",
        "Saturating",
        "available_devices",
        "build_device",
        "open_device",
        "register_device",
    ),
    "simulators": (
        "AcousticCavity",
        "AcousticGrid",
        "DelayLineReservoir",
        "DiffractiveStack",
        "DuffingNetwork",
        "DyadicNetwork",
        "EnergyNetwork",
        "InterferometerMesh",
        "KerrFibre",
        "MetasurfaceCavity",
        "MultimodeFibre",
        "PendulumNetwork",
        "ScatteringMedium",
    ),
}
_NAMES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = ["__version__", *sorted(_NAMES)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'pnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
