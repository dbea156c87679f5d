"""What a programmable metasurface does to a microwave cavity: channels and field.

python examples/metasurface_channel.py metasurface.png
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from simulators import MetasurfaceCavity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="metasurface.png")
    output = parser.parse_args().output

    bits = np.random.default_rng(0).integers(0, 2, (3, 64))
    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    for row, setting in zip(axes, ("measured-like", "rich"), strict=True):
        cavity = MetasurfaceCavity(setting=setting)
        cavity.picture("channel", bits, points=201).plot(row[0])
        row[0].set_title(f"{setting}: channel under three configurations")
        cavity.picture("field", bits, frequency=1.0, points=220).plot(row[1])
        row[1].set_title(f"{setting}: field under the first")
    figure.savefig(output, dpi=110)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
