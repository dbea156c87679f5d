"""Wave physics as devices: the same contract as an instrument, with equations behind it."""

from simulators.acoustic_cavity import AcousticCavity
from simulators.acoustic_grid import AcousticGrid
from simulators.camera import Camera
from simulators.delay_line import DelayLineReservoir
from simulators.detection import OffAxisHolography, SaturableAbsorber
from simulators.diffractive_stack import DiffractiveStack
from simulators.duffing import DuffingNetwork
from simulators.kerr_fibre import KerrFibre
from simulators.mesh import InterferometerMesh
from simulators.metasurface_cavity import MetasurfaceCavity
from simulators.modulators import DMD, AmplitudeSLM, PhaseSLM
from simulators.multimode_fibre import MultimodeFibre
from simulators.pendulum import PendulumNetwork
from simulators.propagation import AngularSpectrum
from simulators.scattering_medium import ScatteringMedium

__all__ = [
    "DMD",
    "AcousticCavity",
    "AcousticGrid",
    "AmplitudeSLM",
    "AngularSpectrum",
    "Camera",
    "DelayLineReservoir",
    "DiffractiveStack",
    "DuffingNetwork",
    "InterferometerMesh",
    "KerrFibre",
    "MetasurfaceCavity",
    "MultimodeFibre",
    "OffAxisHolography",
    "PendulumNetwork",
    "PhaseSLM",
    "SaturableAbsorber",
    "ScatteringMedium",
]
