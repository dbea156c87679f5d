"""How fast a device changes, in queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.decorrelation import at_lags, correlations, decorrelation, overlap
from calibration.movement import must_move
from calibration.nonlinearity import uniform_drives
from calibration.procedure import Procedure, quantity
from calibration.repeats import no_memory
from devices import Device, DeviceSpec
from devices.checks import whole

__all__ = ["Drift", "DriftResult", "drift_of"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class DriftResult:
    """Change of the answers to a fixed set of drives.

    Attributes
    ----------
    lag_queries : ndarray of shape (lags,)
        Rows driven between two measurements of the set.
    correlation : ndarray of shape (lags,)
        Pearson correlation of the answers, corrected for noise: 1 without drift; nan where the
        drives move the answers less than the noise does.
    relative_change : ndarray of shape (lags,)
        Mean square change over mean square answer, the noise taken out.
    rate_per_sqrt_query : float
        Of a random walk: the rms relative change after m rows is ``rate sqrt(m)``.
    rate_error : float
        Standard error of the rate, from the scatter between outputs.
    decorrelation_queries : float
        Rows until the correlation has fallen to 1/e, extrapolated exponentially; inf, not known,
        where the fall is not beyond its error.
    decorrelation_error_queries : float
        Its standard error, from the scatter between outputs and that between probes, whichever
        is larger; nan where it is not known.
    noise_share : float
        Noise of one answer, variance over mean square answer.
    """

    lag_queries: Array = field(metadata=quantity("lag", unit="query"))
    correlation: Array = field(metadata=quantity("lag"))
    relative_change: Array = field(metadata=quantity("lag"))
    rate_per_sqrt_query: float = field(metadata=quantity())
    rate_error: float = field(metadata=quantity(residual=True))
    decorrelation_queries: float = field(metadata=quantity(unit="query"))
    decorrelation_error_queries: float = field(metadata=quantity(unit="query", residual=True))
    noise_share: float = field(metadata=quantity(residual=True))


@dataclass(frozen=True, kw_only=True)
class Drift(Procedure[DriftResult]):
    """Measure a fixed set of drives again and again, each drive twice in a row.

    Parameters
    ----------
    probes : int
        Different drives in the set.
    rounds : int
        How often the set is measured.
    between : int
        Rows of other drives between two rounds; on a bench they stand for the time of training.
    seed : int
        Of all drives.
    """

    kind: ClassVar[str] = "drift"
    needs: ClassVar[tuple[str, ...]] = ("settling", "noise")
    probes: int = 8
    rounds: int = 24
    between: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        whole("Drift", "probes", self.probes, 2)
        whole("Drift", "rounds", self.rounds, 3)
        whole("Drift", "between", self.between, 0)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device with memory."""
        no_memory("Drift", spec)

    def queries(self, spec: DeviceSpec) -> int:
        """Two for each probe in each round, and the rows between."""
        return 2 * self.probes * self.rounds + self.between * (self.rounds - 1)

    def _run(self, device: Device) -> DriftResult:
        probes = uniform_drives(device, self.probes, self.seed)
        other = uniform_drives(device, max(1, self.between), self.seed + 1)
        doubled = np.repeat(probes, 2, axis=0)
        rounds = []
        for k in range(self.rounds):
            if k and self.between:
                device.measure(other[: self.between], purpose="calibration")
            answers = device.measure(doubled, purpose="calibration")
            rounds.append(answers.reshape(self.probes, 2, -1).swapaxes(0, 1))
        return drift_of(np.stack(rounds), 2 * self.probes + self.between)


def drift_of(rounds: Array, spacing: int) -> DriftResult:
    """Return the drift in repeated answers to a fixed set of drives.

    The two answers in a row, a and b, have the same drift and independent noise, so that
    ``<(a_k - a_j) (b_k - b_j)>`` is the square of the change alone, and the correlation
    ``r(a_k, b_j) / sqrt(r(a_k, b_k) r(a_j, b_j))`` is that of the signal (Spearman's correction
    for attenuation). The rate is the slope of the change over the lags,
    each weighted by how well it is known.

    Parameters
    ----------
    rounds : ndarray of shape (rounds, 2, probes, n_outputs)
    spacing : int
        Rows driven from one round to the next.

    Raises
    ------
    ValueError
        If the shape is another, no answer moves, or all of them are noise.
    """
    rounds = np.asarray(rounds)
    if rounds.ndim != 4 or rounds.shape[1] != 2 or len(rounds) < 3 or rounds.shape[2] < 2:
        raise ValueError(
            f"drift_of: rounds has shape {rounds.shape}, it must be (rounds, 2, probes, n_outputs) "
            "with at least 3 rounds and 2 probes"
        )
    must_move("drift_of", rounds)
    a, b = rounds[:, 0], rounds[:, 1]
    n = len(rounds)
    power = np.mean((a.conj() * b).real, axis=(0, 1))  # of each output, without noise
    if not power.max() > 0:
        raise ValueError("drift_of: the answers have no signal above their noise")
    heard = power > 1e-3 * power.max()
    power = power[heard]
    a, b = a[..., heard], b[..., heard]
    changes = np.array(
        [
            np.mean(((a[m:] - a[:-m]).conj() * (b[m:] - b[:-m])).real, axis=(0, 1))
            for m in range(1, n)
        ]
    )
    # Relative to the answers at the start: an output that has walked away is no measure.
    early = max(1, n // 8)
    start = np.mean((a[:early].conj() * b[:early]).real, axis=(0, 1))
    relative = changes / np.maximum(start, power / 10)
    centre = rounds[..., heard].mean(axis=(0, 1, 2))
    x, y = ((part - centre) / np.sqrt(power) for part in (a, b))
    lags = spacing * np.arange(1, n)
    noise = float(np.mean(np.mean(np.abs(a - b) ** 2, axis=(0, 1)) / 2 / power))
    slopes = _slopes(relative, lags, noise, rounds.shape[2])
    slope = float(slopes.mean())
    error = float(slopes.std(ddof=1) / np.sqrt(len(slopes))) if len(slopes) > 1 else np.nan
    rate = np.sqrt(max(slope, 0.0))
    rows, rows_error = decorrelation(lags, x, y)
    return DriftResult(
        lag_queries=lags,
        correlation=at_lags(correlations(overlap(x, y))),
        relative_change=relative.mean(axis=1),
        rate_per_sqrt_query=float(rate),
        rate_error=error / (2 * rate) if rate > 0 else np.nan,
        decorrelation_queries=rows,
        decorrelation_error_queries=rows_error,
        noise_share=noise,
    )


def _slopes(relative: Array, lags: Array, noise: float, probes: int) -> Array:
    """Return the growth of the relative change per row, of each output.

    A weighted mean over lags. The squared change of a walk after m steps of n scatters by itself
    times ``sqrt(4 m / 3 (n - m))``, that of the noise by ``2 noise / sqrt(probes (n - m))``. The
    weights need the slope, for which long lags make a start.
    """
    n = len(lags) + 1
    m = np.arange(1.0, n)
    slopes = relative[-1] / lags[-1] if n < 4 else (relative / lags[:, None])[n // 4 : n // 2 + 1]
    slope = max(float(np.mean(slopes)), 1e-300)
    scatter = (slope * lags) ** 2 * 4 * m / 3 / (n - m) + 4 * noise**2 / probes / (n - m)
    weights = lags / np.maximum(scatter, 1e-300)
    found: Array = weights @ relative / (weights @ lags)
    return found
