"""Numbers that sum up the answers at a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from devices.function import load_function
from pnn.config import ConfigError

__all__ = ["METRICS", "Metric", "metrics_of"]

#: Takes drives, (probe, input), and answers, (probe, output), and returns a number.
Metric = Callable[[NDArray[Any], NDArray[Any]], float]


def mean(drives: NDArray[Any], answers: NDArray[Any]) -> float:
    """Mean of the answers, of their magnitudes where they are complex."""
    return float(np.mean(np.abs(answers) if answers.dtype.kind == "c" else answers))


def rms(drives: NDArray[Any], answers: NDArray[Any]) -> float:
    """Root mean square of the answers."""
    return float(np.sqrt(np.mean(np.abs(answers) ** 2)))


def peak(drives: NDArray[Any], answers: NDArray[Any]) -> float:
    """Largest magnitude of an answer."""
    return float(np.max(np.abs(answers)))


def spread(drives: NDArray[Any], answers: NDArray[Any]) -> float:
    """How much the drives move the answers: standard deviation over drives, rms over outputs."""
    return float(np.sqrt(np.mean(np.var(answers, axis=0))))


#: In the unit of the answers.
METRICS: dict[str, Metric] = {"mean": mean, "rms": rms, "peak": peak, "spread": spread}


def metrics_of(names: Sequence[str], functions: Mapping[str, Metric]) -> dict[str, Metric]:
    """Find the function of each metric; those of files are called as the function in there.

    Raises
    ------
    ConfigError
        If there is no such metric, or a file has no such function.
    """
    found: dict[str, Metric] = {}
    for name in names:
        label = name.rpartition(":")[2]
        if label in found:
            raise ConfigError(f"metrics: two are called {label}")
        if name in functions:
            found[label] = functions[name]
        elif ":" in name:
            try:
                found[label] = cast(Metric, load_function(name))
            except (OSError, ValueError, ImportError, SyntaxError) as error:
                raise ConfigError(f"metrics: {name}: {error}") from error
        elif name in METRICS:
            found[label] = METRICS[name]
        else:
            raise ConfigError(
                f"metrics: there is no {name!r}; known: {', '.join(METRICS)}, file.py:function"
            )
    return found
