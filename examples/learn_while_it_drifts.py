"""A readout that goes on learning while the gains of its device walk away.

A simulated scattering medium is driven with handwritten digits. Three readouts are learned by
recursive least squares from one pass over the training rows, while the medium stands still. Then
the gain of each output begins to walk at random, and a stream of training rows goes on:

* frozen: learns nothing more;
* remembering: goes on learning and forgets nothing;
* following: goes on learning and forgets what lies more than 1,000 rows back.

All three stand behind the same medium at the same time. Their accuracy is that of held-out rows,
measured afresh after every block of the stream, from which none of them learns.

    python examples/learn_while_it_drifts.py drift.png --seeds 5
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import pnn
from devices import Drifting
from simulators import ScatteringMedium

BLOCK, PASSES = 500, 10
FORGETTING = {"frozen": 1.0, "remembering": 1.0, "following": 0.999}


def stream(seed: int, spread: float) -> np.ndarray:
    """Return the accuracy of each readout after each block, (blocks + 1, 3)."""
    X, y = load_digits(return_X_y=True)
    random = np.random.default_rng(seed)
    order = random.permutation(len(X))
    train, test = order[:1500], order[1500:]
    medium = ScatteringMedium(n_inputs=64, n_outputs=256, zero_order=0.25, seed=seed)
    drifting = Drifting(medium, rate=0.0, seed=seed)  # it stands still at first
    with drifting:
        networks = {
            name: pnn.PhysicalClassifier(
                drifting, "streaming", rule_options={"forgetting": rate}, random_state=seed
            ).partial_fit(X[train], y[train], classes=np.arange(10))
            for name, rate in FORGETTING.items()
        }
        scores = [[network.score(X[test], y[test]) for network in networks.values()]]
        blocks = [random.permutation(train).reshape(-1, BLOCK) for _ in range(PASSES)]
        driven = len(np.vstack(blocks)) * (2 * BLOCK + len(networks) * len(test))
        drifting.rate = spread / np.sqrt(driven)
        for rows in np.vstack(blocks):
            for name in ("remembering", "following"):
                networks[name].partial_fit(X[rows], y[rows])
            scores.append([network.score(X[test], y[test]) for network in networks.values()])
    return np.array(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="drift.png")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--spread", type=float, default=1.5, help="of the gains at the end")
    asked = parser.parse_args()
    scores = 100 * np.array([stream(seed, asked.spread) for seed in range(asked.seeds)])
    mean, deviation = scores.mean(axis=0), scores.std(axis=0, ddof=asked.seeds > 1)
    print(f"{'':<14}{'still':>8}{'half way':>16}{'at the end':>16}")
    for k, name in enumerate(FORGETTING):
        half, end = len(mean) // 2, len(mean) - 1
        told = [f"{mean[i, k]:.1f} +- {deviation[i, k]:.1f} %" for i in (half, end)]
        print(f"{name:<14}{mean[0, k]:>6.1f} %{told[0]:>16}{told[1]:>16}")
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    rows = BLOCK * np.arange(len(mean))
    for k, name in enumerate(FORGETTING):
        axes.plot(rows, mean[:, k], label=name)
        low, high = mean[:, k] - deviation[:, k], mean[:, k] + deviation[:, k]
        axes.fill_between(rows, low, high, alpha=0.2)
    axes.set(
        xlabel="rows of the stream since the drift began",
        ylabel="accuracy on held-out rows (%)",
        title="Gains that walk, readouts that follow or not",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(asked.output, dpi=110)
    print(f"wrote {asked.output}")


if __name__ == "__main__":
    main()
