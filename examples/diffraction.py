"""A diffractive stack learns to send its light to one detector; what the camera sees.

python examples/diffraction.py diffraction.png
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from simulators import DiffractiveStack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="diffraction.png")
    output = parser.parse_args().output
    stack = DiffractiveStack(n_inputs=16, n_outputs=9, layer_pixels=64, ideal=True)
    drive = np.random.default_rng(0).random(16)
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    stack.picture(drive).plot(axes[0]).set_title("Random layers")
    phases = torch.from_numpy(stack.parameters).requires_grad_()
    optimiser = torch.optim.Adam([phases], lr=0.2)
    for _ in range(60):  # by gradients, which a simulator has; a bench would be perturbed
        optimiser.zero_grad()
        (-stack.forward(torch.from_numpy(drive)[None], phases)[0, 2]).backward()
        optimiser.step()
    stack.program(phases.detach().numpy() % (2 * np.pi))
    stack.picture(drive).plot(axes[1]).set_title("Layers after 60 gradient steps for detector 2")
    figure.savefig(output, dpi=110)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
