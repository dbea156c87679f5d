"""One rectangle of cells, or two with attenuators between them: phases to transfer matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators._arrays import namespace
from simulators._tensors import constant
from simulators.optical.clements import decompose
from simulators.optical.mesh_chip import MeshChip

__all__ = ["MeshCircuit"]

Array = NDArray[Any]


class MeshCircuit:
    """The unitary U of one chip, or ``U S V`` of two, with S attenuators.

    Parameters
    ----------
    chips : list of MeshChip
        One, or V and U: light meets V first.
    owner : str
        Whom a message is about.

    Attributes
    ----------
    n_inputs, n_outputs : int
    high : ndarray of shape (n_parameters,)
        Upper limits of the parameters: 2 pi for phases, 1 for the amplitudes behind attenuators.
        V comes first, then S, then U.
    """

    def __init__(self, chips: list[MeshChip], owner: str) -> None:
        self.chips, self._owner = chips, owner
        self.n_inputs, self.n_outputs = chips[0].n, chips[-1].n
        self._between = min(self.n_inputs, self.n_outputs) if len(chips) > 1 else 0
        self._first = chips[0].n_phases
        n = sum(chip.n_phases for chip in chips) + self._between
        self.high = np.full(n, 2 * math.pi)
        self.high[self._first : self._first + self._between] = 1.0

    def random(self, rng: np.random.Generator) -> Array:
        """Return the parameters of Haar-random unitaries with open attenuators."""
        values = [_phases(_haar(chip.n, rng)) for chip in self.chips]
        values.insert(1, np.ones(self._between))
        return np.concatenate(values)

    def realise(self, matrix: ArrayLike) -> tuple[Array, float]:
        """Return the parameters of a matrix on perfect chips, and what it was multiplied with.

        Raises
        ------
        ValueError
            If the matrix has the wrong shape, or is not unitary where it must be.
        """
        wanted: Array = np.asarray(matrix, complex)
        if wanted.shape != (self.n_outputs, self.n_inputs):
            raise ValueError(
                f"{self._owner}: matrix has shape {wanted.shape}, expected "
                f"{(self.n_outputs, self.n_inputs)}"
            )
        if not self._between:
            return _phases(wanted), 1.0
        if not np.isfinite(wanted).all():
            raise ValueError(f"{self._owner}: matrix has an entry that is not finite")
        u, s, v = np.linalg.svd(wanted)
        scale = 1.0 / max(1.0, float(s[0]))
        # Rounding must not leave the limits.
        return np.concatenate([_phases(v), np.clip(s * scale, 0.0, 1.0), _phases(u)]), scale

    def effective(self, parameters: Any) -> Any:
        """Return the parameters as the light meets them, with the heaters' cross-talk."""
        xp = namespace(parameters)
        last = self._first + self._between
        parts = [self.chips[0].effective(parameters[: self._first])]
        if self._between:
            parts += [parameters[self._first : last], self.chips[1].effective(parameters[last:])]
        return xp.concatenate(parts)

    def through(self, fields: Any, effective: Any, keep: list[Any] | None = None) -> Any:
        """Return the fields behind the circuit; the arguments are those of `MeshChip.through`."""
        xp = namespace(fields)
        fields = self.chips[0].through(fields, effective[..., : self._first], keep)
        if self._between:
            last = self._first + self._between
            fields = fields[:, : self._between] * effective[..., self._first : last]
            dark = constant(np.zeros(self.n_outputs - self._between), fields)
            fields = xp.concatenate([fields, 0j * fields[:, :1] + dark], 1)
            fields = self.chips[1].through(fields, effective[..., last:], keep)
        return fields

    def matrix(self, parameters: Any) -> Any:
        """Return the transfer matrix, (n_outputs, n_inputs), at the parameters that are set."""
        ports = constant(np.eye(self.n_inputs, dtype=complex), parameters)
        return self.through(ports, self.effective(parameters)).T

    def noisy(self, fields: Array, effective: Array, spread: float, rng: Any) -> Array:
        """Return the fields with each phase of each row off by a normal number in rad."""
        noise = spread * rng.standard_normal((len(fields), len(effective)))
        noise[:, self._first : self._first + self._between] = 0.0
        noise += effective
        seen: Array = self.through(fields, noise)
        return seen


def _phases(unitary: Array) -> Array:
    return np.concatenate(decompose(unitary))


def _haar(n: int, rng: np.random.Generator) -> Array:
    """Return a Haar-random unitary: the QR factor, its phases fixed (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)))
    phases = np.diag(r) / np.abs(np.diag(r))
    unitary: Array = q * phases
    return unitary
