"""How far a device is from an affine map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from calibration.affine import AffineMap
from calibration.randomness import generator
from devices import Device

__all__ = ["affine_share", "uniform_drives"]


def uniform_drives(
    device: Device, rows: int, seed: int = 0, *, even: bool = False
) -> NDArray[np.float64]:
    """Return legal drives, (rows, n_inputs), uniform between the limits of each input.

    Bits are on or off with equal chance; codes are whole numbers. `even` drives fill the space more
    evenly than random ones (a scrambled Sobol sequence in random order), so that means over them
    scatter less; they are not independent of each other.
    """
    low, high = device.spec.limits
    n = device.spec.n_inputs
    random = generator(seed, "uniform drives")
    if even and n <= qmc.Sobol.MAXDIM:
        sequence = qmc.Sobol(n, seed=random).random_base2(int(np.ceil(np.log2(rows))))
        shares = random.permutation(sequence[:rows])
    else:
        shares = random.random((rows, n))
    if device.spec.domain == "bits":
        return np.where(shares < 0.5, low, high)
    drives = low + shares * (high - low)
    if device.spec.domain == "codes":
        drives = np.floor(np.ceil(low) + shares * (np.floor(high) - np.ceil(low) + 1))
    return np.clip(drives, low, high)


def affine_share(
    drives: NDArray[np.float64], answers: NDArray[Any], held_out: float = 0.3
) -> float:
    """Return the share of held-out variance that the best affine map explains.

    The R2 of a least-squares fit on the first rows, pooled over outputs, on the last rows; the
    non-linearity index is 1 minus this.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
        In random order.
    answers : ndarray of shape (rows, n_outputs)
    held_out : float
        Share of the rows that the fit does not see.

    Raises
    ------
    ValueError
        If the fit would have fewer than twice as many rows as inputs: it would say little.
    """
    n = round(len(drives) * (1 - held_out))
    if n < 2 * drives.shape[1]:
        raise ValueError(
            f"affine_share: {n} rows to fit {drives.shape[1]} inputs are too few; measure at least "
            f"{int(np.ceil(2 * drives.shape[1] / (1 - held_out)))}"
        )
    model = AffineMap(drives.shape[1], answers.shape[1])
    model.update(drives[:n], answers[:n])
    matrix, offset = model.solve()
    rest = answers[n:]
    missed = np.sum(np.abs(rest - drives[n:] @ matrix.T - offset) ** 2)
    total = np.sum(np.abs(rest - rest.mean(axis=0)) ** 2)
    return float(1 - missed / total)
