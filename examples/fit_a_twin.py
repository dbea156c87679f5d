"""A twin of a cavity: record it, fit a law to the recording, and train through the twin."""

import tempfile
from pathlib import Path

import numpy as np
import torch

import pnn
from devices.recorded_rows import read_rows
from pnn.twin import fit_twin

folder = Path(tempfile.mkdtemp())

# Random drives through the simulated cavity; on a bench this is the part that takes a night.
cavity = pnn.build_device("sim:acoustic-cavity?n_inputs=12&n_outputs=16&seed=1")
with pnn.Recorded(cavity, folder / "cavity.h5") as device:
    device.measure(np.random.default_rng(0).random((1500, 12)))

rows = read_rows(folder / "cavity.h5")
fit = fit_twin(rows.drives, rows.answers, spec=rows.spec)
report = fit.report
for law, r2 in report.validation_r2.items():
    print(f"{law:<10} R2 {r2:.4f} on validation rows")
for law, why in report.left_out.items():
    print(f"{law:<10} left out: {why}")
print(f"chosen: {report.kind}, R2 {report.r2:.4f} on {report.test_rows} rows it has not seen;")
print(f"the best affine map has {report.affine_share:.4f}")
fit.save(folder / "twin.h5")

# From here on the cavity is not needed: the twin is a device like any other ...
random = np.random.default_rng(3)
X = random.random((400, 12))
y = (X[:, :6].sum(axis=1) > X[:, 6:].sum(axis=1)).astype(int)
with pnn.open_device(f"twin?path={folder / 'twin.h5'}") as twin:
    network = pnn.PhysicalClassifier(twin, rule="readout", random_state=0).fit(X[:300], y[:300])
    print(f"trained through the twin: accuracy {network.score(X[300:], y[300:]):.2f}")

# ... and one with derivatives, which the cavity has not.
drives = torch.full((1, 12), 0.5, requires_grad=True)
fit.device.forward(drives).sum().backward()
print("slope of the summed answers:", drives.grad.numpy().round(2)[0])
