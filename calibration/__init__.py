"""Know your device: what a black box does, measured through the device contract."""

from calibration.affine import AffineMap
from calibration.dimensionality import participation_ratio
from calibration.nonlinearity import affine_share, uniform_drives

__all__ = ["AffineMap", "affine_share", "participation_ratio", "uniform_drives"]
