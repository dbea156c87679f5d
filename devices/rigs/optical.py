"""A modulator of light and a camera: phases or bits out, intensities in."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, one_of, whole
from devices.errors import DeviceError, ReplyTimeout
from devices.rigs.base import Rig
from devices.rigs.stale import stale_frames
from devices.roles import Camera, Modulator, TriggeredCamera
from devices.safety import LabLimits
from devices.spec import DeviceSpec

__all__ = ["OpticalRig"]

Array = NDArray[Any]


class OpticalRig(Rig):
    """Rows of phases (SLM) or bits (DMD); mean intensities of the camera's regions.

    For every row: show it, settle, throw away the frames that may still show the row before
    (`flush_frames`, measured by `stale_frames`), and take the next. With a hardware trigger: arm
    the camera, show the row, and take the frame that the modulator's trigger output started.
    Exposure, gain, gamma and black level are fixed for the run.

    Parameters
    ----------
    modulator : Modulator
    camera : Camera
    grid : (int, int)
        Rows and columns of the regions that the frame is cut into; one output each.
    input : {"phase", "bits"}
    phase_range : float
        Highest phase in rad, at most 2 pi; with 2 pi the least and the greatest are the same.
    trigger : {"free", "hardware"}
        Whether the camera runs freely, or each frame is started by the modulator; the camera then
        needs a function `arm`.
    settle_s : float or None
        Wait after a row is shown, where the camera runs freely; None is the modulator's.
    flush_frames : int
        Frames thrown away, where the camera runs freely.
    reference : str or None
        Name of the monitor, a photodiode, that sees the light before the modulator. It is read
        with every row, and answers are for a light of `reference_level`.
    reference_level : float
        In the monitor's unit.
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

    Attributes
    ----------
    flush_frames, triggered
        As they are used.

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
        phase_range: float = 2 * math.pi,
        trigger: Literal["free", "hardware"] = "free",
        settle_s: float | None = None,
        flush_frames: int = 1,
        reference: str | None = None,
        reference_level: float = 1.0,
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
        settle_s = number(name, "settle_s", own if settle_s is None else settle_s, 0.0, 60.0)
        self.flush_frames = whole(name, "flush_frames", flush_frames, 0, 1000)
        self._black = number(name, "black_level", black_level, 0.0)
        self._full_scale = full_scale
        self._period_s = period_s
        number(name, "phase_range", phase_range, 0.0, 2 * math.pi, above=True)
        one_of(name, "trigger", trigger, ("free", "hardware"))
        self.triggered = trigger == "hardware"
        if reference is not None:
            one_of(name, "reference", reference, tuple(monitors or ()))
        self._reference = reference
        self._level = number(name, "reference_level", reference_level, 0.0, above=True)
        self.spec = DeviceSpec(
            name=name,
            n_inputs=modulator.n_elements,
            n_outputs=self._grid[0] * self._grid[1],
            low=0.0,
            high=phase_range if input == "phase" else 1.0,
            domain=input,
            input_unit="rad" if input == "phase" else "1",
            seconds_per_query=settle_s,
            settle_s=0.0 if self.triggered else settle_s,
            max_batch=1,
            attempts=attempts,
        )
        self._stand(
            instruments or {modulator.name: modulator, camera.name: camera},
            limits,
            monitors,
            warm_up_s,
        )

    @property
    def settles(self) -> bool:
        """Whether the camera runs freely; else the modulator triggers it when it is ready."""
        return not self.triggered

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
        if self.triggered and not getattr(self._camera, "triggered", False):
            raise DeviceError(
                f"{self.spec.name}: trigger='hardware' needs a camera that can be armed; give "
                f"{self._camera.name} a function `arm`"
            )
        exposure = getattr(self._camera, "exposure_s", None)
        if self._period_s is not None:
            if not exposure:
                raise DeviceError(
                    f"{self.spec.name}: the exposure must be a multiple of period_s="
                    f"{self._period_s:g}, but {self._camera.name} does not say its exposure; give "
                    "it exposure_s"
                )
            periods = exposure / self._period_s
            if abs(periods - round(periods)) > 0.01 or round(periods) < 1:
                raise DeviceError(
                    f"{self.spec.name}: the exposure of {exposure:g} s is {periods:.3g} periods of "
                    f"the modulator (period_s={self._period_s:g}); a whole number is needed, or "
                    "the flicker beats with the frames"
                )

    def _measure(self, drives: Array) -> Array:
        return np.stack([self._row(row) for row in drives])

    def _row(self, values: Array) -> Array:
        with self._modulator.step(), self._camera.step():
            self._show(values)
            frame = self._grab(self.flush_frames)
            light = self._light()
        self._flag(1, saturated=[bool((frame >= self._camera.full_scale).any())])
        return self._regions(frame) / light

    def _show(self, values: Array) -> None:
        if isinstance(self._camera, TriggeredCamera) and self.triggered:
            self._camera.arm()
        self._modulator.set(values)
        if not self.triggered:
            time.sleep(self.spec.settle_s)

    def _grab(self, flush: int) -> Array:
        try:
            return np.asarray(self._camera.grab(0 if self.triggered else flush), float)
        except TimeoutError as error:
            raise ReplyTimeout(
                f"{self.spec.name}: no frame came from {self._camera.name}; is it running, and "
                "does the trigger reach it?"
            ) from error

    def _light(self) -> float:
        """Return the light before the modulator, in units of `reference_level`."""
        if self._reference is None:
            return 1.0
        light = self._reading(self._reference) / self._level
        if not (math.isfinite(light) and light > 0):
            raise DeviceError(
                f"{self.spec.name}: the reference {self._reference!r} reads "
                f"{light * self._level:g}; is the light on?"
            )
        return light

    def _regions(self, frame: Array) -> Array:
        """Return the mean of each region, in units of `full_scale`."""
        rows, columns = (
            np.arange(n) * size // n for n, size in zip(self._grid, frame.shape, strict=True)
        )
        sums = np.add.reduceat(np.add.reduceat(frame - self._black, rows, axis=0), columns, axis=1)
        pixels = np.outer(np.diff([*rows, frame.shape[0]]), np.diff([*columns, frame.shape[1]]))
        return (sums / pixels).ravel() / (self._full_scale or self._camera.full_scale)

    def stale_frames(
        self, *, frames: int = 16, repeats: int = 3, idle_s: float = 0.2, seed: int = 0
    ) -> int:
        """Measure how many frames still show the old row after a new one, for `flush_frames`.

        Two random rows are shown in turn; after each change the frames are compared with what
        the row settles to. A camera that runs while nobody looks fills its buffers with old
        frames, so that each change comes after a pause.

        Parameters
        ----------
        frames : int
            Frames looked at after a change.
        repeats : int
            Changes in either direction; the worst counts. All are counted as calibration.
        idle_s : float
            Pause before a change, in s.
        seed : int
            Of the rows.

        Raises
        ------
        ValueError
            If frames are triggered one by one: none is stale.
        DeviceError
            If the frames do not change with the rows, or after `frames` frames still do.
        """
        if self.triggered:
            raise ValueError(f"{self.spec.name}: trigger='hardware', so that no frame is stale")
        whole(self.spec.name, "frames", frames, 2, 10_000)
        whole(self.spec.name, "repeats", repeats, 1, 1000)
        low, high = self.spec.limits
        pair = np.random.default_rng(seed).uniform(low, high, (2, self.spec.n_inputs))
        pair = np.rint(pair) if self.spec.domain == "bits" else pair
        taken = []
        with self._calibrating(2 * repeats + 1), self._modulator.step(), self._camera.step():
            for row in pair[np.arange(2 * repeats + 1) % 2]:
                time.sleep(idle_s)
                self._show(row)
                taken.append([self._regions(self._grab(0)) for _ in range(frames)])
        return stale_frames(self.spec.name, np.array(taken))
