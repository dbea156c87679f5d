"""From a configuration to the estimator that it describes."""

from __future__ import annotations

from pnn.config import Config
from pnn.data import Task
from pnn.estimators import PhysicalClassifier, PhysicalRegressor

__all__ = ["Estimator", "make_estimator"]

Estimator = PhysicalClassifier | PhysicalRegressor


def make_estimator(
    config: Config, task: Task, *, image: bool, seed: int, washout: int | None = None
) -> Estimator:
    """Return the untrained estimator of a configuration, for one seed.

    Parameters
    ----------
    config : Config
    task : {"classification", "regression"}
    image : bool
        Whether rows are images, whose pixels share one scale.
    seed : int
    washout : int or None
        Steps of a sequence that are not learned from; None for rows without order.
    """
    network, rule = config.network.model_dump(), config.rule.model_dump()
    if network["scaling"] == "auto":
        network["scaling"] = "global" if image else "feature"
    kind = PhysicalRegressor if task == "regression" else PhysicalClassifier
    return kind(
        device=config.device,
        rule=rule.pop("name"),
        rule_options=rule,
        threads=config.run.threads,
        random_state=seed,
        washout=washout,
        drift=config.drift.settings(),
        **network,
        **config.training.model_dump(),
    )
