"""Know your device: what a black box does, measured through the device contract."""

from calibration.affine import AffineMap

__all__ = ["AffineMap"]
