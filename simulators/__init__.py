"""Wave physics as devices: the same contract as an instrument, with equations behind it."""

from simulators.acoustic_cavity import AcousticCavity
from simulators.camera import Camera
from simulators.scattering_medium import ScatteringMedium

__all__ = ["AcousticCavity", "Camera", "ScatteringMedium"]
