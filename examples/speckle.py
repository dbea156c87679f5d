"""Speckle behind a scattering medium and behind a multimode fibre, and a focus through one.

python examples/speckle.py speckle.png
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from simulators import MultimodeFibre, ScatteringMedium


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="speckle.png")
    output = parser.parse_args().output

    medium = ScatteringMedium(n_inputs=256, phase_range=2 * np.pi)
    fibre = MultimodeFibre(n_outputs=4096, encoding="phase")
    drive = np.random.default_rng(0).uniform(0, np.pi, 256)
    focus = np.angle(medium.transmission_matrix[528].conj()) % (2 * np.pi)
    figure, axes = plt.subplots(1, 3, figsize=(16, 5), layout="constrained")
    medium.picture(drive).plot(axes[0]).set_title("Scattering medium, random phases")
    medium.picture(focus).plot(axes[1]).set_title("Phases conjugated for pixel 528")
    fibre.picture(drive[:64]).plot(axes[2]).set_title("Multimode fibre, random phases")
    figure.savefig(output, dpi=110)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
