"""The training that the scripts beside this file share: it knows nothing of what it trains."""

from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import pnn

HERE = Path(__file__).parent


def train(device, name):
    """Train on 400 handwritten digits through any device, test on 200, print the accuracy."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=400, test_size=200, stratify=y, random_state=0
    )
    network = pnn.PhysicalClassifier(device, rule="readout", scaling="global", random_state=0)
    network.fit(X_train, y_train)
    accuracy = network.score(X_test, y_test)
    print(f"{name}: accuracy {accuracy:.3f}, queries {dict(device.ledger.queries)}")
    return accuracy
