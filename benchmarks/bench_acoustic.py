"""Acoustic simulators against independent code, in one run.

Modal cavity against SciPy's DOP853 at a relative tolerance of 1e-3, on the default cavity: a
batch of rows against rows solved one by one. Finite differences against one time step of
wavetorch's `WaveCell` on the same grid and batch, in single precision; the cell has no rigid
walls, sources or probes, only its update, so that the comparison favours it. The project asks
for 80 times DOP853, and for 10 times the cell with numba and 2 times without.

    python benchmarks/bench_acoustic.py --threads 1
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from threadpoolctl import threadpool_limits

from simulators import AcousticCavity
from simulators.acoustic.finite_differences import WaveGrid
from simulators.acoustic.finite_differences_numba import has_numba
from simulators.acoustic.patches import patch_weights

SHAPE, SPACING, SPEED, BATCH, STEPS = (64, 64), 0.025, 343.0, 16, 400
STEP = 0.6 * SPACING / SPEED


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def dop853(cavity: AcousticCavity, drive: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function that solves the cavity's equations, from its public numbers only."""
    w = 2 * np.pi * cavity.mode_frequencies
    damping, stiffness, n = w / cavity.mode_qualities, w**2, len(w)
    force = cavity.gain * cavity.mode_shapes(cavity.speakers)[0]
    places = cavity.mode_shapes(cavity.scatterers)
    back = cavity.coupling * places.T
    a = cavity.quadratic / cavity.reference_pressure
    b = cavity.cubic / cavity.reference_pressure**2
    phase = np.pi * np.arange(len(drive)) ** 2 / len(drive)
    turning = 2 * np.pi * cavity.tone_frequencies

    def slope(t: float, state: np.ndarray) -> np.ndarray:
        q, v = state[:n], state[n:]
        p = places @ q
        played = drive @ np.cos(turning * t + phase)
        push = force * played - back @ ((a + b * p) * p * p)
        return np.concatenate([v, push - damping * v - stiffness * q])

    times = np.arange(cavity.n_settle, cavity.n_settle + cavity.n_window) / cavity.sample_rate
    hear = cavity.mode_shapes(cavity.microphones)

    def run() -> np.ndarray:
        solved = solve_ivp(
            slope, (0, times[-1]), np.zeros(2 * n), "DOP853", times, rtol=1e-3, atol=1e-3
        )
        spectrum = np.abs(np.fft.rfft(hear @ solved.y[:n])) * 2 / cavity.n_window
        bins = np.round(cavity.output_frequencies * cavity.n_window / cavity.sample_rate)
        return spectrum[cavity.output_microphones, bins.astype(int)]

    return run


def modal(rows: int) -> None:
    drives = np.random.default_rng(0).uniform(0, 1, (rows, 64))
    with AcousticCavity(ideal=True) as cavity:
        slow = dop853(cavity, drives[0])
        error = np.std(slow() - cavity.measure(drives[:1])[0]) / np.std(slow())
        reference = seconds(slow, 1)
        batch, single = (
            seconds(lambda d=d: cavity.measure(d)) / len(d) for d in (drives, drives[:1])
        )
    print(f"modal cavity: DOP853 at 1e-3 {reference:.3g} s per row, difference {error:.1e}")
    for name, taken in ((f"in a batch of {rows}", batch), ("a single row", single)):
        print(f"  {name}: {taken:.3g} s per row, {reference / taken:.0f} times faster")


def wave_cell() -> tuple[Callable[[], Any], str]:
    """Return wavetorch's cell, or where it is not installed its update written in torch."""
    shape = torch.zeros(BATCH, *SHAPE)
    speeds, damping = torch.full(SHAPE, SPEED), torch.full(SHAPE, 50.0)
    spec = importlib.util.find_spec("wavetorch")
    if spec is not None and spec.submodule_search_locations:
        # Its package imports a function that scikit-image has dropped; the cell needs none of it.
        package = types.ModuleType("wavetorch")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["wavetorch"] = package
        cell_module = importlib.import_module("wavetorch.cell")
        geometry = types.SimpleNamespace(b=damping, cmax=SPEED, h=torch.tensor(SPACING))
        cell, name = cell_module.WaveCell(STEP, geometry), "wavetorch's cell"
    else:
        kernel = torch.tensor([[[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]]])
        name = "the update of wavetorch's cell, written in torch (wavetorch is not installed)"

        def cell(now: Any, old: Any, c: Any, rho: Any) -> tuple[Any, Any]:
            lap = torch.nn.functional.conv2d(now[:, None], kernel / SPACING**2, padding=1)[:, 0]
            new = (STEP**-2 + damping / STEP).pow(-1) * (
                2 / STEP**2 * now - (STEP**-2 - damping / STEP) * old + c.pow(2) * lap
            )
            return new, now

    def run() -> Any:
        now, old = shape.clone(), shape.clone()
        now[:, 30, 30] = 1.0
        with torch.no_grad():
            for _ in range(STEPS):
                now, old = cell(now, old, speeds, shape)
        return now

    return run, name


def ours(numba: bool) -> Callable[[], Any]:
    places = SPACING * np.array([[30.5, 30.5], [12.5, 50.5]])
    points = patch_weights(places, SHAPE, SPACING, 0.0)
    grid = WaveGrid(
        speed=SPEED,
        spacing=SPACING,
        step=STEP,
        damping=np.full(SHAPE, 50.0),
        drive=points[:1],
        react=points[:0],
        hear=points[1:],
        gain=1.0,
        strength=0.0,
        quadratic=0.0,
        cubic=0.0,
        precision="single",
        numba=numba,
    )
    played = np.zeros((STEPS, 1, BATCH))
    played[0] = 1.0
    size = grid.block
    return lambda: [grid.run(played[..., k : k + size], STEPS) for k in range(0, BATCH, size)]


def finite_differences() -> None:
    cell, name = wave_cell()
    updates = BATCH * STEPS * SHAPE[0] * SHAPE[1]
    reference = seconds(cell)
    print(
        f"finite differences, {SHAPE[0]} x {SHAPE[1]} cells, {BATCH} rows, single precision: "
        f"{name} {reference / updates * 1e9:.2f} ns per cell and step"
    )
    for numba in (False, True):
        if numba and not has_numba():
            print("  numba is not installed: not measured")
            continue
        taken = seconds(ours(numba))
        print(
            f"  with {'numba' if numba else 'NumPy'}: {taken / updates * 1e9:.2f} ns, "
            f"{reference / taken:.1f} times faster"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, default=480)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        print(f"{arguments.threads} thread(s)")
        modal(arguments.rows)
        finite_differences()


if __name__ == "__main__":
    main()
