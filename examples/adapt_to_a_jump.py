"""The medium changes while a trained network is in use: what a tenth of the queries mends.

For each rule and seed, a network is trained through a simulated scattering medium. Then the medium
jumps: the gains of all outputs change, and each output takes over a part of another. A tenth of the
training rows, drawn at random, is measured again, and the readout is realigned with it. Beside that
stands training anew on this tenth alone. In a second use, the gains walk slowly, and a drift guard
realigns when its probes say so.

Row orders are random; accuracies are those of test rows measured afresh after training and after
each change; nothing is learned or scaled from them.

    python examples/adapt_to_a_jump.py --rules readout mono-forward phyll --seeds 5
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import pnn
from calibration import DriftWatch
from devices import Cached, Drifting, Jumping
from pnn.adaptation import Adapter
from pnn.drift_guard import DriftGuard
from simulators import ScatteringMedium

SHARE = 0.09  # of the training rows; early stopping has taken a tenth of them away
SMALL = 0.04  # for a walk, which is mended again and again
ROUNDS = 3  # of all test rows, while the gains walk
PARTS = 8  # of a round; the guard looks after each
SPREAD = 0.5  # of the gains at the end of the walk


class Bench:
    """A trained network on a medium that can be made to jump and to walk."""

    def __init__(self, rule, seed, share=SHARE, gain=0.5, mixing=0.6):
        rows, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(rows))
        train, test = order[:1437], order[1437:]
        self.rule, self.seed = rule, seed
        self.X, self.y, self.test = rows[train], labels[train], (rows[test], labels[test])
        self.views = 10 if pnn.PhysicalClassifier(rule=rule).make_rule().hypotheses else 1
        labelled = 10 if self.views > 1 else 0
        medium = ScatteringMedium(n_inputs=64 + labelled, n_outputs=256, zero_order=0.25, seed=seed)
        # The walk stands still, and the jump is far away, until they are wanted.
        self.walking = Drifting(medium, rate=0.0, seed=seed)
        self.jumping = Jumping(self.walking, after=10**9, gain=gain, mixing=mixing, seed=seed)
        self.device = Cached(self.jumping).open()
        self.network = self.trained(self.X, self.y)
        self.original = self.device.ledger.queries["train"]
        # Behind the cache, rows that training has measured are not measured again.
        self.adapter = Adapter(self.network, self.X, self.y, share=share, seed=seed)

    def trained(self, X, y):
        network = pnn.PhysicalClassifier(self.device, self.rule, threads=1, random_state=self.seed)
        return network.fit(X, y)

    def score(self):
        return self.network.score(*self.test)


def jump(rule, seed, gain, mixing):
    """Return accuracies, and the share of the original training queries that mending took."""
    bench = Bench(rule, seed, gain=gain, mixing=mixing)
    with bench.device:
        before = bench.score()
        bench.jumping.after = 0
        bench.device.clear()
        jumped = bench.score()
        share = bench.adapter.realign().queries / bench.original
        realigned = retrained = bench.score()
        if bench.adapter.can_retrain:
            bench.adapter.retrain()
            retrained = bench.score()
        few = bench.adapter.rows
        anew = bench.trained(bench.X[few], bench.y[few]).score(*bench.test)
    recovered = (realigned - jumped) / (before - jumped)
    return before, jumped, realigned, recovered, retrained, anew, share


def walk(rule, seed, guarded):
    """Return the accuracy in the last round, and the share of queries spent on mending."""
    bench = Bench(rule, seed, SMALL)
    parts = np.array_split(np.arange(len(bench.test[0])), PARTS)
    with bench.device:
        watch = DriftWatch(bench.device, tolerance=0.15)
        refit = {"refit": lambda report: bench.adapter.realign().agreement > 0}
        guard = DriftGuard(watch, refit if guarded else {})
        spent = bench.adapter.queries
        bench.walking.rate = SPREAD / np.sqrt(ROUNDS * len(bench.test[0]) * bench.views)
        scores = []
        for part in parts * ROUNDS:
            scores.append(bench.network.score(bench.test[0][part], bench.test[1][part]))
            guard.look()
        return np.mean(scores[-PARTS:]), (bench.adapter.queries - spent) / bench.original


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rules", nargs="+", default=["readout", "mono-forward"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--gain", type=float, default=0.5, help="of the jump, see devices.Jumping")
    parser.add_argument("--mixing", type=float, default=0.6)
    parser.add_argument("--no-walk", action="store_true")
    asked = parser.parse_args()
    heads = ("before", "jumped", "mended", "recovered", "retrained", "anew", "queries")
    print(f"{'a jump':<16}" + "".join(f"{head:>12}" for head in heads))
    for rule in asked.rules:
        found = 100 * np.array(
            [jump(rule, seed, asked.gain, asked.mixing) for seed in range(asked.seeds)]
        )
        print(f"{rule:<16}" + "".join(f"{value:>10.1f} %" for value in found.mean(axis=0)))
        cost = found[:, 0] - found[:, 1]
        print(
            f"{'':<16}the jump costs {cost.min():.0f} to {cost.max():.0f} points, "
            f"{found[:, 3].min():.1f} to {found[:, 3].max():.1f} % of them are recovered"
        )
    if asked.no_walk:
        return
    print(f"\n{'a slow walk':<16}{'alone':>12}{'guarded':>12}{'queries':>12}")
    for rule in asked.rules:
        alone = np.mean([walk(rule, seed, False)[0] for seed in range(asked.seeds)])
        guarded, spent = np.mean([walk(rule, s, True) for s in range(asked.seeds)], axis=0)
        print(f"{rule:<16}" + "".join(f"{100 * v:>10.1f} %" for v in (alone, guarded, spent)))


if __name__ == "__main__":
    main()
