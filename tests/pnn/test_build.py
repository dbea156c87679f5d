"""From a configuration to the estimator that it describes."""

import pytest

from pnn import PhysicalClassifier, PhysicalRegressor
from pnn.build import make_estimator
from pnn.config import Config

CONFIG = Config.model_validate(
    {
        "data": "digits",
        "device": "sim:scattering-medium",
        "network": {"layers": 2, "width": 12, "masks": 3},
        "rule": {"name": "phyll", "theta": 2.5},
        "training": {"epochs": 7, "schedule": "joint"},
        "run": {"threads": 1},
    }
)


def test_every_setting_arrives():
    made = make_estimator(CONFIG, "classification", image=False, seed=9)
    assert isinstance(made, PhysicalClassifier)
    assert (made.layers, made.width, made.masks, made.random_state) == (2, 12, 3, 9)
    assert made.threads == 1
    assert made.make_rule().theta == 2.5
    settings = made.settings()
    assert (settings.epochs, settings.schedule) == (7, "joint")
    for table in (CONFIG.network, CONFIG.training):
        for key in type(table).model_fields:
            assert hasattr(made, key)


@pytest.mark.parametrize(("image", "scaling"), [(True, "global"), (False, "feature")])
def test_pixels_share_one_scale_unless_told_otherwise(image, scaling):
    assert make_estimator(CONFIG, "classification", image=image, seed=0).scaling == scaling
    told = CONFIG.with_(network={"scaling": "sigma"})
    assert make_estimator(told, "classification", image=image, seed=0).scaling == "sigma"


def test_numbers_get_a_regressor_and_the_rule_that_suits():
    config = CONFIG.with_(rule="auto", network={"layers": 1})
    made = make_estimator(config, "regression", image=False, seed=0)
    assert isinstance(made, PhysicalRegressor)
    assert made.make_rule().name == "readout"
