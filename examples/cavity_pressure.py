"""The pressure in an acoustic cavity: by its modes and on a grid, in both settings.

python examples/cavity_pressure.py cavity.png
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from simulators import AcousticCavity, AcousticGrid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="cavity.png")
    output = parser.parse_args().output

    drive = np.random.default_rng(0).uniform(0, 1, 64)
    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    for column, model in zip(axes.T, (AcousticCavity, AcousticGrid), strict=True):
        for axis, setting in zip(column, ("measured-like", "rich"), strict=True):
            model(setting=setting).picture(drive, time=0.05).plot(axis)
            axis.set_title(f"{model.__name__}, {setting}, after 50 ms")
    figure.savefig(output, dpi=110)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
