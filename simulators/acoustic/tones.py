"""Multitone signals: which bins of the window the tones take, and with which phases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole

__all__ = ["GRIDS", "band_limits", "band_room", "fit_tones", "newman_phases", "tone_bins"]

Array = NDArray[Any]

#: How tones may be spaced; see `tone_bins`.
GRIDS = ("uniform", "odd", "sparse")

_LONGEST_WINDOW = 2**18  # samples, that n_window=None may choose


def newman_phases(n: int) -> Array:
    """Return the phases ``pi i^2 / n`` in rad, (n,): a crest factor near 1.8 for equal tones.

    Zero phases give sqrt(2 n), 6.3 for 20 tones (Boyd, IEEE Trans. Circuits Syst. 33, 1018, 1986).
    """
    return np.pi * np.arange(n) ** 2 / n


def band_limits(owner: str, band: Any, name: str = "band") -> tuple[float, float]:
    """Return two frequencies in Hz, 0 < lowest < highest, or raise `ValueError`."""
    try:
        low, high = band
        number(owner, name, low, 0.0, above=True)
        number(owner, name, high, low, above=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner}: {name}={band!r} must be two frequencies in Hz, 0 < lowest < highest"
        ) from error
    return float(low), float(high)


def band_room(band: tuple[float, float], bin_hz: float) -> tuple[int, int]:
    """Return the first and the last bin in the band."""
    return math.ceil(band[0] / bin_hz - 1e-9), math.floor(band[1] / bin_hz + 1e-9)


def tone_bins(n: int, first: int, last: int, grid: str = "uniform") -> Array | None:
    """Return n bins from `first` to `last`, ascending, or None where there is no room.

    ``uniform``: evenly spread. ``odd``: evenly spread over odd bins, so that every product of
    even order (2 f_i, f_i + f_j, f_i - f_j) falls between the tones (Pintelon and Schoukens,
    System Identification, ch. 4). ``sparse``: odd bins no two pairs of which have the same
    distance (a Sidon set, found greedily), none the sum of three others, so that products of the
    third order (2 f_i - f_j, f_i + f_j - f_k, f_i + f_j + f_k) stay away from the tones as well,
    but for those that belong to their own tone (f_i + f_j - f_j).
    """
    if grid == "sparse":
        return _sparse(n, first, last)
    if grid == "odd":
        first, last = first // 2, (last - 1) // 2
    if last - first + 1 < n:
        return None
    even = np.round(np.linspace(first, last, n)).astype(int)
    return 2 * even + 1 if grid == "odd" else even


def _sparse(n: int, first: int, last: int) -> Array | None:
    chosen: list[int] = []
    distances: set[int] = set()
    triples: set[int] = set()  # sums of three chosen bins, as far as the band reaches
    for bin_ in range(first | 1, last + 1, 2):
        new = {bin_ - other for other in chosen}
        if new & distances or bin_ in triples:
            continue
        chosen.append(bin_)
        if len(chosen) == n:
            return np.array(chosen)
        distances |= new
        triples |= {a + b + bin_ for a in chosen for b in chosen if a <= b and a + b + bin_ <= last}
    return None


def fit_tones(
    owner: str,
    n: int,
    band: tuple[float, float],
    sample_rate: float,
    n_window: int | None,
    *,
    grid: str = "uniform",
    shortest: int = 1024,
) -> tuple[Array, int]:
    """Return the bins of n tones, and the length of the window in samples.

    Parameters
    ----------
    owner : str
        Who asks, for the message.
    n : int
        Tones.
    band : (float, float)
        In Hz.
    sample_rate : float
        In Hz.
    n_window : int or None
        None doubles `shortest` until the tones fit.
    grid : {"uniform", "odd", "sparse"}
        See `tone_bins`.
    shortest : int
        Window to begin with, in samples.

    Raises
    ------
    ValueError
        If the tones do not fit.
    """
    length = shortest if n_window is None else whole(owner, "n_window", n_window, 4)
    while True:
        first, last = band_room(band, sample_rate / length)
        bins = tone_bins(n, first, last, grid)
        if bins is not None:
            return bins, length
        if n_window is not None or 2 * length > _LONGEST_WINDOW:
            raise ValueError(
                f"{owner}: n_inputs={n} tones do not fit into band={band!r} Hz, which has "
                f"{max(0, last - first + 1)} bins of {sample_rate / length:.4g} Hz in a window of "
                f"{length} samples, with grid={grid!r}; widen the band, raise n_window or choose "
                "a denser grid"
            )
        length *= 2
