"""Sweeps: vary parameters, drives or the device itself, and measure at every point."""

from pnn.sweeps.config import SweepConfig, load_sweep
from pnn.sweeps.sweep import sweep

__all__ = ["SweepConfig", "load_sweep", "sweep"]
