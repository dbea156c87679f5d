"""A modulator, a simulator and a camera on one table, in this process: late and with old frames."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import Device, build_device
from devices.checks import number, whole

__all__ = ["OpticalTable", "TableCamera", "TableModulator"]

Array = NDArray[Any]


class OpticalTable:
    """What the modulator shows goes through a simulator, and the camera sees the answers.

    `modulator` and `camera` have the methods of slmsuite's hardware, so that the drivers for
    those serve them: see ``examples/virtual_bench/optical.toml``. `show` and `take` are for a
    digital micromirror device and a camera that are made of functions.

    Parameters
    ----------
    physics : Device or str
        Its inputs are the modulator's pixels, its outputs regions of the frame.
    shape : (int, int)
        Rows and columns of the modulator; their product is the number of inputs.
    regions : (int, int)
        Rows and columns of regions; their product is the number of outputs.
    pixels : int
        A region has so many in both directions.
    stale : int
        Frames in the camera's buffers: so many are old when a new row is shown.
    latency_s : float
        Time until the modulator shows what it was told.
    exposure_s : float
        At which an answer of 1 is `counts`.
    counts : float
        Of the camera.
    bits : int
        Of the camera; what is above is cut.

    Raises
    ------
    ValueError
        If a number is out of its range, or the shapes do not fit the simulator.

    Examples
    --------
    >>> import numpy as np
    >>> table = OpticalTable("sim:scattering-medium?n_inputs=4&n_outputs=6", (2, 2), (2, 3))
    >>> table.modulator.set_phase(np.zeros((2, 2)))
    >>> table.camera.get_image().shape
    (8, 12)
    """

    def __init__(
        self,
        physics: Device | str,
        shape: tuple[int, int],
        regions: tuple[int, int],
        *,
        pixels: int = 4,
        stale: int = 0,
        latency_s: float = 0.0,
        exposure_s: float = 0.01,
        counts: float = 80.0,
        bits: int = 10,
    ) -> None:
        self.physics = build_device(physics) if isinstance(physics, str) else physics
        spec = self.physics.spec
        for what, pair, there in (
            ("shape", shape, spec.n_inputs),
            ("regions", regions, spec.n_outputs),
        ):
            if len(pair) != 2 or pair[0] * pair[1] != there:
                raise ValueError(
                    f"optical table: {what}={pair!r} must be two numbers whose product is {there}, "
                    f"as {spec.name} has it"
                )
        self.shape, self.regions = shape, regions
        self.pixels = whole("optical table", "pixels", pixels, 1)
        self._stale = whole("optical table", "stale", stale, 0)
        self._latency_s = number("optical table", "latency_s", latency_s, 0.0)
        self.exposure_s = self._reference_s = number(
            "optical table", "exposure_s", exposure_s, 0.0, above=True
        )
        self._counts = number("optical table", "counts", counts, 0.0, above=True)
        self.bits = whole("optical table", "bits", bits, 1, 16)
        self.physics.open()
        low, _ = spec.limits
        self._values = self._next = np.array(low, float)
        self._from = 0.0
        self._frames: deque[Array] = deque()
        self.modulator, self.camera = TableModulator(self), TableCamera(self)

    def show(self, values: ArrayLike) -> None:
        """Show values of the simulator's inputs, after the latency."""
        self._values = self._now()
        self._next, self._from = np.ravel(values), time.monotonic() + self._latency_s

    def take(self) -> Array:
        """Return the oldest frame in the buffers, (height, width), in counts."""
        while len(self._frames) <= self._stale:
            self._frames.append(self._exposed())
        return self._frames.popleft()

    def _now(self) -> Array:
        return self._next if time.monotonic() >= self._from else self._values

    def _exposed(self) -> Array:
        answers = self.physics.measure(self._now()[None])[0].reshape(self.regions)
        counts = answers * self._counts * self.exposure_s / self._reference_s
        frame = np.kron(counts, np.ones((self.pixels, self.pixels)))
        return np.rint(np.clip(frame, 0, 2**self.bits - 1)).astype(np.uint16)


class TableModulator:
    """The modulator of an `OpticalTable`, as slmsuite has them."""

    name = "modulator of the optical table"

    def __init__(self, table: OpticalTable) -> None:
        self._table = table
        self.shape = table.shape

    def set_phase(self, phase: ArrayLike | None) -> None:
        """Show phases of shape `shape`; None is a flat one."""
        self._table.show(np.zeros(self.shape) if phase is None else np.asarray(phase))

    def close(self) -> None:
        """Nothing to close."""


class TableCamera:
    """The camera of an `OpticalTable`, as slmsuite has them."""

    name = "camera of the optical table"

    def __init__(self, table: OpticalTable) -> None:
        self._table = table
        self.bitdepth = table.bits
        self.shape = tuple(n * table.pixels for n in table.regions)

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure, in s."""
        self._table.exposure_s = exposure_s

    def get_exposure(self) -> float:
        """Return the exposure, in s."""
        return self._table.exposure_s

    def get_image(self) -> Array:
        """Return a frame."""
        return self._table.take()

    def close(self) -> None:
        """Nothing to close."""
