"""Wave physics as devices: the same contract as an instrument, with equations behind it."""

from simulators.acoustic_cavity import AcousticCavity
from simulators.camera import Camera
from simulators.detection import OffAxisHolography, SaturableAbsorber
from simulators.diffractive_stack import DiffractiveStack
from simulators.metasurface_cavity import MetasurfaceCavity
from simulators.modulators import DMD, AmplitudeSLM, PhaseSLM
from simulators.multimode_fibre import MultimodeFibre
from simulators.propagation import AngularSpectrum
from simulators.scattering_medium import ScatteringMedium

__all__ = [
    "DMD",
    "AcousticCavity",
    "AmplitudeSLM",
    "AngularSpectrum",
    "Camera",
    "DiffractiveStack",
    "MetasurfaceCavity",
    "MultimodeFibre",
    "OffAxisHolography",
    "PhaseSLM",
    "SaturableAbsorber",
    "ScatteringMedium",
]
