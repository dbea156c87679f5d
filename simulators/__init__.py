"""Wave physics as devices: the same contract as an instrument, with equations behind it."""

from simulators.acoustic.cavity import AcousticCavity
from simulators.acoustic.grid import AcousticGrid
from simulators.digital import RandomFeatures
from simulators.energy_based.dyadic_network import DyadicNetwork
from simulators.energy_based.energy_network import EnergyNetwork
from simulators.microwave.metasurface_cavity import MetasurfaceCavity
from simulators.optical.camera import Camera
from simulators.optical.detection import OffAxisHolography, SaturableAbsorber
from simulators.optical.diffractive_stack import DiffractiveStack
from simulators.optical.kerr_fibre import KerrFibre
from simulators.optical.mesh import InterferometerMesh
from simulators.optical.modulators import DMD, AmplitudeSLM, PhaseSLM
from simulators.optical.multimode_fibre import MultimodeFibre
from simulators.optical.propagation import AngularSpectrum
from simulators.optical.scattering_medium import ScatteringMedium
from simulators.oscillators.delay_line import DelayLineReservoir
from simulators.oscillators.duffing import DuffingNetwork
from simulators.oscillators.pendulum import PendulumNetwork

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
    "DyadicNetwork",
    "EnergyNetwork",
    "InterferometerMesh",
    "KerrFibre",
    "MetasurfaceCavity",
    "MultimodeFibre",
    "OffAxisHolography",
    "PendulumNetwork",
    "PhaseSLM",
    "RandomFeatures",
    "SaturableAbsorber",
    "ScatteringMedium",
]
