"""Axes of a sweep: what each varies, its values, and where these are allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import DeviceSpec, LimitError, Programmable
from devices.checks import table
from pnn.config import ConfigError
from pnn.sweeps.config import AxisTable

__all__ = ["Axis", "axis_of", "read_table"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One quantity that is varied.

    Attributes
    ----------
    name : str
        Of its coordinate in the file.
    what : str
        As in a configuration: ``drive.3``, ``device.noise`` ...
    values : ndarray of shape (n,)
        Numbers or texts; the row numbers where there is a `rows`.
    rows : ndarray of shape (n, width) or None
        Complete drives, or complete parameters.
    unit : str
    """

    name: str
    what: str
    values: Array
    rows: Array | None = None
    unit: str = ""
    _parts: list[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parts", self.what.split("."))

    @property
    def kind(self) -> str:
        """``drive``, ``parameter``, ``device`` or ``wrap``."""
        return self._parts[0]

    @property
    def index(self) -> int | None:
        """Number of the input, the parameter or the wrapper; None for all."""
        return int(self._parts[1]) if len(self._parts) > 1 and self.kind != "device" else None

    @property
    def key(self) -> str:
        """Name of the argument, for ``device`` and ``wrap``."""
        return self._parts[-1]

    @property
    def rebuilds(self) -> bool:
        """Whether a new value needs a new device."""
        return self.kind in ("device", "wrap")

    @property
    def complete(self) -> bool:
        """Whether it sets every input, or every parameter."""
        return not self.rebuilds and self.index is None

    def put(self, rows: Array, k: int) -> Array:
        """Return rows of drives or parameters, (n, width), with the value `k` of this axis."""
        if self.complete:
            width = rows.shape[-1]
            one = np.full(width, self.values[k], float) if self.rows is None else self.rows[k]
            return one[None]
        new = rows.copy()
        new[:, self.index] = self.values[k]
        return new

    def plain(self, k: int) -> Any:
        """Return the value `k` as a constructor takes it."""
        return self.values[k].item()

    def check_drives(self, spec: DeviceSpec) -> None:
        """Refuse values that are no legal drives.

        Raises
        ------
        LimitError
            With the axis, the value and the limits.
        """
        if self.index is not None and self.index >= spec.n_inputs:
            raise ConfigError(
                f"axis {self.name}: {self.what}: {spec.name} has the inputs 0 to "
                f"{spec.n_inputs - 1}"
            )
        self._check_width(spec.name, "inputs", spec.n_inputs)
        rest = np.ceil(spec.limits[0])[None] if spec.domain == "codes" else spec.limits[0][None]
        for k, value in enumerate(self.values):
            try:
                spec.check_drives(self.put(rest, k))
            except LimitError as error:
                raise LimitError(f"axis {self.name}: {self._named(value)}: {error}") from error

    def check_parameters(self, device: Programmable) -> None:
        """Refuse values outside the limits of the device's parameters; see `check_drives`."""
        low, high = device.parameter_low, device.parameter_high
        if self.index is not None and self.index >= len(low):
            raise ConfigError(
                f"axis {self.name}: {self.what}: {device.spec.name} has the parameters 0 to "
                f"{len(low) - 1}"
            )
        self._check_width(device.spec.name, "parameters", len(low))
        for k, value in enumerate(self.values):
            new = self.put(low[None], k)[0]
            bad = ~((new >= low) & (new <= high))
            if bad.any():
                i = int(np.argmax(bad))
                raise LimitError(
                    f"axis {self.name}: {self._named(value)}: {device.spec.name}: parameter {i} = "
                    f"{new[i]:g} is outside [{low[i]:g}, {high[i]:g}]; nothing was driven"
                )

    def _named(self, value: Any) -> str:
        return f"row {value} of its table" if self.rows is not None else f"value {value:g}"

    def _check_width(self, name: str, what: str, width: int) -> None:
        if self.values.dtype.kind not in "iuf":
            raise ConfigError(
                f"axis {self.name}: {self.what} needs numbers, got {self.values[0].item()!r}"
            )
        if self.rows is not None and self.rows.shape[1] != width:
            raise ConfigError(
                f"axis {self.name}: its table has {self.rows.shape[1]} columns, {name} has "
                f"{width} {what}"
            )


def axis_of(given: AxisTable, shares: Array | None = None) -> Axis:
    """Make an axis from its table.

    Parameters
    ----------
    given : AxisTable
    shares : ndarray of shape (n,), optional
        For a sampled axis, its place between ``from`` (0) and ``to`` (1) in each sample.

    Raises
    ------
    ConfigError
        If a file is missing or unfit, or the values are of several kinds or twice the same.
    """
    name = given.label
    if given.table is not None:
        rows = read_table(f"axis {name}", given.table)
        return Axis(name=name, what=given.what, values=np.arange(len(rows)), rows=rows)
    if given.values is not None:
        values = np.array(given.values)
        texts = [isinstance(value, str) for value in given.values]
        if any(texts) and not all(texts):
            raise ConfigError(f"axis {name}: {given.values!r} has texts and numbers")
    else:
        assert given.from_ is not None
        assert given.to is not None
        log = given.scale == "log"
        if shares is None:
            spaced = np.geomspace if log else np.linspace
            values = spaced(given.from_, given.to, given.points or 1)
        elif log:
            values = given.from_ * (given.to / given.from_) ** shares
        else:
            values = given.from_ + shares * (given.to - given.from_)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ConfigError(f"axis {name}: {values[~np.isfinite(values)][0]} is not finite")
    if given.integer:
        values = np.round(values).astype(np.int64)
    if not (given.zip or given.sampled) and len(np.unique(values)) != len(values):
        raise ConfigError(f"axis {name}: a value is there twice; use repeats to measure again")
    return Axis(name=name, what=given.what, values=values, unit=given.unit)


def read_table(owner: str, source: str | tuple[tuple[float, ...], ...]) -> Array:
    """Read a table of drives or parameters, (rows, width).

    Raises
    ------
    ConfigError
        If it cannot be read, or is no finite table of real numbers.
    """
    try:
        if not isinstance(source, str):
            return table(owner, "table", source)
        if Path(source).suffix == ".npy":
            return table(owner, source, np.load(source))
        return table(owner, source, np.loadtxt(source, delimiter=",", ndmin=2))
    except (OSError, ValueError) as error:
        where = f"{owner}: {source}" if isinstance(source, str) else owner
        raise ConfigError(f"{where}: {error}") from error
