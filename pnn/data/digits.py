"""Handwritten digits of 8 x 8 pixels, with scikit-learn."""

from __future__ import annotations

from pnn.data.dataset import Dataset

__all__ = ["digits"]


def digits() -> Dataset:
    """Return 1797 digits of 8 x 8 pixels, values 0 to 16; no file and no network needed."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return Dataset(
        name="digits",
        X=X,
        y=y,
        classes=tuple("0123456789"),
        shape=(8, 8),
        source="Optical recognition of handwritten digits (Alpaydin & Kaynak 1998), the test part "
        "that scikit-learn carries.",
    )
