"""Whether answers move at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["must_move"]


def must_move(owner: str, answers: NDArray[Any]) -> None:
    """Raise `ValueError` if all answers, (..., n_outputs), are the same but for rounding."""
    rows = answers.reshape(-1, answers.shape[-1])
    rounding = 8 * np.finfo(rows.dtype).eps if rows.dtype.kind in "fc" else 0.0
    if (np.abs(rows - rows[0]) <= max(1e-12, rounding) * np.abs(rows[0])).all():
        raise ValueError(
            f"{owner}: no answer moves: each of the {rows.shape[1]} outputs gave the same in all "
            f"{len(rows)} rows, the first of them {rows[0, 0]:.6g}; see that the drives reach the "
            "device, that its outputs are on, and that it is read anew for each row"
        )
