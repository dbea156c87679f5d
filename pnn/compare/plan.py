"""Which trainings a comparison consists of, and how each is fitted to its budget of queries."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

from pnn.build import make_estimator
from pnn.compare.config import CompareConfig
from pnn.config import Config, ConfigError
from pnn.data import Dataset, led_in, split
from pnn.experiment import FEW_TEST_ROWS
from pnn.training import Training, limit_threads

__all__ = ["Cell", "ComparePlan", "plan_comparison", "with_enough_seeds"]

#: Fewer training rows than this many per class (or in all) are no training.
FEWEST = 5

#: Fewer epochs than this many, or than are asked for, are none either.
FEWEST_EPOCHS = 5


@dataclass(frozen=True)
class Cell:
    """One training of a comparison.

    Attributes
    ----------
    rule, device, budget, seed : int
        Indices into the configuration's lists; the seed as it is.
    rows : int
        Training rows that the budget allows, those for validation included.
    check_every, epochs : int
        Settings that the budget allows.
    queries : int
        For training and validation, at the most.
    """

    rule: int
    device: int
    budget: int
    seed: int
    rows: int
    check_every: int
    epochs: int
    queries: int


@dataclass(frozen=True)
class ComparePlan:
    """All cells, and what cannot be done, with the reason.

    Attributes
    ----------
    cells : tuple of Cell
    refused : dict
        Reasons by (rule, device, budget).
    queries : int
        Of all cells, tests included, at the most.
    device_seconds : float or None
        From the devices' seconds per query; None where one states none.
    joules : float or None
        From the devices' power; None where one states none.
    parallel : bool
        Whether the devices are simulators, of which every process may have its own.
    device_queries : tuple of int
        Of each device in the configuration, tests included, at the most.
    multiply_adds : int or None
        Digital ones of all trainings, at the most; None where a rule does not say.
    digital_joules : float or None
        Of these, where the configuration has their price.
    control_trainings : int
        Trainings with a control in the device's place, which are in none of the numbers above.
    """

    cells: tuple[Cell, ...]
    refused: dict[tuple[int, int, int], str]
    queries: int
    device_seconds: float | None
    joules: float | None
    parallel: bool
    device_queries: tuple[int, ...]
    multiply_adds: int | None
    digital_joules: float | None
    control_trainings: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a record."""
        content = asdict(self)
        refused = [[*cell, reason] for cell, reason in self.refused.items()]
        return content | {"refused": refused}


def with_enough_seeds(config: CompareConfig, dataset: Dataset) -> CompareConfig:
    """Return the comparison with ten splits where a run of its kind has ten.

    That is where it names no number, few rows are tested, and all devices can be had again.
    """
    few = dataset.washout is None and config.run.test * len(dataset.y) < FEW_TEST_ROWS
    named = "seeds" in config.run.model_fields_set
    if named or not few or not plan_comparison(config, dataset).parallel:
        return config
    return config.model_copy(update={"run": config.run.model_copy(update={"seeds": 10})})


@limit_threads(1)  # beside another busy process, more are many times slower
def plan_comparison(config: CompareConfig, dataset: Dataset) -> ComparePlan:
    """Check every pair of rule and device without driving, and fit it to the budgets.

    Raises
    ------
    ConfigError
        If an entry's settings are wrong, or its rule has no such name or option.
    ValueError
        If no pair can be trained.
    """
    singles = _checked(config, dataset)
    if config.run.curves and dataset.task != "classification":
        raise ValueError(f"{config.name}: curves are of accuracies, and {dataset.name} has none")
    cells: list[Cell] = []
    refused: dict[tuple[int, int, int], str] = {}
    queries, multiply_adds = [0] * len(config.devices), 0
    seconds, joules, parallel = 0.0, 0.0, True
    known = [True, True, True]  # seconds, joules, multiply-adds
    seeds = range(config.run.seed, config.run.seed + config.run.seeds)
    for r in range(len(config.rules)):
        for d in range(len(config.devices)):
            try:
                pair = _Pair(singles[r, d], dataset)
            except ValueError as error:
                reason = f"does not apply: {error}"
                refused |= {(r, d, b): reason for b in range(len(config.budgets))}
                continue
            found = []
            for b, budget in enumerate(config.budgets):
                try:
                    fitted = pair.within(budget)
                except ValueError as error:  # a larger budget may do
                    refused[r, d, b] = str(error)
                else:
                    found += [Cell(r, d, b, seed, *fitted) for seed in seeds]
                    spent_on_one = pair.multiply_adds(*fitted[:3])
                    multiply_adds += len(seeds) * (spent_on_one or 0)
                    known[2] &= spent_on_one is not None
            cells += found
            spent = sum(cell.queries + pair.n_test_queries for cell in found)
            queries[d] += spent
            specs = [device.spec for device in pair.network.devices]
            pace = max(spec.seconds_per_query for spec in specs)
            watts = [spec.watts for spec in specs]
            known[0] &= pace > 0
            known[1] &= pace > 0 and None not in watts
            seconds += pace * spent
            joules += pace * spent * sum(w or 0.0 for w in watts)
            parallel &= all(device.reproducible for device in pair.network.devices)
    if not cells:
        reasons = "\n".join(f"  {reason}" for reason in dict.fromkeys(refused.values()))
        raise ValueError(f"{config.name}: no rule can be trained on any device:\n{reasons}")
    # Seed by seed: a comparison that is stopped early has all rules for the first seeds.
    cells.sort(key=lambda cell: (cell.seed, cell.budget, cell.device, cell.rule))
    price = config.run.joules_per_multiply_add
    return ComparePlan(
        tuple(cells),
        refused,
        sum(queries),
        seconds if known[0] else None,
        joules if known[1] else None,
        parallel,
        tuple(queries),
        multiply_adds if known[2] else None,
        None if price is None or not known[2] else price * multiply_adds,
        len(cells) * len(config.run.controls),
    )


def _checked(config: CompareConfig, dataset: Dataset) -> dict[tuple[int, int], Config]:
    """Return the configuration of each pair; what is wrong with any device is no refusal."""
    singles, problems = {}, []
    for r, entry in enumerate(config.rules):
        for d in range(len(config.devices)):
            singles[r, d] = config.config(r, d, config.run.seed)
        try:
            make_estimator(singles[r, 0], dataset.task, image=False, seed=0).make_rule()
        except ValueError as error:
            problems.append(f"{config.name}: rules.{r} = {entry.rule}: {error}")
    if problems:
        raise ConfigError("\n".join(problems))
    return singles


class _Pair:
    """A rule with a device: its cost as a function of rows and settings."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        seed, n_classes = config.run.seed, len(dataset.classes)
        self.estimator = make_estimator(
            config,
            dataset.task,
            image=dataset.shape is not None,
            seed=seed,
            washout=dataset.washout,
        )
        self.rule, self.n_classes = self.estimator.make_rule(), n_classes
        train, test = split(dataset, seed, config.run.test)
        self.n_rows, self.dataset, self.train = len(train), dataset, train
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.network = self.estimator.build(dataset.X.shape[1], n_classes, seed)
            self.rule.check(self.network, self.estimator.settings(), n_classes)
            self.rule.fit_encoders(self.network, dataset.X[train], n_classes)
        self.n_test_queries = self._cost(self.n_rows, n_test=len(led_in(dataset, test)))["test"]

    def within(self, budget: int) -> tuple[int, int, int, int]:
        """Return rows, check_every, epochs and queries of the best training that it pays for.

        First the looks at validation rows become fewer, then the epochs, where these cost
        queries, and then the rows.
        """
        epochs, check_every = self.estimator.epochs, self.estimator.check_every
        fewest = FEWEST * max(1, self.n_classes)
        asks_anew = not self.rule.measures_once or self.estimator.schedule == "joint"
        fewest_epochs = min(epochs, FEWEST_EPOCHS) if asks_anew else epochs
        if self.n_rows < fewest:
            raise ValueError(
                f"{self.n_rows} training rows are no training: {fewest} at least are needed, "
                f"{FEWEST} of each class"
            )
        rows, cheapest = self.n_rows, []
        while True:
            cheapest.append((self._queries(rows, fewest_epochs, fewest_epochs), rows))
            for looks in range(-(-epochs // check_every), 0, -1):
                every = max(check_every, -(-epochs // looks))
                if self._queries(rows, every, epochs) <= budget:
                    return rows, every, epochs, self._queries(rows, every, epochs)
            if asks_anew:
                low, high = 0, epochs  # the most epochs with a single look that it pays for
                while high - low > 1:
                    middle = (low + high) // 2
                    fits = self._queries(rows, middle, middle) <= budget
                    low, high = (middle, high) if fits else (low, middle)
                if low >= fewest_epochs:
                    return rows, low, low, self._queries(rows, low, low)
            if rows == fewest:
                break
            rows = max(fewest, min(rows - 1, int(rows * 0.9)))
        least, rows = min(cheapest)
        passes = f" in {fewest_epochs} epochs" if asks_anew else ""
        raise ValueError(
            f"budget={budget} is too small for rule {self.rule.name!r}, which needs {least} "
            f"queries at the least: {rows} training rows{passes}"
        )

    def _queries(self, rows: int, check_every: int, epochs: int) -> int:
        cost = self._cost(rows, check_every=check_every, epochs=epochs)
        return cost["train"] + cost["validation"]

    def multiply_adds(self, rows: int, check_every: int, epochs: int) -> int | None:
        """Return the digital multiply-adds of a training, at the most; None if not known."""
        settings, kept, _ = self._with(rows, check_every=check_every, epochs=epochs)
        return self.rule.estimate_multiply_adds(
            self.network, settings, n_train=kept, n_classes=self.n_classes
        )

    def _cost(self, rows: int, *, n_test: int = 0, **settings: int) -> dict[str, int]:
        chosen, kept, held_out = self._with(rows, **settings)
        return self.rule.estimate(
            self.network,
            chosen,
            n_train=kept,
            n_validation=held_out,
            n_test=n_test,
            n_classes=self.n_classes,
        )

    def _with(self, rows: int, **settings: int) -> tuple[Training, int, int]:
        """Return the settings of a training, and its rows to learn from and to validate on."""
        chosen = self.estimator.__class__(**self.estimator.get_params(deep=False) | settings)
        subset = self.train[:rows]
        groups = None if self.dataset.groups is None else self.dataset.groups[subset]
        kept, held_out = chosen.validation_rows(self.dataset.y[subset], groups, 0)
        return chosen.settings(), len(kept), len(held_out)
