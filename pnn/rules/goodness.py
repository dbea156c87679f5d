"""How well a layer likes what it sees, and losses that contrast two such numbers.

A goodness takes the layer's weights and activities a, (rows, width), and returns g, (rows,), with
dg/da, (rows, width). A loss takes the goodness of positives and negatives and returns the loss of
each pair with its derivatives by both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import softplus

from pnn.layer import Weights

__all__ = ["GOODNESS", "THRESHOLDS", "contrast", "cosine", "threshold", "unit_vector"]

Sloped = tuple[torch.Tensor, torch.Tensor]
Loss = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def mean_square(weights: Weights, a: torch.Tensor) -> Sloped:
    """Return the mean of a^2."""
    return a.square().mean(dim=1), 2 * a / a.shape[1]


def sum_of_squares(weights: Weights, a: torch.Tensor) -> Sloped:
    """Return the sum of a^2 (Hinton, arXiv:2212.13345)."""
    return a.square().sum(dim=1), 2 * a


def top_k(weights: Weights, a: torch.Tensor) -> Sloped:
    """Return the mean of the largest tenth of a^2: it asks for few strong units."""
    k = max(1, a.shape[1] // 10)
    largest, where = a.square().topk(k, dim=1)
    slope = torch.zeros_like(a).scatter(1, where, 2 * a.gather(1, where) / k)
    return largest.mean(dim=1), slope


def cosine(weights: Weights, a: torch.Tensor) -> Sloped:
    """Return the cosine of a and the layer's fixed unit vector p (Momeni et al., 2023)."""
    length = a.norm(dim=1, keepdim=True).clamp_min(1e-12)
    g = (a @ weights["p"])[:, None] / length
    return g[:, 0], (weights["p"] - g * a / length) / length


def unit_vector(width: int, generator: torch.Generator) -> torch.Tensor:
    """Return a random direction, (width,), for `cosine`."""
    p = torch.randn(width, generator=generator)
    return p / p.norm()


#: Goodness by name.
GOODNESS: dict[str, Callable[[Weights, torch.Tensor], Sloped]] = {
    "mean": mean_square,
    "sum": sum_of_squares,
    "top-k": top_k,
    "cosine": cosine,
}

#: Thresholds that suit them; that of the sum is 2 for each of 256 units.
THRESHOLDS = {"mean": 2.0, "sum": 512.0, "top-k": 8.0, "cosine": 0.3}


def threshold(theta: float, positive: torch.Tensor, negative: torch.Tensor) -> Loss:
    """Return softplus(theta - g+) + softplus(g- - theta) and its derivatives."""
    low, high = theta - positive, negative - theta
    return (
        softplus(low) + softplus(high),
        -torch.sigmoid(low).expand_as(negative),
        torch.sigmoid(high),
    )


def contrast(theta: float, positive: torch.Tensor, negative: torch.Tensor) -> Loss:
    """Return softplus(-theta (g+ - g-)) and its derivatives."""
    x = -theta * (positive - negative)
    slope = theta * torch.sigmoid(x)
    return softplus(x), -slope, slope
