"""Fitting each law of a twin to rows: what it finds, and what that costs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from calibration import features
from calibration.magnitude_law import could_be_magnitudes, magnitude_map, magnitude_terms
from simulators.twins import LAWS, Affine, Law, Magnitude, Network, Quadratic

__all__ = ["EPOCHS", "HIDDEN", "UnfitError", "check_law", "expected_cost", "fit_law"]

Array = NDArray[np.float64]

#: A law and the multiply-adds that were spent on it.
Fit = tuple[Law, int]

HIDDEN = 64  # units of a network
EPOCHS = 100  # its passes over the rows

_RATE = 1e-2  # of Adam, at its highest
_BATCHES = (32, 128)  # rows of a step: fewer where there are few, so that there are enough steps


class UnfitError(ValueError):
    """A law that cannot be fitted to these rows: they are too few, or not of its kind."""


def fit_law(
    kind: str,
    drives: Array,
    channels: Array,
    *,
    start: Law | None = None,
    seed: int = 0,
    hidden: int = HIDDEN,
    epochs: int = EPOCHS,
) -> Fit:
    """Fit a law to drives, (rows, n_inputs), and real channels, (rows, n_channels).

    Parameters
    ----------
    start : Law, optional
        An earlier fit of the same kind and widths, to begin with: a network then trains for a
        tenth of the epochs, and a magnitude law needs few rows.
    seed, hidden, epochs
        Of a network: its start and order of rows, its width, passes over the rows.

    Raises
    ------
    UnfitError
        If the law cannot be fitted; the message says why, and how many rows would do.
    """
    if start is not None and start.kind != kind:
        raise ValueError(f"fit_law: a law of the kind {start.kind} is no start for one of {kind}")
    check_law(kind, drives, channels, warm=start is not None)
    match kind:
        case "affine":
            return _affine(drives, channels)
        case "magnitude":
            return _magnitude(drives, channels, start)
        case "quadratic":
            return _polynomial(drives, channels, 2)
        case "network":
            return _network(drives, channels, start, seed, hidden, epochs)
    raise ValueError(f"fit_law: kind={kind!r} is not one of {', '.join(LAWS)}")


def check_law(kind: str, drives: Array, channels: Array, *, warm: bool = False) -> None:
    """Raise `UnfitError` if a law cannot be fitted to these rows."""
    rows, n = drives.shape
    terms = {"quadratic": (n + 1) * (n + 2) // 2, "magnitude": magnitude_terms(n, warm=warm)}
    least = 2 * terms.get(kind, n + 1)
    if kind == "magnitude" and not could_be_magnitudes(channels):
        raise UnfitError("some answers are negative, or complex, which magnitudes are not")
    if rows < least:
        raise UnfitError(
            f"{rows} rows are too few for the {kind} law of {n} inputs: twice as many as its "
            f"{least // 2} terms are needed, {least}"
        )


def expected_cost(
    kind: str, rows: int, n_inputs: int, n_channels: int, *, hidden: int, epochs: int, **_: int
) -> float:
    """Return about how many multiply-adds a fit takes."""
    products = (n_inputs + 1) * (n_inputs + 2) / 2
    if kind == "network":
        weights = n_inputs * (n_channels + hidden) + hidden * n_channels
        return 3.0 * weights * rows * epochs
    if kind == "magnitude":
        refining = 40 * (2 * n_inputs + 2) ** 2 * n_channels
        return rows * (products * (products + n_channels) + refining)
    terms = n_inputs + 1 if kind == "affine" else products
    return rows * terms * (terms + n_channels) + terms**3


def _affine(drives: Array, channels: Array) -> tuple[Affine, int]:
    law, spent = _polynomial(drives, channels, 1)
    matrix = law.linear / law.spread
    return Affine(matrix, law.offset - matrix @ law.centre), spent


def _polynomial(drives: Array, channels: Array, degree: int) -> tuple[Quadratic, int]:
    """Fit a polynomial by least squares, and write it in the powers of scaled drives."""
    rows, n = drives.shape
    basis = features.Quadratic.learned(drives, degree)
    weights, offset = basis.fit(drives, channels)
    kind = ("affine", "quadratic")[degree - 1]
    spent = int(expected_cost(kind, rows, n, channels.shape[1], hidden=0, epochs=0))
    linear, products = weights[:n].T.copy(), np.zeros((channels.shape[1], n * (n + 1) // 2))
    if degree == 2:
        # The basis has (z^2 - 1 - skew z) / square for each input, then the products i < j.
        squares = weights[n : 2 * n].T / basis.square
        i, j = np.triu_indices(n)
        products[:, i == j], products[:, i != j] = squares, weights[2 * n :].T
        linear -= basis.skew * squares
        offset = offset - squares.sum(axis=1)
    spread = np.where(np.isfinite(basis.spread), basis.spread, 1.0)
    linear[:, ~np.isfinite(basis.spread)] = 0.0
    return Quadratic(basis.mean, spread, offset, linear, products), spent


def _magnitude(drives: Array, channels: Array, start: Law | None) -> Fit:
    begin = None
    if isinstance(start, Magnitude):
        begin = start.real + 1j * start.imag, start.offset_real + 1j * start.offset_imag
    matrix, offset, spent = magnitude_map(drives, channels, begin)
    return Magnitude(matrix.real.copy(), matrix.imag.copy(), offset.real, offset.imag), spent


def _network(
    drives: Array, channels: Array, start: Law | None, seed: int, hidden: int, epochs: int
) -> Fit:
    """Train the network on scaled answers by Adam with decoupled decay, one rise and fall of rate.

    It begins as the affine map, so that it can hardly be worse than that.
    """
    random = torch.Generator().manual_seed(seed)
    spent = 0
    if isinstance(start, Network):
        begin = start
        epochs = max(1, epochs // 10)
    else:
        affine, spent = _affine(drives, channels)
        begin = _beginning(affine, drives, channels, hidden, random)
    x = torch.as_tensor((drives - begin.centre) / begin.spread)
    y = torch.as_tensor((channels - begin.middle) / begin.scale)
    names = ("affine", "inner", "inner_offset", "outer", "outer_offset")
    weights = [torch.tensor(getattr(begin, name), requires_grad=True) for name in names]
    size = int(np.clip(len(x) // 20, *_BATCHES))
    steps = epochs * -(-len(x) // size)
    rate = _RATE if start is None else 0.3 * _RATE
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=random)
        for batch in torch.split(order, size):
            missed = Network.network(x[batch], *weights) - y[batch]
            optimiser.zero_grad()
            (missed**2).mean().backward()
            optimiser.step()
            schedule.step()
    arrays = begin.arrays() | {
        name: weight.detach().numpy() for name, weight in zip(names, weights, strict=True)
    }
    law = Network(**arrays)
    # Forwards once, backwards twice: for the weights and for the layer before.
    return law, spent + 3 * law.multiply_adds * len(x) * epochs


def _beginning(
    affine: Affine, drives: Array, channels: Array, hidden: int, random: torch.Generator
) -> Network:
    """Return a network that is the affine map, with hidden units that wait for training."""
    n, m = drives.shape[1], channels.shape[1]
    centre, spread = drives.mean(axis=0), drives.std(axis=0)
    spread = np.where(spread > 1e-12 * np.abs(centre), spread, 1.0)
    # One scale for all channels of an answer: what is loud counts, as in the pooled R2.
    scale = np.full(m, channels.std(axis=0).max() or 1.0)
    middle = channels.mean(axis=0)
    return Network(
        centre=centre,
        spread=spread,
        scale=scale,
        middle=middle,
        affine=affine.matrix * spread / scale[:, None],
        inner=_normal((hidden, n), random) / n**0.5,
        inner_offset=0.5 * _normal((hidden,), random),
        outer=np.zeros((m, hidden)),
        outer_offset=(affine(centre[None])[0] - middle) / scale,
    )


def _normal(shape: tuple[int, ...], random: torch.Generator) -> Array:
    return torch.randn(shape, generator=random, dtype=torch.float64).numpy()
