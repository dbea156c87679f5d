"""Arrays with named axes and a unit, as calibration files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Quantity", "own_unit"]


@dataclass(frozen=True)
class Quantity:
    """An array with named axes and a unit.

    Attributes
    ----------
    values : ndarray
    dims : tuple of str
        One name for each axis.
    unit : str
    """

    values: NDArray[Any]
    dims: tuple[str, ...] = ()
    unit: str = "1"

    def __post_init__(self) -> None:
        values = np.array(self.values)
        if values.dtype.kind == "b":
            values = values.astype(np.uint8)  # as the file keeps them, so that the id stays
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "dims", tuple(self.dims))
        if values.ndim != len(self.dims):
            raise ValueError(f"Quantity: {values.ndim} axes, but the names {self.dims}")


def own_unit(unit: str, units: Mapping[str, str]) -> str:
    """Put the device's units in the place of ``input`` and ``output``."""
    if unit == "output/input":
        unit = f"{units['output']}/{units['input']}"
        return "1" if units["output"] == units["input"] else unit.removesuffix("/1")
    for name, own in units.items():
        unit = unit.replace(name, own)
    return unit or "1"
