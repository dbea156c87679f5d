"""Python functions that capture: a digitizer and a camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number
from devices.drivers.callables import Callables, resolved
from devices.errors import DeviceError
from devices.roles import Record

__all__ = ["CallableCamera", "CallableDigitizer"]

Function = Callable[..., Any]


class CallableDigitizer(Callables):
    """Functions that arm and fetch, as a `Digitizer`.

    Parameters
    ----------
    fetch : callable or str
        Takes nothing, waits for the capture that the trigger started, and returns volts of shape
        (n_channels, n_samples), the first sample at the trigger.
    rate_hz : float
        Samples per second.
    channels : sequence of int
        Numbers of the inputs.
    clip_v : float or None
        Magnitude from which a sample counts as clipped.
    arm : callable or str, optional
        Gets ready for a trigger, and returns when it is.
    **life
        Functions ``open``, ``close``, ``on``, ``off``, ``hold``, and the ``name``.
    """

    def __init__(
        self,
        fetch: Function | str,
        *,
        rate_hz: float,
        channels: Sequence[int] = (1,),
        clip_v: float | None = None,
        arm: Function | str | None = None,
        **life: Any,
    ) -> None:
        super().__init__(**{"name": "digitizer"} | life)
        self.channels = tuple(channels)
        self._step_s = 1 / number(self.name, "rate_hz", rate_hz, 0.0, above=True)
        self._clip_v = np.inf if clip_v is None else clip_v
        self._life["arm"] = arm
        self._fetch = fetch

    def prepare(self, duration_s: float, segments: int, least_rate_hz: float) -> None:
        """Check what cannot be set from here."""
        if segments != 1:
            raise ValueError(f"{self.name}: functions capture one record, not {segments} segments")

    def arm(self) -> None:
        """Call the function `arm`."""
        self._call("arm")

    def wait(self, deadline_s: float) -> None:
        """Nothing to do: the function `fetch` waits."""

    def fetch(self) -> list[Record]:
        """Call the function `fetch`."""
        volts: NDArray[Any] = np.atleast_2d(np.asarray(resolved(self._fetch)(), np.float64))
        if len(volts) != len(self.channels):
            raise DeviceError(
                f"{self.name}: fetch returned {len(volts)} channels, expected {len(self.channels)}"
            )
        return [Record(volts, np.abs(volts) >= self._clip_v, 0.0, self._step_s)]


class CallableCamera(Callables):
    """A function that returns a frame, as a `Camera`.

    Parameters
    ----------
    grab : callable or str
        Takes nothing and returns a new frame, (height, width).
    shape : (int, int)
        Height and width.
    full_scale : float
        The value of a saturated pixel.
    exposure_s : float or None
        What the functions work with, where it is known; compared with the modulator's period.
    arm : callable or str, optional
        Gets ready for a hardware trigger; `grab` then returns the frame that it starts, or raises
        TimeoutError.
    **life
        Functions ``open``, ``close``, ``on``, ``off``, ``hold``, and the ``name``.
    """

    def __init__(
        self,
        grab: Function | str,
        *,
        shape: Sequence[int],
        full_scale: float,
        exposure_s: float | None = None,
        arm: Function | str | None = None,
        **life: Any,
    ) -> None:
        super().__init__(**{"name": "camera"} | life)
        height, width = shape
        self.shape = (int(height), int(width))
        self.full_scale = number(self.name, "full_scale", full_scale, 0.0, above=True)
        self.exposure_s = exposure_s
        if exposure_s is not None:
            number(self.name, "exposure_s", exposure_s, 0.0, above=True)
        self.triggered = arm is not None
        self._life["arm"] = arm
        self._grab = grab

    def arm(self) -> None:
        """Call the function `arm`."""
        self._call("arm")

    def grab(self, flush: int = 0) -> NDArray[Any]:
        """Call the function `flush` times, and once more for the frame."""
        function = resolved(self._grab)
        for _ in range(flush):
            function()
        frame = np.asarray(function())
        if frame.shape != self.shape:
            raise DeviceError(
                f"{self.name}: the frame has shape {frame.shape}, expected {self.shape}"
            )
        return frame
