"""A modulator of light and a camera: phases or bits out, intensities in."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of, whole
from devices.errors import DeviceError
from devices.rigs.base import Rig
from devices.roles import Camera, Modulator
from devices.safety import LabLimits
from devices.spec import DeviceSpec

__all__ = ["OpticalRig"]

Array = NDArray[Any]


class OpticalRig(Rig):
    """Rows of phases (SLM) or bits (DMD); mean intensities of the camera's regions.

    For every row: show it, settle, throw away the frames that may still show the row before
    (`flush_frames`, measured by calibration; 0 with a hardware trigger), and take the next.
    Exposure, gain and black level are fixed for the run.

    Parameters
    ----------
    modulator : Modulator
    camera : Camera
    grid : (int, int)
        Rows and columns of the regions that the frame is cut into; one output each.
    input : {"phase", "bits"}
    settle_s : float or None
        Wait after a row is shown; None is the modulator's.
    flush_frames : int
        Frames thrown away.
    period_s : float or None
        Period of the modulator's own flicker; the exposure must be a whole multiple of it.
    black_level : float
        Subtracted from every pixel, in counts; from a dark frame.
    full_scale : float or None
        Counts that are 1 in the answer; None is the camera's full scale.
    attempts : int
        How often one row is tried.
    limits, instruments, monitors, warm_up_s, name
        See `Rig`. A shutter stands behind the modulator, so that it closes before.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    def __init__(
        self,
        modulator: Modulator,
        camera: Camera,
        *,
        grid: tuple[int, int] = (8, 8),
        input: Literal["phase", "bits"] = "phase",
        settle_s: float | None = None,
        flush_frames: int = 1,
        period_s: float | None = None,
        black_level: float = 0.0,
        full_scale: float | None = None,
        attempts: int = 2,
        limits: LabLimits | None = None,
        instruments: Mapping[str, Any] | None = None,
        monitors: Mapping[str, Any] | None = None,
        warm_up_s: float = 0.0,
        name: str = "optical-rig",
    ) -> None:
        one_of(name, "input", input, ("phase", "bits"))
        self._grid = tuple(whole(name, "grid", n, 1) for n in grid)
        self._modulator, self._camera = modulator, camera
        own = getattr(modulator, "settle_s", 0.0)
        self._settle_s = number(name, "settle_s", own if settle_s is None else settle_s, 0.0, 60.0)
        self._flush = whole(name, "flush_frames", flush_frames, 0, 1000)
        self._black = number(name, "black_level", black_level, 0.0)
        self._full_scale = full_scale
        self._period_s = period_s
        self.spec = DeviceSpec(
            name=name,
            n_inputs=modulator.n_elements,
            n_outputs=self._grid[0] * self._grid[1],
            low=0.0,
            high=2 * math.pi if input == "phase" else 1.0,
            domain=input,
            input_unit="rad" if input == "phase" else "1",
            seconds_per_query=self._settle_s,
            max_batch=1,
            attempts=attempts,
        )
        self._stand(
            instruments or {modulator.name: modulator, camera.name: camera},
            limits,
            monitors,
            warm_up_s,
        )

    def _open(self) -> None:
        super()._open()
        try:
            self._fits()
        except BaseException:
            try:
                self._safe()
            finally:
                self._close()
            raise

    def _fits(self) -> None:
        height, width = self._camera.shape
        if self._grid[0] > height or self._grid[1] > width:
            raise DeviceError(
                f"{self.spec.name}: grid={self._grid} is finer than the frame of {height} x {width}"
            )
        exposure = getattr(self._camera, "exposure_s", None)
        if self._period_s is not None and exposure:
            periods = exposure / self._period_s
            if abs(periods - round(periods)) > 0.01 or round(periods) < 1:
                raise DeviceError(
                    f"{self.spec.name}: the exposure of {exposure:g} s is {periods:.3g} periods of "
                    f"the modulator (period_s={self._period_s:g}); a whole number is needed, or "
                    "the flicker beats with the frames"
                )

    def _measure(self, drives: Array) -> Array:
        answers = np.stack([self._row(row) for row in drives])
        return answers

    def _row(self, values: Array) -> Array:
        with self._modulator.step(), self._camera.step():
            self._modulator.set(values)
            time.sleep(self._settle_s)
            frame = np.asarray(self._camera.grab(self._flush), float)
        self._flag(1, saturated=[bool((frame >= self._camera.full_scale).any())])
        rows, columns = (
            np.arange(n) * size // n for n, size in zip(self._grid, frame.shape, strict=True)
        )
        sums = np.add.reduceat(np.add.reduceat(frame - self._black, rows, axis=0), columns, axis=1)
        pixels = np.outer(np.diff([*rows, frame.shape[0]]), np.diff([*columns, frame.shape[1]]))
        return (sums / pixels).ravel() / (self._full_scale or self._camera.full_scale)
