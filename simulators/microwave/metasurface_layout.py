"""Where the dipoles of a metasurface cavity stand, given or drawn."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from devices.checks import number, whole
from simulators.microwave.irregular_cavity import IrregularCavity

__all__ = ["Layout", "frequency_grid", "lay_out"]

Array = NDArray[Any]

_LEAST_DISTANCE = 0.05  # dipoles nearer than this are no small scatterers to each other any more
_LEAST_WALLS = 40


class Layout(NamedTuple):
    """Positions, each of shape (count, 2), in the order of the interaction matrix."""

    transmitters: Array
    receivers: Array
    walls: Array
    elements: Array


def lay_out(
    owner: str,
    transmitters: int | ArrayLike,
    receivers: int | ArrayLike,
    walls: int | ArrayLike,
    elements: ArrayLike | None,
    n_elements: int,
    seed: np.random.SeedSequence,
) -> Layout:
    """Return the positions of a cavity: those given, and the others drawn.

    More antennas, of the same seed, only add to those of fewer receivers.

    Raises
    ------
    ValueError
        If an argument is out of its range, there is no room, or two dipoles are too near.
    """
    fence, first, second = (np.random.default_rng(part) for part in seed.spawn(3))
    if isinstance(walls, (int, np.integer)):
        cavity = IrregularCavity(whole(owner, "walls", walls, _LEAST_WALLS), fence)
        walls = cavity.walls
        elements = cavity.elements(n_elements) if elements is None else elements
    else:
        cavity = None
        walls = _places(owner, "walls", walls, 0)
        if elements is None:
            raise ValueError(
                f"{owner}: elements=None must be positions of shape ({n_elements}, 2) where walls "
                "are positions"
            )
    elements = _places(owner, "elements", elements, 1)
    if len(elements) != n_elements:
        raise ValueError(
            f"{owner}: elements has {len(elements)} positions; n_inputs and n_programmable ask "
            f"for {n_elements}"
        )
    taken = np.concatenate([walls, elements])
    antennas = []
    for name, value, random in (
        ("transmitters", transmitters, first),
        ("receivers", receivers, second),
    ):
        if isinstance(value, (int, np.integer)):
            count = whole(owner, name, value, 1)
            if cavity is None:
                raise ValueError(
                    f"{owner}: {name}={value!r} must be positions of shape (count, 2) where walls "
                    "are positions"
                )
            found = cavity.antennas(count, taken, random)
            if found is None:
                raise ValueError(
                    f"{owner}: {name}={value!r} do not fit into a cavity of walls={len(walls)}; "
                    "give more walls, fewer antennas, or positions"
                )
        else:
            found = _places(owner, name, value, 1)
        antennas.append(found)
        taken = np.concatenate([taken, found])
    layout = Layout(antennas[0], antennas[1], walls, elements)
    nearest = pdist(np.concatenate(layout)).min()
    if nearest < _LEAST_DISTANCE:
        raise ValueError(
            f"{owner}: two dipoles are {nearest:.3g} apart; at least {_LEAST_DISTANCE} is needed. "
            "Move them, or give a random cavity more walls or fewer elements"
        )
    return layout


def frequency_grid(
    owner: str, frequencies: ArrayLike | None, band: Any, n_outputs: int | None, n_pairs: int
) -> tuple[Array, int]:
    """Return the frequencies and the number of outputs.

    Raises
    ------
    ValueError
        If an argument is out of its range, or they contradict each other.
    """
    if n_outputs is not None:
        whole(owner, "n_outputs", n_outputs, 1)
    if frequencies is None:
        try:
            low, high = (number(owner, "band", edge, 0.0, above=True) for edge in band)
            if low >= high:
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(
                f"{owner}: band={band!r} must be two frequencies, 0 < lowest < highest"
            ) from None
        outputs = 128 if n_outputs is None else n_outputs
        count = -(-outputs // n_pairs)
        return np.linspace(low, high, count) if count > 1 else np.array([(low + high) / 2]), outputs
    try:
        grid = np.atleast_1d(np.asarray(frequencies, float))
    except (TypeError, ValueError):
        grid = np.empty(0)
    if grid.ndim != 1 or not len(grid) or not (np.isfinite(grid) & (grid > 0)).all():
        raise ValueError(f"{owner}: frequencies={frequencies!r} must be finite numbers above 0")
    outputs = len(grid) * n_pairs if n_outputs is None else n_outputs
    if -(-outputs // n_pairs) != len(grid):
        raise ValueError(
            f"{owner}: n_outputs={n_outputs} must be {(len(grid) - 1) * n_pairs + 1} to "
            f"{len(grid) * n_pairs}, for {len(grid)} frequencies of {n_pairs} antenna pairs"
        )
    return grid, outputs


def _places(owner: str, name: str, value: ArrayLike, least: int) -> Array:
    try:
        given: Array = np.asarray(value, float)
    except (TypeError, ValueError):
        given = np.full(1, np.nan)
    if given.size == 0 and least == 0:
        return np.empty((0, 2))
    if given.ndim != 2 or given.shape[1] != 2 or len(given) < least or not np.isfinite(given).all():
        what = "a whole number, or " if name in ("transmitters", "receivers", "walls") else ""
        raise ValueError(
            f"{owner}: {name}={value!r} must be {what}finite positions of shape (count, 2)"
        )
    return given
