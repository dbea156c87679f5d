"""The laws of a twin: from drives to answers, for NumPy and for torch.

A law is its arrays. All of them are real: a complex answer is a pair of channels, the real and
the imaginary part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulators._arrays import namespace
from simulators._tensors import constant

__all__ = ["LAWS", "Affine", "Law", "Magnitude", "Network", "Quadratic"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Law(ABC):
    """Base of the laws: what they have in common is that they are made of arrays."""

    kind: ClassVar[str]
    #: Names of the axes of each array, as a file has them.
    dims: ClassVar[Mapping[str, tuple[str, ...]]]

    @abstractmethod
    def __call__(self, drives: Any) -> Any:
        """Return the answers, (rows, channels), to drives, (rows, n_inputs), array or tensor."""

    @property
    @abstractmethod
    def multiply_adds(self) -> int:
        """Multiply-adds of the products of one row."""

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Affine(Law):
    """``y = A u + b``.

    Parameters
    ----------
    matrix : ndarray of shape (channels, n_inputs)
    offset : ndarray of shape (channels,)
    """

    kind = "affine"
    dims = {"matrix": ("channel", "input"), "offset": ("channel",)}  # noqa: RUF012

    matrix: Array
    offset: Array

    def __call__(self, drives: Any) -> Any:  # noqa: D102
        return drives @ constant(self.matrix, drives).T + constant(self.offset, drives)

    @property
    def multiply_adds(self) -> int:  # noqa: D102
        return self.matrix.size


@dataclass(frozen=True)
class Magnitude(Law):
    """``y = |H u + b|``, H and b complex: a linear wave of which the magnitude is read.

    Parameters
    ----------
    real, imag : ndarray of shape (channels, n_inputs)
        H; each row is known up to a phase.
    offset_real, offset_imag : ndarray of shape (channels,)
        b, with the same phase.
    """

    kind = "magnitude"
    dims = {  # noqa: RUF012
        "real": ("channel", "input"),
        "imag": ("channel", "input"),
        "offset_real": ("channel",),
        "offset_imag": ("channel",),
    }

    real: Array
    imag: Array
    offset_real: Array
    offset_imag: Array

    def __call__(self, drives: Any) -> Any:  # noqa: D102
        real, imag, p, q = (constant(array, drives) for array in self.arrays().values())
        # Torch's abs of complex numbers has the slope 0 at 0, where hypot's is not a number.
        return namespace(drives).abs(drives @ real.T + p + 1j * (drives @ imag.T + q))

    @property
    def multiply_adds(self) -> int:  # noqa: D102
        return 2 * self.real.size + 2 * len(self.real)


@dataclass(frozen=True)
class Quadratic(Law):
    """``y = b + L z + sum_(i <= j) Q_ij z_i z_j`` of scaled drives ``z = (u - centre) / spread``.

    Parameters
    ----------
    centre, spread : ndarray of shape (n_inputs,)
    offset : ndarray of shape (channels,)
    linear : ndarray of shape (channels, n_inputs)
    products : ndarray of shape (channels, n_inputs * (n_inputs + 1) / 2)
        Q row by row, the upper triangle with the diagonal.
    """

    kind = "quadratic"
    dims = {  # noqa: RUF012
        "centre": ("input",),
        "spread": ("input",),
        "offset": ("channel",),
        "linear": ("channel", "input"),
        "products": ("channel", "product"),
    }

    centre: Array
    spread: Array
    offset: Array
    linear: Array
    products: Array

    def __call__(self, drives: Any) -> Any:  # noqa: D102
        centre, spread, offset, linear, products = (
            constant(array, drives) for array in self.arrays().values()
        )
        z = (drives - centre) / spread
        i, j = np.triu_indices(z.shape[1])
        return offset + z @ linear.T + (z[:, i] * z[:, j]) @ products.T

    @property
    def multiply_adds(self) -> int:  # noqa: D102
        return self.linear.size + self.products.size + self.products.shape[1]


@dataclass(frozen=True)
class Network(Law):
    """A small network beside an affine map, of scaled drives ``z = (u - centre) / spread``.

    ``y = scale (A z + W2 silu(W1 z + c1) + c2) + middle`` with ``silu(x) = x / (1 + exp(-x))``.

    Parameters
    ----------
    centre, spread : ndarray of shape (n_inputs,)
    scale, middle : ndarray of shape (channels,)
    affine : ndarray of shape (channels, n_inputs)
    inner : ndarray of shape (hidden, n_inputs)
    inner_offset : ndarray of shape (hidden,)
    outer : ndarray of shape (channels, hidden)
    outer_offset : ndarray of shape (channels,)
    """

    kind = "network"
    dims = {  # noqa: RUF012
        "centre": ("input",),
        "spread": ("input",),
        "scale": ("channel",),
        "middle": ("channel",),
        "affine": ("channel", "input"),
        "inner": ("hidden", "input"),
        "inner_offset": ("hidden",),
        "outer": ("channel", "hidden"),
        "outer_offset": ("channel",),
    }

    centre: Array
    spread: Array
    scale: Array
    middle: Array
    affine: Array
    inner: Array
    inner_offset: Array
    outer: Array
    outer_offset: Array

    def __call__(self, drives: Any) -> Any:  # noqa: D102
        centre, spread, scale, middle, *weights = (
            constant(array, drives) for array in self.arrays().values()
        )
        return scale * self.network((drives - centre) / spread, *weights) + middle

    @staticmethod
    def network(z: Any, affine: Any, inner: Any, c1: Any, outer: Any, c2: Any) -> Any:
        """Return the scaled answers to scaled drives: what training works on."""
        h = z @ inner.T + c1
        h = 0.5 * h * (1 + namespace(h).tanh(0.5 * h))  # silu; no exp that could overflow
        return z @ affine.T + h @ outer.T + c2

    @property
    def multiply_adds(self) -> int:  # noqa: D102
        return self.affine.size + self.inner.size + self.outer.size + len(self.inner)


#: The laws by name, the simplest first.
LAWS: dict[str, type[Law]] = {law.kind: law for law in (Affine, Magnitude, Quadratic, Network)}
