"""Analyse a sweep offline: fringes of one pixel behind a scattering medium, and their errors.

The pixel's phase goes once around in steps. Each detector sees its wave interfere with that of
all other pixels, ``y = offset + amplitude cos(phase + shift)``: phase stepping, as in the
measurement of a transmission matrix (Popoff et al., Phys. Rev. Lett. 104, 100601 (2010)).
The cells run one by one in an editor, or all at once as a script.
"""

# %% Measure: on a simulator here; on a bench the same with `device="rig.toml"`.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pnn

config = Path(__file__).with_name("sweep.toml")
path = pnn.sweep(config, out="fringes.h5").path if not Path("fringes.h5").exists() else "fringes.h5"

# %% Open, weeks later: nothing is read before it is used.
run = pnn.open_run(path)
grid = run.grid
print(run)
print(f"\ndims: {dict(grid.answers.sizes)}, drives in {grid.phase.attrs['units']}")

# %% Fit all fringes at once: with phases spread evenly over a turn, a Fourier sum is the fit.
wave = np.exp(-1j * grid.phase)
offset = grid.answers.mean("phase")
fringe = 2 * (grid.answers * wave).mean("phase")  # amplitude exp(i shift)
visibility = abs(fringe) / offset

# %% The error that theory expects of N steps: sigma sqrt(4 / N) for the complex amplitude.
# The truth is the mean at the lowest noise; there, the error is too small by sqrt(2 / 3).
truth = fringe.sel(noise=grid.noise[0]).mean("repeat")
error = np.sqrt((abs(fringe - truth) ** 2).mean(("repeat", "probe", "output")))
theory = grid.noise * np.sqrt(4 / grid.sizes["phase"])
for noise, found, expected in zip(grid.noise.values, error.values, theory.values, strict=True):
    print(f"noise {noise:7.3f}: error of the fringes {found:.4f}, expected {expected:.4f}")

# %% Drift would show as a trend along the order of visiting, which was random.
mean = grid.answers.mean(("probe", "output"))
change = ((mean - mean.mean("repeat")) / grid.noise).values.ravel()
trend = np.corrcoef(grid.order.values.ravel(), change)[0, 1]
print(f"correlation of the answers with the order of visiting: {trend:+.2f}, no drift is 0")

# %% Plot.
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
fine = np.linspace(0, 2 * np.pi, 200)
for output in range(3):
    at = {"noise": 2, "probe": 0, "output": output}
    shown = grid.answers.isel(at)
    (dots,) = left.plot(grid.phase, shown.mean("repeat"), "o", ms=4, label=f"output {output}")
    one = fringe.isel(at).mean("repeat")
    curve = float(offset.isel(at).mean("repeat")) + np.real(complex(one) * np.exp(1j * fine))
    left.plot(fine, curve, color=dots.get_color(), lw=1)
left.set(xlabel="phase of pixel 0 (rad)", ylabel="answer", title="fringes and fits")
left.legend(fontsize="small")
middle.hist(visibility.isel(noise=0).mean("repeat").values.ravel(), bins=30)
middle.set(xlabel="visibility", ylabel="outputs x patterns", title="how much one pixel counts")
right.loglog(grid.noise, error, "o", label="found")
right.loglog(grid.noise, theory, label=r"$\sigma\sqrt{4/N}$")
right.set(xlabel="noise of the answers", ylabel="error of the fringes", title="error and theory")
right.legend()
figure.savefig("fringes.png", dpi=120)
print("written: fringes.png")
run.close()
