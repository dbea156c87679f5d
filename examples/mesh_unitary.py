"""A Haar-random unitary in a Mach-Zehnder mesh: light inside, and what imperfections do.

python examples/mesh_unitary.py mesh.png
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import unitary_group

from simulators import InterferometerMesh


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="mesh.png")
    output = parser.parse_args().output

    wanted = unitary_group.rvs(16, random_state=0)
    errors = np.geomspace(1e-3, 0.2, 12)
    figure, (light, error) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    ideal = InterferometerMesh(n_inputs=16, matrix=wanted, ideal=True)
    print(f"ideal mesh: largest error {np.abs(ideal.matrix - wanted).max():.1e}")
    ideal.picture().plot(light)
    for name in ("splitting_error", "crosstalk"):
        off = dict.fromkeys(("splitting_error", "crosstalk", "loss_db"), 0.0)
        meshes = [InterferometerMesh(n_inputs=16, matrix=wanted, **off | {name: e}) for e in errors]
        rms = [np.linalg.norm(mesh.matrix - wanted) / 4 for mesh in meshes]
        error.loglog(errors, rms, "o-", label=name)
    error.set(xlabel="splitting error (rad) or cross-talk", ylabel="relative error of the matrix")
    error.legend()
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main()
