"""Know your device: what a black box does, measured through the device contract."""

from calibration.affine import AffineMap
from calibration.consistency import Consistency, ConsistencyResult, consistency
from calibration.cross_talk import CrossTalkResult, CrossTalkTest
from calibration.delay import Delay, DelayResult, delay_samples
from calibration.dimensionality import participation_ratio
from calibration.drift import Drift, DriftResult, drift_of
from calibration.enob import EffectiveBits, EffectiveBitsResult
from calibration.linearity import Linearity, LinearityResult, transfer
from calibration.memory import MemoryCapacity, MemoryCapacityResult
from calibration.noise import Noise, NoiseResult, noise_colour, signal_to_noise
from calibration.nonlinearity import affine_share, uniform_drives
from calibration.offset import Offset, OffsetResult
from calibration.phase_table import PhaseTable, PhaseTableResult, drive_for
from calibration.procedure import Procedure
from calibration.rank import Ranks, RanksResult
from calibration.settling import Settling, SettlingResult
from calibration.signal_dimensions import Dimensionality, SignalDimensions, signal_dimensions
from calibration.swept_sine import SweptSine, SweptSineResult, harmonic_lead_s
from calibration.transmission_matrix import TransmissionMatrix, TransmissionMatrixResult
