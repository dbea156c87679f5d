"""Devices that come to rest at an energy's minimum, and whose outputs can be pushed meanwhile."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.device import Device
from devices.errors import DeviceError, LimitError
from devices.measurement import PURPOSES, Purpose
from devices.programmable import Programmable, _stack

__all__ = ["Nudgeable", "nudgeable_of"]

Array = NDArray[np.float64]


class Nudgeable(Programmable):
    """A programmable device whose answer is a state of rest, and which can be nudged.

    Its nodes settle where all forces on them balance, at a stationary point of an energy E(s, u)
    of their states s and the drive u; the states of the last nodes are the answer. While a row is
    driven, forces on the outputs shift that state a little. From two shifted states alone follows
    how the outputs depend on the parameters and the drives, as dE/dparameter is something that can
    be read beside each parameter (for a coupling, the product of the states at its two ends). This
    is what equilibrium propagation and dual propagation learn from, and what no bare input-output
    box offers.

    A driver writes, besides the hooks of `Programmable`, ``_relax(drives, forces)`` and `contrast`.
    `relax` checks, locks and counts; a wrapper around the device has no part in it.

    Attributes
    ----------
    dyadic : bool
        Whether each node is a pair, of which one half feels the forces and the other one their
        opposite, at the same time.
    n_nodes : int
    force_limit : float
        Largest force on an output, in the units of the energy over those of the answers.
    """

    dyadic: ClassVar[bool] = False
    n_nodes: int
    force_limit: float

    @abstractmethod
    def _relax(self, drives: Array, forces: Array) -> Array:
        """Return the states of rest under checked drives and forces."""

    @abstractmethod
    def contrast(
        self, first: Array, second: Array, drives: Array, weights: Array
    ) -> tuple[Array, Array]:
        """Return by how much dE/dparameters and dE/ddrives differ between two states of rest.

        Parameters
        ----------
        first, second : ndarray of shape (batch, n_nodes)
            States under the same drives and different forces; of a dyadic device the two halves.
        drives : ndarray of shape (batch, n_inputs)
        weights : ndarray of shape (batch,)
            What each row counts.

        Returns
        -------
        by_parameters : ndarray of shape (n_parameters,)
            The weighted sum over rows.
        by_drives : ndarray of shape (batch, n_inputs)
            For each row, weighted.
        """

    @final
    def relax(
        self, drives: ArrayLike, forces: ArrayLike | None = None, *, purpose: Purpose = "probe"
    ) -> Array:
        """Let rows come to rest, then push the outputs, and read all nodes when at rest again.

        Parameters
        ----------
        drives : array_like of shape (batch, n_inputs)
            Legal drives; each row is one query.
        forces : array_like of shape (batch, n_outputs) or None
            Constant forces on the outputs; None for none.
        purpose : str
            What the queries are counted under.

        Returns
        -------
        ndarray of shape (batch, n_nodes), or (batch, 2, n_nodes) of a dyadic device

        Raises
        ------
        LimitError
            If a drive or a force is illegal; nothing was driven.
        DeviceError
            If the device is not open, or fails.
        """
        if purpose not in PURPOSES:
            raise ValueError(f"purpose={purpose!r} is not one of {', '.join(PURPOSES)}")
        rows = self.spec.check_drives(drives)
        push = self._check_forces(forces, len(rows))
        with self._lock:
            if not self.is_open:
                raise DeviceError(f"{self.spec.name} is not open; use it as `with device:`")
            clock = time.perf_counter()
            try:
                states = self._relax(rows.copy(), push)
            except BaseException as error:
                try:
                    self._safe()
                except Exception as second:
                    error.add_note(f"{self.spec.name}: switching off failed too: {second}")
                raise
            finally:
                seconds = time.perf_counter() - clock
                self._ledger.seconds[purpose] += seconds
                self._ledger.joules += seconds * (self.spec.watts or 0.0)
            self._ledger.queries[purpose] += len(rows)
        return states

    def _check_forces(self, forces: ArrayLike | None, rows: int) -> Array:
        shape = (rows, self.spec.n_outputs)
        push = np.zeros(shape) if forces is None else np.array(forces, np.float64)
        if push.shape != shape:
            raise LimitError(
                f"{self.spec.name}: the forces have shape {push.shape}, expected {shape}"
            )
        bad = ~(np.abs(push) <= self.force_limit)  # NaN counts
        if bad.any():
            row, output = (int(i) for i in np.argwhere(bad)[0])
            raise LimitError(
                f"{self.spec.name}: force {push[row, output]:g} at row {row}, output {output} is "
                f"outside [{-self.force_limit:g}, {self.force_limit:g}]; nothing was driven",
                failed_row=row,
            )
        return push


def nudgeable_of(device: Device) -> Nudgeable | None:
    """Return the device, or the one that it wraps, that can be nudged; else None.

    Wrappers on the way (noise, a converter's steps) are passed over, `relax` does not see them.
    """
    found: Any = next((one for one in _stack(device) if isinstance(one, Nudgeable)), None)
    return found
