"""The two figures of a setting: how affine a device is, and how many directions it uses."""

import numpy as np


def figures(device, train, test, seed=0):
    """Return the held-out affine R2, pooled, and the participation ratio over n_outputs.

    Uniform legal drives. The ratio is of the standardised outputs' covariance over all rows; with
    R rows it cannot come out above R, and is biased to the low side.
    """
    random, spec = np.random.default_rng(seed), device.spec
    unit = random.random((train + test, spec.n_inputs))
    if spec.domain == "bits":
        unit = np.round(unit)
    low, high = spec.limits
    drives = low + unit * (high - low)
    with device:
        answers = device.measure(drives).astype(float)
    inputs = np.hstack([drives, np.ones((len(drives), 1))])
    fit = np.linalg.lstsq(inputs[:train], answers[:train], rcond=None)[0]
    held = answers[train:]
    r2 = 1 - ((held - inputs[train:] @ fit) ** 2).sum() / ((held - held.mean(0)) ** 2).sum()
    standard = (answers - answers.mean(0)) / answers.std(0)
    squared = np.linalg.svd(standard, compute_uv=False) ** 2
    return r2, squared.sum() ** 2 / (squared**2).sum() / spec.n_outputs
