"""Train through a Python function as the black box: 20 lines, no hardware."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import pnn

wires = np.random.default_rng(1).normal(size=(64, 300)) / 8


def box(drives):
    """Any code that answers rows of drives with rows of numbers, at a bench for instance."""
    return np.tanh(drives @ wires) ** 2


X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
with pnn.FunctionDevice(box, n_inputs=64, n_outputs=300) as device:
    network = pnn.PhysicalClassifier(device, rule="mono-forward", scaling="global", random_state=0)
    network.fit(X_train, y_train)
    print(f"accuracy {network.score(X_test, y_test):.3f}, queries {dict(device.ledger.queries)}")
