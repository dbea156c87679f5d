"""Metasurface cavity against the naive solution of the whole system, in one run.

200 fixed dipoles (6 antennas and 194 of the walls), 64 elements, 10 frequencies. Naive: the
interaction matrix of each frequency is made once, then each configuration changes 64 entries of
its diagonal and the system of 264 is solved with NumPy. The project asks for 20 times that in
double and 60 times in single precision.

    python benchmarks/bench_metasurface.py --threads 1
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from simulators.microwave.dipoles import channel, self_interaction
from simulators.microwave.metasurface_cavity import MetasurfaceCavity

N_INPUTS, N_WALLS, FREQUENCIES = 64, 194, np.linspace(0.9, 1.1, 10)
NAIVE_ROWS, ROWS = 8, 1000


def seconds(work: Callable[[], Any], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def naive(cavity: MetasurfaceCavity, drives: np.ndarray, dtype: Any) -> Callable[[], np.ndarray]:
    """Return a function that solves all the dipoles for all drives, row by row."""
    matrices = [cavity.matrix(drives[0], f).astype(dtype) for f in FREQUENCIES]
    # As the device does it: resonances 1 (on) and 5 (off), or 1 + 0.1 (1 - x).
    reach = 4.0 if cavity.spec.domain == "bits" else 0.1
    loss = 0.8  # of the measured-like setting
    own = self_interaction(FREQUENCIES[:, None, None], 1.0 + reach * (1 - drives), 0.5, loss)
    diagonal = np.arange(len(matrices[0]) - N_INPUTS, len(matrices[0]))

    def run() -> np.ndarray:
        answers = np.empty((len(drives), len(FREQUENCIES), 4, 2), dtype)
        for f, matrix in enumerate(matrices):
            for row in range(len(drives)):
                matrix[diagonal, diagonal] = own[f, row]
                answers[row, f] = channel(matrix, [2, 3, 4, 5], [0, 1])
        return answers

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    random = np.random.default_rng(0)
    print(f"{threads} thread(s); microseconds per row of {len(FREQUENCIES)} frequencies")
    print("drives      precision   naive   reduced   ratio   ratio to naive double   error")
    with threadpool_limits(threads):
        for encoding in ("bits", "continuous"):
            drives = random.uniform(size=(ROWS, N_INPUTS))
            drives = np.round(drives) if encoding == "bits" else drives
            double = None
            for precision, dtype in (("double", complex), ("single", np.complex64)):
                cavity = MetasurfaceCavity(
                    walls=N_WALLS, frequencies=FREQUENCIES, encoding=encoding, precision=precision
                )
                whole = naive(cavity, drives[:NAIVE_ROWS], dtype)
                slow = seconds(whole, 3) / NAIVE_ROWS
                fast = seconds(lambda c=cavity, d=drives: c.channels(d), 5) / ROWS
                double = double or (slow, whole())
                error = np.abs(cavity.channels(drives[:NAIVE_ROWS]) - double[1]).max()
                error /= np.abs(double[1]).max()
                print(
                    f"{encoding:<11} {precision:<9} {slow * 1e6:7.0f} {fast * 1e6:9.1f} "
                    f"{slow / fast:7.0f} {double[0] / fast:23.0f} {error:7.0e}"
                )


if __name__ == "__main__":
    main()
