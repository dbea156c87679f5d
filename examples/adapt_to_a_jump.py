"""A scattering medium moves: what a watched network makes of it, with a tenth of the queries.

The transmission matrix jumps, T -> 0.6 T + 0.8 N with N drawn anew: while the trained network is in
use, and in another training half way through it. In a third one it walks there in small steps, one
after each epoch. PhyLL, physics-aware training and in-silico training meet the same medium, the
same rows and the same N; what differs is the rule.

Watched, the network measures a few probe drives again, and where they have changed a few training
rows, without their labels, and refits what stands behind the medium (docs/drift.md). Rows are in
random order. Test rows are measured after training, and after each change; nothing is learned,
scaled or chosen by them.

    python examples/adapt_to_a_jump.py --quick                  one rule, one seed
    python examples/adapt_to_a_jump.py --seeds 5 --figure adaptation.png
"""

import argparse
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from sklearn.datasets import load_digits

import pnn
from pnn.training import Watch
from simulators import ScatteringMedium

RULES = ("phyll", "physics-aware", "in-silico")
SCENES = ("a jump while in use", "a jump in mid-training", "a slow walk while training")
EPOCHS = 16
KEPT = 0.6  # correlation of the fields before and after
TENTH = 0.0995  # of the training queries, for probes and reactions


class Moves(Watch):
    """Looks on while a network trains, and moves the medium after each epoch."""

    def __init__(self, medium, scene, seed, epochs):
        self.medium, self.scene, self.epochs = medium, scene, epochs
        self.rng, self.over = np.random.default_rng([seed, 1]), 0

    def move(self, kept):
        T = self.medium.transmission_matrix
        other = self.rng.standard_normal((*T.shape, 2)).view(complex)[..., 0]
        size = np.sqrt((1 - kept**2) * np.mean(np.abs(T) ** 2) / 2)
        self.medium.transmission_matrix = kept * T + size * other

    def progress(self, what, done, total):
        if what.startswith("measure"):
            return
        self.over += 1
        if self.scene == SCENES[1] and self.over == self.epochs // 2:
            self.move(KEPT)
        if self.scene == SCENES[2]:
            self.move(KEPT ** (1 / self.epochs))


def train(rule, seed, scene, reactions, epochs=EPOCHS, rows=1437):
    """Train; `reactions` share the tenth, with none the medium is not watched.

    Returns the network, the moves of its medium, and the test rows.
    """
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    kept, test = order[:rows], order[1437:]
    medium = ScatteringMedium(n_inputs=74, n_outputs=196, zero_order=0.25, seed=seed)
    medium.open()
    moves = Moves(medium, scene, seed, epochs)
    # A tenth of what the training asks for: a query for each row and label with PhyLL, for each
    # row in each epoch with physics-aware training, once for each row with in-silico training; for
    # the twins 1000 more.
    n = 0.9 * rows  # the others are for validation
    views = 10 if rule == "phyll" else 1
    original = {"phyll": n * views, "physics-aware": n * (epochs + 1) + 1000, "in-silico": n + 1000}
    # Eight probes: three times at the start, once at a look, three times after a reaction.
    probing = 8 * (3 + 4 + 3 * reactions)
    share = min(1.0, (TENTH * original[rule] - probing) / (n * views)) / max(1, reactions)
    drift = {"every_epochs": epochs // 2, "share": share, "budget": 0.1}
    network = pnn.PhysicalClassifier(
        medium,
        rule,
        scaling="global",
        epochs=epochs,
        patience=epochs,
        drift=drift if reactions else None,
        threads=1,
        random_state=seed,
    )
    network.fit(X[kept], y[kept], watch=moves)
    return network, moves, (X[test], y[test])


def spent(network):
    """Return the queries for training, probes and reactions."""
    queries = network.network_.devices[0].ledger.queries
    return queries["train"] + queries["probe"]


def jump_in_use(rule, seed, **sizes):
    """Return the accuracies at rest, unwatched and watched, and the queries."""
    network, moves, test = train(rule, seed, SCENES[0], 1, **sizes)
    rest, original = network.score(*test), network.network_.devices[0].ledger.queries["train"]
    moves.move(KEPT)
    moved = network.score(*test)
    network.guard_.look()
    return rest, moved, network.score(*test), (spent(network) - original) / original


def compare(rule, seed, **sizes):
    """Return the same for each scene."""
    found = [jump_in_use(rule, seed, **sizes)]
    for scene, reactions in ((SCENES[1], 1), (SCENES[2], 2)):
        alone, _, test = train(rule, seed, scene, 0, **sizes)
        watched, _, test = train(rule, seed, scene, reactions, **sizes)
        more = spent(watched) / spent(alone) - 1
        found.append((found[0][0], alone.score(*test), watched.score(*test), more))
    return found


def show(results):
    """Print a table; `results` are accuracies and queries by rule, (seeds, scenes, 4)."""
    print(f"{'':<28}{'at rest':>15}{'unwatched':>15}{'watched':>15}{'recovered':>22}{'queries':>9}")
    for i, scene in enumerate(SCENES):
        print(scene)
        for rule, found in results.items():
            values = 100 * found[:, i]
            cells = "".join(
                f"{v.mean():>8.1f} +- {v.std(ddof=1) if len(v) > 1 else 0:<3.1f}"
                for v in values[:, :3].T
            )
            loss = values[:, 0] - values[:, 1]
            back = 100 * (values[:, 2] - values[:, 1]) / np.where(loss > 1, loss, np.nan)
            least, most = np.min(back), np.max(back)
            told = f"{back.mean():.1f} % ({least:.1f} .. {most:.1f})"
            print(f"  {rule:<26}{cells}{told:>24}{values[:, 3].mean():>7.1f} %")


def plot(results, path):
    """Draw accuracies, a dot for each seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    states = ("at rest", "unwatched", "watched")
    for i, (scene, axis) in enumerate(zip(SCENES, axes, strict=True)):
        for k, (rule, found) in enumerate(results.items()):
            places = np.arange(3) + 0.22 * (k - 1)
            axis.bar(places, 100 * found[:, i, :3].mean(axis=0), 0.2, label=rule, alpha=0.6)
            for values in 100 * found[:, i, :3]:
                axis.plot(places, values, "k.", markersize=3)
        axis.set(title=scene, xticks=range(3), xticklabels=states, ylim=(0, 100))
    axes[0].set_ylabel("test accuracy (%)")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(results), fontsize="small")
    figure.savefig(path, dpi=120)
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rules", nargs="+", default=RULES, choices=RULES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--figure", help="PNG to write")
    parser.add_argument("--quick", action="store_true", help="PhyLL alone, one seed")
    asked = parser.parse_args()
    rules, seeds = (["phyll"], 1) if asked.quick else (asked.rules, asked.seeds)
    pairs = [(rule, seed) for seed in range(seeds) for rule in rules]
    with ProcessPoolExecutor(asked.jobs) as pool:
        found = []
        for pair, values in zip(pairs, pool.map(compare, *zip(*pairs, strict=True)), strict=True):
            print(f"{pair[0]}, seed {pair[1]}: done", flush=True)
            found.append(values)
    by_rule = {
        rule: np.array([one for one, pair in zip(found, pairs, strict=True) if pair[0] == rule])
        for rule in rules
    }
    show(by_rule)
    if asked.figure:
        plot(by_rule, asked.figure)


if __name__ == "__main__":
    main()
