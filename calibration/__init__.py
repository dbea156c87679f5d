"""Know your device: what a black box does, measured through the device contract."""

from calibration.affine import AffineMap
from calibration.calibrated import Calibrated
from calibration.characterise import (
    Characterisation,
    characterise,
    characterise_recording,
    characterise_rows,
)
from calibration.choice import procedures_for
from calibration.consistency import Consistency, ConsistencyResult, consistency
from calibration.cross_talk import CrossTalkResult, CrossTalkTest
from calibration.delay import Delay, DelayResult, delay_samples
from calibration.dimensionality import participation_ratio
from calibration.drift import Drift, DriftResult, drift_of
from calibration.enob import EffectiveBits, EffectiveBitsResult
from calibration.file import Calibration, load_calibration
from calibration.identity import identity_of
from calibration.label_sensitivity import LabelSensitivity, LabelSensitivityResult
from calibration.laws import Nonlinearity, NonlinearityResult, explained_share, nonlinearity
from calibration.linearity import Linearity, LinearityResult, transfer
from calibration.magnitude_law import MagnitudeLaw, fit_magnitude_law
from calibration.memory import MemoryCapacity, MemoryCapacityResult
from calibration.named_array import Quantity
from calibration.noise import Noise, NoiseResult, noise_colour, signal_to_noise
from calibration.nonlinearity import affine_share, uniform_drives
from calibration.offset import Offset, OffsetResult
from calibration.phase_table import PhaseTable, PhaseTableResult, drive_for
from calibration.procedure import Procedure
from calibration.rank import Ranks, RanksResult
from calibration.recording import Recording, read_recording
from calibration.renewal import recalibrate, recalibration_queries
from calibration.sequence import CalibrationFolder, calibrate, check_conditions, check_order
from calibration.settling import Settling, SettlingResult
from calibration.signal_dimensions import Dimensionality, SignalDimensions, signal_dimensions
from calibration.structure import Block, Structure, find_structure
from calibration.swept_sine import SweptSine, SweptSineResult, harmonic_lead_s
from calibration.transmission_matrix import TransmissionMatrix, TransmissionMatrixResult
from calibration.verdict import expected_gain, suggestions, summary, verdict
from calibration.vna import VnaCorrection, read_touchstone, write_touchstone
from calibration.watch import DriftReport, DriftWatch

__all__ = [
    "AffineMap",
    "Block",
    "Calibrated",
    "Calibration",
    "CalibrationFolder",
    "Characterisation",
    "Consistency",
    "ConsistencyResult",
    "CrossTalkResult",
    "CrossTalkTest",
    "Delay",
    "DelayResult",
    "Dimensionality",
    "Drift",
    "DriftReport",
    "DriftResult",
    "DriftWatch",
    "EffectiveBits",
    "EffectiveBitsResult",
    "LabelSensitivity",
    "LabelSensitivityResult",
    "Linearity",
    "LinearityResult",
    "MagnitudeLaw",
    "MemoryCapacity",
    "MemoryCapacityResult",
    "Noise",
    "NoiseResult",
    "Nonlinearity",
    "NonlinearityResult",
    "Offset",
    "OffsetResult",
    "PhaseTable",
    "PhaseTableResult",
    "Procedure",
    "Quantity",
    "Ranks",
    "RanksResult",
    "Recording",
    "Settling",
    "SettlingResult",
    "SignalDimensions",
    "Structure",
    "SweptSine",
    "SweptSineResult",
    "TransmissionMatrix",
    "TransmissionMatrixResult",
    "VnaCorrection",
    "affine_share",
    "calibrate",
    "characterise",
    "characterise_recording",
    "characterise_rows",
    "check_conditions",
    "check_order",
    "consistency",
    "delay_samples",
    "drift_of",
    "drive_for",
    "expected_gain",
    "explained_share",
    "find_structure",
    "fit_magnitude_law",
    "harmonic_lead_s",
    "identity_of",
    "load_calibration",
    "noise_colour",
    "nonlinearity",
    "participation_ratio",
    "procedures_for",
    "read_recording",
    "read_touchstone",
    "recalibrate",
    "recalibration_queries",
    "signal_dimensions",
    "signal_to_noise",
    "suggestions",
    "summary",
    "transfer",
    "uniform_drives",
    "verdict",
    "write_touchstone",
]
