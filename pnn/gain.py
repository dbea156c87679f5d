"""What a device adds over a control: a paired difference with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

__all__ = ["Gain", "gain", "gain_in_time"]

CONFIDENCE = 0.95

#: Blocks that the test steps of a sequence are cut into: 10 to 30 give a sound interval of a mean
#: over steps that depend on each other (Schmeiser, Operations Research 30, 556 (1982)).
BLOCKS = 20


@dataclass(frozen=True)
class Gain:
    """Score of the device minus score of a control, with its 95 % interval.

    Attributes
    ----------
    mean, low, high : float
    paired_over : {"seeds", "test rows", "blocks of test steps"}
        What the interval comes from: several seeds, the rows of the only split, or stretches of a
        sequence, whose test steps are the same for all seeds.
    """

    mean: float
    low: float
    high: float
    paired_over: str


def gain(device: NDArray[Any], control: NDArray[Any], paired_over: str) -> Gain:
    """Return the mean difference of paired values with its t interval.

    Parameters
    ----------
    device, control : ndarray of shape (pairs,) or (repeats, pairs)
        Two or more pairs. With repeats, such as seeds on the same test steps, the variances of the
        mean over pairs and over repeats are added, with the degrees of freedom of their sum
        (Satterthwaite, Biometrics Bulletin 2, 110 (1946)).
    paired_over : str
        What a pair is.
    """
    difference = np.atleast_2d(np.asarray(device, float) - control)
    mean = float(difference.mean())
    means = [m for m in (difference.mean(axis=0), difference.mean(axis=1)) if len(m) > 1]
    variances = [float(m.var(ddof=1)) / len(m) for m in means]
    freedom = sum(v**2 / (len(m) - 1) for v, m in zip(variances, means, strict=True))
    if not freedom:
        return Gain(mean, mean, mean, paired_over)
    t = student.ppf(0.5 + CONFIDENCE / 2, sum(variances) ** 2 / freedom)
    reach = float(t * sum(variances) ** 0.5)
    return Gain(mean, mean - reach, mean + reach, paired_over)


def gain_in_time(device: NDArray[Any], control: NDArray[Any]) -> Gain:
    """Return the mean difference over the test steps of a sequence, which all seeds share.

    Seeds repeat the rule there, and not the data; steps beside each other are much alike.

    Parameters
    ----------
    device, control : ndarray of shape (seeds, steps)
        Merits.
    """
    difference = np.asarray(device, float) - control
    n_steps = difference.shape[1]
    n = min(BLOCKS, n_steps)
    starts = np.arange(n) * n_steps // n
    blocks = np.add.reduceat(difference, starts, axis=1) * (n / n_steps)
    return gain(blocks, np.zeros_like(blocks), "blocks of test steps")
