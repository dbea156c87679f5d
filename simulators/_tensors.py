"""What a simulator needs to offer derivatives: constants as tensors, and checked tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["constant", "differentiable"]


def constant(array: NDArray[Any], like: Any) -> Any:
    """Return `array` itself, or as a tensor beside the tensor `like`."""
    if isinstance(like, np.ndarray):
        return array
    import torch  # on use: it takes a second to load, and measuring does without

    if isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.copy()  # torch shares memory, and knows no arrays that may not be written
    return torch.as_tensor(array, device=like.device)


def differentiable(owner: str, name: str, values: Any, width: int, ndim: int) -> Any:
    """Return a torch tensor in double precision, checked for its shape.

    Raises
    ------
    ValueError
        If `values` is not a tensor of `ndim` dimensions whose last has the length `width`.
    """
    import torch

    shape = tuple(getattr(values, "shape", ()))
    if not isinstance(values, torch.Tensor) or len(shape) != ndim or shape[-1] != width:
        expected = f"(batch, {width})" if ndim == 2 else f"({width},)"
        raise ValueError(
            f"{owner}: {name} is a {type(values).__name__} of shape {shape}; forward() takes a "
            f"torch tensor of shape {expected}"
        )
    return values.to(torch.float64)
