"""The black box: contract, errors, wrappers, imperfections, registry and the HDF5 writer.

Nothing in here knows what a device is used for; networks and learning stand in `pnn`.
"""

from devices.averaged import Averaged
from devices.cached import Cached
from devices.device import Device
from devices.errors import (
    Desync,
    DeviceError,
    InstrumentError,
    InUse,
    LimitError,
    LinkDown,
    NotCalibrated,
    ReplyTimeout,
    SaturationError,
    ShortTransfer,
)
from devices.function import FunctionDevice
from devices.idealised import idealised, imperfections_on
from devices.imperfect_channels import CrossTalk, DeadChannels
from devices.imperfect_noise import Jitter, Outliers, ShotNoise
from devices.imperfect_transfer import CommonMode, Jumping
from devices.imperfections import Drifting, Imperfection, Noisy, Quantised, Saturating
from devices.measurement import PURPOSES, Flag, Ledger, Measurement, Purpose
from devices.nudgeable import Nudgeable, nudgeable_of
from devices.programmable import (
    Differentiable,
    Programmable,
    differentiable_of,
    programmable_of,
)
from devices.recorded import Recorded
from devices.registry import available_devices, build_device, open_device, register_device
from devices.replay import Replay
from devices.row_context import row_context
from devices.spec import DeviceSpec, Domain
from devices.wrapper import Wrapper

__all__ = [
    "PURPOSES",
    "Averaged",
    "Cached",
    "CommonMode",
    "CrossTalk",
    "DeadChannels",
    "Desync",
    "Device",
    "DeviceError",
    "DeviceSpec",
    "Differentiable",
    "Domain",
    "Drifting",
    "Flag",
    "FunctionDevice",
    "Imperfection",
    "InUse",
    "InstrumentError",
    "Jitter",
    "Jumping",
    "Ledger",
    "LimitError",
    "LinkDown",
    "Measurement",
    "Noisy",
    "NotCalibrated",
    "Nudgeable",
    "Outliers",
    "Programmable",
    "Purpose",
    "Quantised",
    "Recorded",
    "Replay",
    "ReplyTimeout",
    "Saturating",
    "SaturationError",
    "ShortTransfer",
    "ShotNoise",
    "Wrapper",
    "available_devices",
    "build_device",
    "differentiable_of",
    "idealised",
    "imperfections_on",
    "nudgeable_of",
    "open_device",
    "programmable_of",
    "register_device",
    "row_context",
]
