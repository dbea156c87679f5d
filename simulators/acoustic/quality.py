"""How fast modes die away: a quality factor, one for each, a law, or a reverberation time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number
from simulators.acoustic.settings import SETTINGS

__all__ = ["mode_qualities", "quality_of_rt60"]

Array = NDArray[Any]


def quality_of_rt60(rt60: float, frequencies: Array | float) -> Any:
    """Return Q of modes whose energy falls by 60 dB in `rt60` seconds.

    The amplitude falls as ``exp(-pi f t / Q)``, hence ``RT60 = 3 ln(10) Q / (pi f)``, which is
    2.2 Q / f (Kuttruff, Room Acoustics, ch. 3).
    """
    return np.pi * frequencies * rt60 / (3 * math.log(10))


def mode_qualities(
    owner: str,
    quality: Any,
    rt60: float | None,
    frequencies: Array,
    centre: float,
    setting: str,
) -> tuple[Array, float]:
    """Return the quality factor of each mode, and that at the frequency `centre`.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    quality : float, array_like of shape (n_modes,), callable or None
        None takes `rt60`, and if that is None too the setting's.
    rt60 : float or None
        In s.
    frequencies : ndarray of shape (n_modes,)
        In Hz, ascending.
    centre : float
        In Hz; between modes, Q is interpolated.
    setting : str
        Whose default is taken.

    Raises
    ------
    ValueError
        If both are given, the number of values is not that of the modes, or a Q is not above 0.5.
    """
    if rt60 is not None:
        if quality is not None:
            raise ValueError(
                f"{owner}: quality={quality!r} and rt60={rt60!r} say the same; give one of them"
            )
        number(owner, "rt60", rt60, 0.0, above=True)
        quality = quality_of_rt60(rt60, frequencies)
        if (np.asarray(quality) <= 0.5).any():
            raise ValueError(
                f"{owner}: rt60={rt60:g} s makes Q = {np.min(quality):.3g} at "
                f"{frequencies[0]:g} Hz; it must be above 0.5, raise rt60"
            )
        return np.asarray(quality), float(quality_of_rt60(rt60, centre))
    if quality is None:
        quality = SETTINGS[setting]["quality"]
    if callable(quality):
        law, quality = quality, quality(frequencies)
        name = f"quality, the function {getattr(law, '__name__', law)!r},"
    elif np.ndim(quality) == 0:
        value = number(owner, "quality", quality, 0.5, above=True)
        return np.full(len(frequencies), value), value
    else:
        name = "quality"
    try:
        each = np.array(np.broadcast_to(np.asarray(quality, float), frequencies.shape))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner}: {name} has shape {np.shape(quality)}; one number for each of the "
            f"{len(frequencies)} modes is needed"
        ) from error
    bad = ~(np.isfinite(each) & (each > 0.5))
    if bad.any():
        worst = int(np.argmax(bad))
        raise ValueError(
            f"{owner}: {name} is {each[worst]:g} for mode {worst} at {frequencies[worst]:g} Hz; "
            "it must be a finite number above 0.5"
        )
    return each, float(np.interp(centre, frequencies, each))
