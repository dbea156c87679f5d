"""Devices that the tests name in configurations."""

import numpy as np
import pytest
from black_boxes import Box

from devices import FunctionDevice, registry


def identity(n_inputs):
    return FunctionDevice(lambda drives: drives.copy(), n_inputs, n_inputs, name="identity")


def affine(n_inputs, n_outputs=24):
    matrix = np.random.default_rng(5).standard_normal((n_inputs, n_outputs))
    return FunctionDevice(lambda drives: drives @ matrix - 3, n_inputs, n_outputs, name="affine")


def noise(n_inputs, n_outputs=24):
    random = np.random.default_rng(6)
    return FunctionDevice(
        lambda drives: random.standard_normal((len(drives), n_outputs)),
        n_inputs,
        n_outputs,
        name="noise",
    )


def waves(n_inputs, n_outputs=64):
    """Of real benefit: sines of random projections."""
    random = np.random.default_rng(7)
    matrix, phase = 4 * random.standard_normal((n_inputs, n_outputs)), random.uniform(0, 6, 64)
    return FunctionDevice(
        lambda drives: np.sin(drives @ matrix + phase), n_inputs, n_outputs, name="waves"
    )


@pytest.fixture(scope="module")
def named_devices():
    """Let the devices above be named, and return the boxes made meanwhile."""
    before = dict(registry._registered)
    for device in (Box, identity, affine, noise, waves):
        registry._registered[f"test:{device.__name__.lower()}"] = device
    Box.made.clear()
    yield Box.made
    registry._registered.clear()
    registry._registered.update(before)
    Box.made.clear()
