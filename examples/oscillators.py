"""Pendula that pass a swing on, a bent Duffing resonance, and the memory of a delay line.

python examples/oscillators.py oscillators.png
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from simulators import DelayLineReservoir, DuffingNetwork, PendulumNetwork


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="oscillators.png")
    figure, axes = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
    chain = 0.3 * (np.eye(16, k=1) + np.eye(16, k=-1))
    PendulumNetwork(n_inputs=16, n_outputs=16, couplings=chain).picture().plot(axes[0])
    for force in (0.02, 0.1, 0.3):
        tuned = np.linspace(0.7, 1.6, 46)
        one = {"n_inputs": 1, "n_outputs": 1, "force": force, "spread": 0.0, "ideal": True}
        seen = []
        for w in tuned:
            with DuffingNetwork(frequency=w, **one) as oscillator:
                seen.append(oscillator.measure([[force]])[0, 0] / force)
        axes[1].plot(tuned, seen, label=f"force {force}")
    axes[1].set(title="Duffing resonance", xlabel="frequency", ylabel="amplitude / force")
    axes[1].legend()
    line = DelayLineReservoir(n_inputs=12, n_outputs=600, n_steps=12, feedback=0.9)
    line.picture(np.eye(12)[2]).plot(axes[2])
    for panel in axes:
        panel.set_aspect("auto")
    output = parser.parse_args().output
    figure.savefig(output, dpi=110)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
