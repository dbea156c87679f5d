"""Time series to be followed by a device with memory: NARMA-10, Mackey-Glass, waveforms.

A row is a step, in the order of time. The first rows of each part are not scored: the device is
still forgetting where it began.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pnn.data.dataset import Dataset

__all__ = ["mackey_glass", "narma10", "waveforms"]

WASHOUT = 100


def narma10(*, rows: int = 3000, seed: int = 0) -> Dataset:
    """Return the tenth-order nonlinear moving average (Atiya & Parlos, IEEE TNN 11, 697 (2000)).

    With x uniform on [0, 0.5],

        y(t+1) = 0.3 y(t) + 0.05 y(t) sum_{i=0..9} y(t-i) + 1.5 x(t-9) x(t) + 0.1,

    and the target of the step with input x(t) is y(t+1): ten steps back must be remembered, and
    two of them multiplied. A series that runs away is drawn again.

    Parameters
    ----------
    rows : int
        Steps, 500 or more.
    seed : int
        Of the inputs.
    """
    _enough("narma10", rows)
    rng = np.random.default_rng(seed)
    for _ in range(100):
        x = rng.uniform(0, 0.5, rows + 10)
        y = np.zeros(rows + 11)
        for t in range(9, rows + 10):
            past = y[t - 9 : t + 1]
            y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * past.sum() + 1.5 * x[t - 9] * x[t] + 0.1
            if y[t + 1] > 1e3:
                break
        else:
            return _series("narma10", x[10:, None], y[11:], f"NARMA-10, {rows} steps, seed {seed}")
    raise ValueError(f"narma10: no series of {rows} steps stays finite; ask for fewer")


def mackey_glass(
    *, rows: int = 3000, horizon: int = 1, tau: float = 17.0, seed: int = 0
) -> Dataset:
    """Return the prediction of a Mackey-Glass series (Science 197, 287 (1977)).

        x'(t) = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t),

    solved by Heun's method with a step of 0.1 and sampled at every unit of time; the target of a
    step is the value `horizon` steps later. Chaotic for tau = 17.

    Parameters
    ----------
    rows, horizon : int
        Steps, and how far ahead.
    tau : float
        Delay, a multiple of 0.1.
    seed : int
        Of the history at the start.
    """
    _enough("mackey-glass", rows)
    if isinstance(horizon, bool) or horizon < 1:
        raise ValueError(f"mackey-glass: horizon={horizon!r} must be a whole number of at least 1")
    step, every = 0.1, 10
    lag = round(tau / step)
    if lag < 1 or abs(lag * step - tau) > 1e-9:
        raise ValueError(f"mackey-glass: tau={tau!r} must be a multiple of {step} above 0")
    skipped = 1000 * every
    n = skipped + (rows + horizon) * every
    x = np.empty(lag + n + 1)
    x[: lag + 1] = 1.2 + 0.1 * np.random.default_rng(seed).uniform(-1, 1, lag + 1)

    def slope(value: float, late: float) -> float:
        return 0.2 * late / (1 + late**10) - 0.1 * value

    for t in range(lag, lag + n):
        k1 = slope(x[t], x[t - lag])
        k2 = slope(x[t] + step * k1, x[t - lag + 1])
        x[t + 1] = x[t] + step / 2 * (k1 + k2)
    sampled = x[lag + 1 + skipped :: every][: rows + horizon]
    about = f"Mackey-Glass, tau {tau:g}, {rows} steps, {horizon} ahead, seed {seed}"
    return _series("mackey-glass", sampled[:rows, None], sampled[horizon:], about)


def waveforms(*, rows: int = 3000, period: int = 12, noise: float = 0.05, seed: int = 0) -> Dataset:
    """Return sines and squares in random order, one label for every step.

    The task that optoelectronic reservoirs were first shown on (Paquot et al., Scientific Reports
    2, 287 (2012)): which of the two is this step a part of? Single values do not tell.

    Parameters
    ----------
    rows : int
        Steps.
    period : int
        Steps of one period of either wave.
    noise : float
        Standard deviation of normal noise on the waves, which go from -1 to 1.
    seed : int
        Of the order and the noise.
    """
    _enough("waveforms", rows)
    if isinstance(period, bool) or period < 4:
        raise ValueError(f"waveforms: period={period!r} must be a whole number of at least 4")
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=-(-rows // period))
    phase = 2 * np.pi * (np.arange(period) + 0.5) / period
    shapes = np.stack([np.sin(phase), np.sign(np.sin(phase))])
    x = shapes[labels].ravel()[:rows] + noise * rng.standard_normal(rows)
    return Dataset(
        name="waveforms",
        X=x[:, None],
        y=np.repeat(labels, period)[:rows],
        classes=("sine", "square"),
        washout=WASHOUT,
        source=f"sines and squares of {period} steps, {rows} steps, seed {seed}",
    )


def _series(name: str, X: NDArray[np.float64], y: NDArray[np.float64], source: str) -> Dataset:
    return Dataset(name=name, X=X, y=y, task="regression", washout=WASHOUT, source=source)


def _enough(name: str, rows: int) -> None:
    if isinstance(rows, bool) or rows < 5 * WASHOUT:
        raise ValueError(f"{name}: rows={rows!r} must be a whole number of at least {5 * WASHOUT}")
