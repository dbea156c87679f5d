"""PhyLL on vowels through a twin of a recorded acoustic cavity: measured once, or joint.

The twin is the magnitude law fitted to a recording of drives and answers (two CSV files of 20
columns each, one row per drive). Vowels of Peterson and Barney, women, seven vowels, split by
speaker. Both schedules run on the same splits in one go.

    python benchmarks/vowels_schedules.py FOLDER [--splits 30] [--layers 2]

FOLDER holds `drives.csv` and `answers.csv`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np

from pnn import PhysicalClassifier
from pnn.controls import fit_linear
from pnn.data import load, split
from pnn.twin import fit_twin

EPOCHS = {"layerwise": 200, "joint": 200}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=30)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    options = parser.parse_args()
    drives, answers = (
        np.loadtxt(options.folder / f"{name}.csv", delimiter=",") for name in ("drives", "answers")
    )
    twin = fit_twin(drives, answers, kind="magnitude", outside="allow")
    print(f"twin: {twin.report.kind}, held-out R2 {twin.report.r2:.4f}")
    data = load("vowels", sex="women", vowels=7)
    bound = None
    scores: dict[str, list[float]] = {"linear": []}
    queries: dict[str, list[int]] = {}
    seconds: dict[str, float] = {}
    for seed in range(options.splits):
        train, test = split(data, seed, 0.2)
        X, y = data.X[train], data.y[train]
        model = fit_linear(X, y, X, y, regression=False)
        scores["linear"].append(model.score(data.X[test], data.y[test]))
        for schedule, epochs in EPOCHS.items():
            began = time.perf_counter()
            estimator = PhysicalClassifier(
                twin.device,
                "phyll",
                layers=options.layers,
                width=options.width,
                schedule=schedule,
                epochs=epochs,
                validation=0.0,
                random_state=seed,
                threads=1,
            )
            before = twin.device.ledger.queries["train"]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                estimator.fit(X, y)
            spent = twin.device.ledger.queries["train"] - before
            queries.setdefault(schedule, []).append(spent)
            scores.setdefault(schedule, []).append(estimator.score(data.X[test], data.y[test]))
            seconds[schedule] = seconds.get(schedule, 0.0) + time.perf_counter() - began
            bound = len(X) * len(data.classes) * options.layers
            if schedule == "layerwise" and spent > bound:
                raise SystemExit(f"{spent} queries are more than {bound}")
    n = options.splits
    print(f"{'':10}  accuracy %  std error  training queries  s per split   ({n} splits)")
    for name, values in scores.items():
        found = 100 * np.array(values)
        error = found.std(ddof=1) / n**0.5
        spent = f"{np.mean(queries[name]):16.0f}" if name in queries else " " * 16
        pace = f"{seconds[name] / n:11.2f}" if name in seconds else ""
        print(f"{name:10}  {found.mean():10.2f}  {error:9.2f}  {spent}  {pace}")
    gap = 100 * (np.array(scores["layerwise"]) - np.array(scores["joint"]))
    error = gap.std(ddof=1) / n**0.5
    print(f"layerwise - joint: {gap.mean():+.2f} +- {error:.2f} (standard error, paired)")
    print(f"bound rows x classes x layers: {bound}")


if __name__ == "__main__":
    main()
