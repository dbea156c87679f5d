"""Scattering medium, detection included, against the bare complex matrix product, in one run.

The bare product is NumPy's ``light @ T.T`` of complex fields that are there already; the device
starts from drives (phases), checks them, modulates, multiplies and squares. The project asks for
80 % of the bare product's rows per second (ideal, intensities). The camera's cost is beside it.

    python benchmarks/bench_scattering.py --threads 1
"""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits
from timing import seconds

from simulators import ScatteringMedium


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--rows", type=int, default=2000)
    given = parser.parse_args()
    print(f"{given.threads} thread(s), {given.rows} rows, best of {given.repeats}, rows/s")
    print("precision  inputs  outputs  bare product    ideal  ratio  measured-like     rich")
    for precision in ("single", "double"):
        for n_inputs, n_outputs in ((64, 1024), (256, 1024), (784, 1024)):
            kinds = {"n_inputs": n_inputs, "n_outputs": n_outputs, "precision": precision}
            devices = [
                ScatteringMedium(**kinds, ideal=True),
                ScatteringMedium(**kinds),
                ScatteringMedium(**kinds, setting="rich"),
            ]
            drives = np.random.default_rng(0).uniform(0, np.pi, (given.rows, n_inputs))
            matrix = np.ascontiguousarray(devices[0].transmission_matrix.T)
            light = np.exp(1j * drives).astype(matrix.dtype)
            works = [lambda a=light, b=matrix: a @ b]
            works += [lambda d=device, u=drives: d.measure(u) for device in devices]
            for device in devices:
                device.open()
            with threadpool_limits(given.threads):
                rates = [given.rows / s for s in seconds(works, given.repeats)]
            for device in devices:
                device.close()
            print(
                f"{precision:9s}  {n_inputs:6d}  {n_outputs:7d}  {rates[0]:12.0f}  {rates[1]:7.0f}"
                f"  {rates[1] / rates[0]:5.2f}  {rates[2]:13.0f}  {rates[3]:7.0f}"
            )


if __name__ == "__main__":
    main()
