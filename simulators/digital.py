"""A digital stand-in for a device: a fixed random linear map and ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceSpec
from simulators._tensors import constant, differentiable

__all__ = ["RandomFeatures"]

Array = NDArray[Any]


class RandomFeatures(Device):
    """max(0, v A + b), with v the drives on [-1, 1]: nothing physical about it.

    A and b are normal; a column of A has length 1 on the average, so that the ReLU cuts typical
    values. The reference that every published rule can be tried on, and the control
    ``matched_digital``.

    Parameters
    ----------
    n_inputs, n_outputs : int
    seed : int
        Of A and b.
    spec : DeviceSpec, optional
        Of the device that it stands in for; its limits and domain. The numbers of inputs and
        outputs are then those of the spec.
    """

    reproducible = True

    def __init__(
        self,
        n_inputs: int = 64,
        n_outputs: int = 256,
        *,
        seed: int = 0,
        spec: DeviceSpec | None = None,
    ) -> None:
        self.spec = spec or DeviceSpec(
            name="random features", n_inputs=n_inputs, n_outputs=n_outputs
        )
        rng = np.random.default_rng(seed)
        shape = (self.spec.n_inputs, self.spec.n_outputs)
        self._matrix = rng.standard_normal(shape) / np.sqrt(shape[0])
        self._offset = 0.5 * rng.standard_normal(shape[1])
        #: Digital multiply-adds for one row.
        self.multiply_adds = self._matrix.size

    def forward(self, drives: Any) -> Any:
        """Return the answers to a torch tensor of drives, differentiable by torch."""
        rows = differentiable("RandomFeatures", "drives", drives, self.spec.n_inputs, 2)
        return self._respond(rows).clamp_min(0.0)

    def _measure(self, drives: Array) -> Array:
        return np.maximum(self._respond(drives), 0.0)

    def _respond(self, drives: Any) -> Any:
        low, high = (constant(np.asarray(end), drives) for end in self.spec.limits)
        v = 2 * (drives - low) / (high - low) - 1
        return v @ constant(self._matrix, drives) + constant(self._offset, drives)
