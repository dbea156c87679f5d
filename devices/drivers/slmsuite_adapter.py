"""Spatial light modulators and cameras by slmsuite, which has drivers for many of them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from devices.drivers.callables import resolved
from devices.drivers.recipe import Recipe
from devices.errors import DeviceError, LimitError
from devices.extras import require
from devices.function import load_function

__all__ = ["Slm", "SlmCamera"]


class _Hardware(Recipe):
    """What opens and closes an object of slmsuite."""

    def __init__(self, hardware: Any, options: Mapping[str, Any] | None, name: str) -> None:
        self.name = name
        self._given, self._options = hardware, dict(options or {})
        self.hardware: Any = None if isinstance(hardware, str) else hardware
        self.identity = ""

    def open(self) -> Self:
        """Make the hardware's object, where only its class or a function was named."""
        if self.hardware is None:
            module, _, attribute = self._given.rpartition(":")
            if module.partition(".")[0] == "slmsuite":
                require("slmsuite", "slm")
            make: Callable[..., Any] = (
                load_function(self._given, fresh=False)  # a modulator and a camera may share it
                if module.endswith(".py")
                else getattr(importlib.import_module(module), attribute)
            )
            try:
                self.hardware = make(**self._options)
            except Exception as error:  # every vendor's driver has errors of its own
                raise DeviceError(
                    f"{self.name}: {self._given} cannot be opened: {type(error).__name__}: {error}"
                ) from error
        self.identity = str(getattr(self.hardware, "name", type(self.hardware).__name__))
        self._ready()
        return self

    connect = open

    def _ready(self) -> None:
        """Check and set what needs the hardware."""

    def close(self) -> None:
        """Close what was opened here; an object that was handed over stays open."""
        if isinstance(self._given, str) and self.hardware is not None:
            hardware, self.hardware = self.hardware, None
            try:
                hardware.close()
            except NotImplementedError:  # some of slmsuite's cameras have nothing to close
                return

    def on(self) -> None:
        """Nothing to do: the next pattern shows."""

    def hold(self) -> None:
        """Leave everything as it is."""

    def off(self) -> None:
        """Nothing to switch off."""

    def step(self) -> AbstractContextManager[Any]:
        """Nothing to keep together."""
        return nullcontext()

    def settings(self) -> dict[str, Any]:
        """Return the identity."""
        return {"identity": self.identity, "hardware": str(self._given)}


class Slm(_Hardware):
    """A spatial light modulator that shows phases in rectangular super-pixels; a `Modulator`.

    Parameters
    ----------
    hardware : object or str
        A ``slmsuite`` SLM, or ``"package.module:Class"``, or ``"file.py:function"`` that makes it.
    grid : (int, int)
        Rows and columns of super-pixels; n_elements is their product.
    options : mapping
        Arguments for a class or a function.
    wavelength_um : float or None
        What the phase table must be for; compared with the hardware's.
    settle_s : float
        Time that the liquid crystal takes.
    name : str
        What messages call it.
    """

    def __init__(
        self,
        hardware: Any,
        *,
        grid: Sequence[int],
        options: Mapping[str, Any] | None = None,
        wavelength_um: float | None = None,
        settle_s: float = 0.0,
        name: str = "slm",
    ) -> None:
        super().__init__(hardware, options, name)
        self._rows, self._columns = (whole(name, "grid", n, 1) for n in grid)
        self.n_elements = self._rows * self._columns
        self.settle_s = number(name, "settle_s", settle_s, 0.0, 10.0)
        self._wavelength_um = wavelength_um

    def _ready(self) -> None:
        height, width = self.hardware.shape
        if self._rows > height or self._columns > width:
            raise DeviceError(
                f"{self.name}: grid=({self._rows}, {self._columns}) is finer than the "
                f"{height} x {width} pixels"
            )
        there = getattr(self.hardware, "wav_um", None)
        wanted = self._wavelength_um
        if (
            wanted is not None
            and there is not None
            and not math.isclose(there, wanted, rel_tol=1e-3)
        ):
            raise DeviceError(
                f"{self.name}: its phase table is for {there:g} um, the rig works at {wanted:g} "
                "um; a table is needed for each wavelength"
            )

    def set(self, values: NDArray[Any]) -> None:
        """Show phases in rad, (n_elements,), row by row."""
        phases = np.asarray(values, float)
        if phases.shape != (self.n_elements,):
            raise LimitError(
                f"{self.name}: phases have shape {phases.shape}, expected ({self.n_elements},)"
            )
        height, width = self.hardware.shape
        rows = np.arange(height) * self._rows // height
        columns = np.arange(width) * self._columns // width
        self.hardware.set_phase(phases.reshape(self._rows, self._columns)[rows][:, columns])

    def off(self) -> None:
        """Show a flat phase."""
        if self.hardware is not None:
            self.hardware.set_phase(None)


class SlmCamera(_Hardware):
    """A camera of slmsuite; a `Camera`. What is named in `fixed` stays so for the run.

    Parameters
    ----------
    hardware : object or str
        As in `Slm`.
    options : mapping
        Arguments for a class or a function.
    exposure_s : float or None
        Set at opening, and compared with what the camera took.
    fixed : mapping of str to float
        Gain, gamma, black level and what else the hardware has by methods ``set_NAME`` and
        ``get_NAME`` or by an attribute; set at opening and read back.
    arm : str or callable, optional
        Function of the hardware's object that gets it ready for a hardware trigger.
    region : (int, int, int, int) or None
        First row, rows, first column, columns of the frame that are used.
    name : str
        What messages call it.
    """

    def __init__(
        self,
        hardware: Any,
        *,
        options: Mapping[str, Any] | None = None,
        exposure_s: float | None = None,
        fixed: Mapping[str, float] | None = None,
        arm: Callable[[Any], object] | str | None = None,
        region: Sequence[int] | None = None,
        name: str = "camera",
    ) -> None:
        super().__init__(hardware, options, name)
        self.exposure_s = exposure_s
        self._fixed = dict(fixed or {})
        self._read_back: dict[str, float] = {}
        self._arm, self.triggered = arm, arm is not None
        self._region = (
            None if region is None else tuple(whole(name, "region", v, 0) for v in region)
        )
        if self._region is not None and len(self._region) != 4:
            raise ValueError(f"{name}: region={region!r} must be row, rows, column, columns")
        self.shape = (0, 0)
        self.full_scale = math.inf

    def _ready(self) -> None:
        height, width = (int(n) for n in self.hardware.shape)
        self.shape = (height, width)
        if self._region is not None:
            row, rows, column, columns = self._region
            if row + rows > height or column + columns > width or not rows or not columns:
                raise DeviceError(
                    f"{self.name}: region={self._region} is not inside {height} x {width} pixels"
                )
            self.shape = (rows, columns)
        self.full_scale = float(2 ** int(self.hardware.bitdepth) - 1)
        wanted = ({} if self.exposure_s is None else {"exposure": self.exposure_s}) | self._fixed
        self._read_back = {key: self._set(key, value) for key, value in wanted.items()}
        if hasattr(self.hardware, "get_exposure"):
            self.exposure_s = float(self.hardware.get_exposure())

    def _set(self, key: str, value: float) -> float:
        """Set something of the hardware and return what it says that it has."""
        setter = getattr(self.hardware, f"set_{key}", None)
        if setter is None and not hasattr(self.hardware, key):
            raise DeviceError(f"{self.name}: {self.identity} has no setting {key!r}")
        if setter is not None:
            setter(value)
        else:
            setattr(self.hardware, key, value)
        getter = getattr(self.hardware, f"get_{key}", lambda: getattr(self.hardware, key, value))
        there = float(getter())
        if not math.isclose(there, value, rel_tol=0.01, abs_tol=1e-9):
            raise DeviceError(f"{self.name}: {key}={value:g} was set, the camera has {there:g}")
        return there

    def settings(self) -> dict[str, Any]:
        """Return the identity, and what was set as read back."""
        return super().settings() | self._read_back

    def arm(self) -> None:
        """Call the function `arm` with the hardware's object."""
        if self._arm is not None:
            resolved(self._arm)(self.hardware)

    def grab(self, flush: int = 0) -> NDArray[Any]:
        """Throw away `flush` frames, which may show what was there before; return the next."""
        for _ in range(flush):
            self.hardware.get_image()
        frame = np.asarray(self.hardware.get_image())
        if self._region is not None:
            row, rows, column, columns = self._region
            frame = frame[row : row + rows, column : column + columns]
        if frame.shape != self.shape:
            raise DeviceError(
                f"{self.name}: the frame has shape {frame.shape}, expected {self.shape}"
            )
        return frame
