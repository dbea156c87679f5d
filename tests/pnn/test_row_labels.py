"""Every recorded row says for which layer and in which pass it was measured."""

import numpy as np
import pytest
from black_boxes import Box, digits

import pnn
from devices.measurement import PURPOSES

DATA = digits()
ROWS, EPOCHS, CHECK = 60, 4, 2

pytestmark = [
    pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning"),
    pytest.mark.filterwarnings("ignore:rule 'dfa' is for devices"),
]


def labelled(path, rule, **parameters):
    """Train two layers with a record; return {(purpose, layer, pass): rows}."""
    settings = {
        "layers": 2, "width": 8, "adapter": "project", "epochs": EPOCHS, "batch_size": 16,
        "check_every": CHECK, "validation": 0.25, "random_state": 0,
    }  # fmt: skip
    with pnn.Recorded(Box(), path) as device:
        fitted = pnn.PhysicalClassifier(device, rule, **settings | parameters)
        fitted.fit(DATA.X[:ROWS], DATA.y[:ROWS]).predict(DATA.X[:5])
    with pnn.open_run(path) as run:
        rows = run.dataset("/")
    names = np.array(PURPOSES)[rows.purpose.values]
    keys, counts = np.unique(
        np.column_stack([names, rows.layer.values, rows.epoch.values]), axis=0, return_counts=True
    )
    return {
        (purpose, int(layer), int(epoch)): n
        for (purpose, layer, epoch), n in zip(keys, counts, strict=True)
    }


@pytest.mark.parametrize("schedule", ["layerwise", "joint"])
def test_rows_of_a_schedule_are_labelled(tmp_path, schedule):
    found = labelled(tmp_path / "rows.h5", "mono-forward", schedule=schedule)
    train, held_out = 45, 15
    expected = {("train", layer, -1): train for layer in (0, 1)}
    expected |= {("test", layer, -1): 5 for layer in (0, 1)}
    looks = range(CHECK, EPOCHS + 1, CHECK)
    expected |= {("validation", layer, n): held_out for layer in (0, 1) for n in looks}
    if schedule == "joint":
        expected |= {("train", 1, n): train for n in range(1, EPOCHS + 1)}
    else:  # the first layer, trained, hands its validation rows on
        expected |= {("validation", 0, -1): held_out}
    assert found == expected


@pytest.mark.parametrize("rule", ["dfa", "spsa", "pepg"])
def test_rows_of_rules_with_loops_of_their_own_are_labelled(tmp_path, rule):
    found = labelled(tmp_path / "rows.h5", rule)
    passes = {epoch for purpose, _, epoch in found if purpose == "train"}
    assert passes - {-1} == set(range(1, EPOCHS + 1))
    assert {layer for _, layer, _ in found} == {0, 1}
