"""Solitons of order 1 and 2, and a shaped pulse, in a Kerr fibre.

python examples/soliton.py soliton.png
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from simulators import KerrFibre


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="soliton.png")
    output = parser.parse_args().output

    some = np.random.default_rng(0).uniform(size=64)
    panels = {
        "N = 1 keeps its shape": (1.0, np.ones(64)),
        "N = 2 revives at pi / 2": (4.0, np.ones(64)),
        "N = 2, random spectral amplitudes": (4.0, some),
    }
    figure, axes = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
    for panel, (title, (power, drive)) in zip(axes, panels.items(), strict=True):
        fibre = KerrFibre(power=power, length=np.pi, span=8.0, n_samples=2048, n_steps=600)
        fibre.picture(drive).plot(panel)
        panel.set(title=title, xlim=(-6, 6), aspect="auto")
    figure.savefig(output, dpi=110)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
