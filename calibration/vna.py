"""Error correction of a vector network analyser, and Touchstone files, through scikit-rf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from calibration.file import Calibration
from calibration.named_array import Quantity
from devices import Device
from devices.extras import require

__all__ = ["VnaCorrection", "read_touchstone", "write_touchstone"]

Array = NDArray[Any]

ONE_PORT = ("short", "open", "load")
TWO_PORT = ("short", "open", "load", "thru")


@dataclass(frozen=True, kw_only=True)
class VnaCorrection:
    """Systematic errors of an analyser, from standards that were measured with it.

    Three terms with short, open and load at one port; with a thru as well, the twelve terms of
    SOLT at two ports (Rumiantsev and Ridler, IEEE Microwave Magazine 9(3), 86 (2008)).

    Parameters
    ----------
    frequencies_hz : ndarray of shape (frequencies,)
        The grid; another one needs another correction.
    measured : mapping of str to ndarray of shape (frequencies, ports, ports), complex
        ``short``, ``open``, ``load``, and ``thru`` for two ports, the reflective standards at
        both of them.
    ideals : mapping of str to ndarray, optional
        What they are; those that are not given are -1, 1, 0 and a perfect thru.

    Raises
    ------
    ValueError
        If a standard is missing, or of another shape.
    ImportError
        If scikit-rf is missing, with the extra that installs it.
    """

    frequencies_hz: Array
    measured: Mapping[str, Array]
    ideals: Mapping[str, Array] | None = None

    def __post_init__(self) -> None:
        two = "thru" in self.measured
        names, ports = (TWO_PORT, 2) if two else (ONE_PORT, 1)
        shape = (len(self.frequencies_hz), ports, ports)
        ideals = {**_perfect(shape), **(self.ideals or {})}
        for what, given in (("measured", self.measured), ("ideals", ideals)):
            for name in names:
                if name not in given or np.shape(given[name]) != shape:
                    found = np.shape(given[name]) if name in given else "nothing"
                    raise ValueError(
                        f"VnaCorrection: {what} must have {name!r} of shape {shape}, not {found}"
                    )
        rf = require("skrf", "vna")
        kind = rf.calibration.SOLT if two else rf.calibration.OnePort
        correction = kind(
            measured=[self._network(self.measured[name]) for name in names],
            ideals=[self._network(ideals[name]) for name in names],
        )
        correction.run()
        object.__setattr__(self, "_correction", correction)

    def apply(self, frequencies_hz: Array, raw: Array) -> Array:
        """Return corrected S-parameters.

        Parameters
        ----------
        frequencies_hz : ndarray of shape (frequencies,)
            Where they were measured; must be the grid of the correction.
        raw : ndarray of shape (frequencies, ports, ports), complex

        Raises
        ------
        ValueError
            If the grid is another.
        """
        grid = self.frequencies_hz
        if np.shape(frequencies_hz) != grid.shape or not np.allclose(
            frequencies_hz, grid, rtol=1e-9
        ):
            raise ValueError(
                f"VnaCorrection: measured at {len(frequencies_hz)} frequencies from "
                f"{frequencies_hz[0]:g} to {frequencies_hz[-1]:g} Hz, the correction is for "
                f"{len(grid)} from {grid[0]:g} to {grid[-1]:g} Hz; correct anew on this grid"
            )
        corrected: Array = self._correction.apply_cal(self._network(raw)).s  # type: ignore[attr-defined]
        return corrected

    @property
    def ports(self) -> int:
        """1 or 2."""
        return 2 if "thru" in self.measured else 1

    def calibration(self, device: Device, **more: Any) -> Calibration:
        """Return the correction as a calibration of the kind ``vna``, to save and to apply.

        Parameters
        ----------
        device : Device
            The rig of the analyser.
        **more
            `Calibration.of` takes them: ``validity``, ``parents``.
        """
        dims = ("frequency", "port", "from_port")
        made = Calibration.of(device, "vna", _Nothing(), **more)
        data = {"frequencies_hz": Quantity(self.frequencies_hz, ("frequency",), "Hz")}
        for what, given in (("measured", self.measured), ("ideal", self.ideals or {})):
            data |= {f"{what}_{name}": Quantity(given[name], dims) for name in given}
        return replace(made, data=data)

    @classmethod
    def of(cls, found: Calibration) -> Self:
        """Return the correction that a calibration of the kind ``vna`` holds."""

        def group(what: str) -> dict[str, Array]:
            start = f"{what}_"
            names = [name for name in found.data if name.startswith(start)]
            return {name.removeprefix(start): found[name] for name in names}

        return cls(
            frequencies_hz=found["frequencies_hz"],
            measured=group("measured"),
            ideals=group("ideal"),
        )

    def _network(self, s: Array) -> Any:
        rf = require("skrf", "vna")
        return rf.Network(frequency=rf.Frequency.from_f(self.frequencies_hz, unit="Hz"), s=s)


@dataclass(frozen=True)
class _Nothing:
    """A result without fields."""


def read_touchstone(path: str | Path) -> tuple[Array, Array]:
    """Return frequencies in Hz, (n,), and S-parameters, (n, ports, ports), of a .sNp file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    network = require("skrf", "vna").Network(str(path))
    return np.asarray(network.f), np.asarray(network.s)


def write_touchstone(path: str | Path, frequencies_hz: Array, s: Array) -> Path:
    """Write S-parameters, (n, ports, ports), as a Touchstone file and return its path.

    Raises
    ------
    FileExistsError
        If there is such a file.
    ValueError
        If the suffix is not that of so many ports.
    """
    path, ports = Path(path), np.shape(s)[-1]
    if path.suffix.lower() != f".s{ports}p":
        raise ValueError(f"write_touchstone: path={path} must end in .s{ports}p for {ports} ports")
    if path.exists():
        raise FileExistsError(f"{path} exists already and is not overwritten")
    rf = require("skrf", "vna")
    network = rf.Network(frequency=rf.Frequency.from_f(frequencies_hz, unit="Hz"), s=s)
    network.write_touchstone(path.stem, dir=str(path.parent))
    return path


def _perfect(shape: tuple[int, int, int]) -> dict[str, Array]:
    one = np.broadcast_to(np.eye(shape[1], dtype=complex), shape)
    return {"short": -one, "open": one, "load": 0 * one, "thru": one[:, ::-1]}
