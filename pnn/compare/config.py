"""What is compared: a configuration of its own, checked like that of a run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from pnn.config import (
    Config,
    ConfigError,
    Controls,
    DataTable,
    NetworkTable,
    Table,
    TrainingTable,
    presets,
    validated,
)

__all__ = ["CompareConfig", "load_compare"]


class Entry(Table):
    """One rule or one device, with what differs for it."""

    label: str = Field(description="Name in tables and plots.")
    device: str | dict[str, Any] | list[str | dict[str, Any]] | None = None
    rule: dict[str, Any] | None = None
    network: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)


class CompareRun(Table):
    """What is done, how often, and by how many processes."""

    seed: int = Field(0, ge=0, lt=2**31, description="First seed: split, weights, batches.")
    seeds: int = Field(
        3,
        ge=1,
        le=1000,
        description="Seeds, counted up from the first; 10 where they are not named, fewer than 200 "
        "rows are tested and all devices are simulated.",
    )
    test: float = Field(0.2, gt=0, lt=1, description="Share of the rows to test on.")
    jobs: int = Field(2, ge=1, description="Processes; 1 for devices that are not simulated.")
    curves: bool = Field(
        False,
        description="Whether the test rows are measured at every look, too, as probes: learning "
        "curves, for classification.",
    )
    controls: tuple[Controls, ...] = Field(
        (),
        description="Controls to train and test beside every training, on its rows; none unless "
        "asked for.",
    )
    out: str | None = Field(None, description="File to write; default: runs/NAME-TIME.h5.")
    joules_per_multiply_add: float | None = Field(
        None, gt=0, description="Energy of the digital part, where it is known."
    )


class CompareConfig(Table):
    """A comparison: every rule on every device, for every seed and budget.

    `rules` and `devices` are lists of names or tables. A table has ``name``, the options of the
    rule or the arguments of the device, and may have a ``label`` and tables ``network`` and
    ``training`` of what differs for it.
    """

    name: str = Field("compare", description="Name, used for the file.")
    description: str = ""
    data: DataTable
    rules: tuple[Entry, ...] = Field(min_length=1)
    reference: str | None = Field(None, description="Label of the rule to compare others with.")
    devices: tuple[Entry, ...] = Field(min_length=1)
    budgets: tuple[int, ...] = Field(
        (30_000,), min_length=1, description="Queries for training and validation together."
    )
    network: NetworkTable = NetworkTable()
    training: TrainingTable = TrainingTable()
    run: CompareRun = CompareRun()

    @field_validator("data", mode="before")
    @classmethod
    def _sourced(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @field_validator("rules", mode="before")
    @classmethod
    def _rules(cls, entries: Any) -> Any:
        return [_entry(entry, "rule") for entry in entries]

    @field_validator("devices", mode="before")
    @classmethod
    def _devices(cls, entries: Any) -> Any:
        return [_entry(entry, "device") for entry in entries]

    @field_validator("budgets")
    @classmethod
    def _positive(cls, budgets: tuple[int, ...]) -> tuple[int, ...]:
        if min(budgets) < 1 or list(budgets) != sorted(set(budgets)):
            raise ValueError("budgets are whole numbers above 0, each once, in rising order")
        return budgets

    @model_validator(mode="after")
    def _labelled(self) -> CompareConfig:
        for entries in (self.rules, self.devices):
            labels = [entry.label for entry in entries]
            twice = sorted({label for label in labels if labels.count(label) > 1})
            if twice:
                raise ValueError(f"{twice} stand for several entries; give each a label")
        rules = [entry.label for entry in self.rules]
        if self.reference is not None and self.reference not in rules:
            raise ValueError(f"reference={self.reference!r} is none of the rules {rules}")
        return self

    def config(self, rule: int, device: int, seed: int) -> Config:
        """Return the configuration of one training.

        Raises
        ------
        ConfigError
            If an entry's own settings are wrong.
        """
        chosen, driven = self.rules[rule], self.devices[device]
        where = f"{chosen.label} on {driven.label}"
        tables = {
            part: getattr(self, part).model_dump(exclude_unset=True)
            | getattr(driven, part)
            | getattr(chosen, part)
            for part in ("network", "training")
        }
        return validated(
            Config,
            {
                "name": self.name,
                "data": self.data.model_dump(exclude_unset=True),
                "device": driven.device,
                "rule": chosen.rule,
                "run": {"seed": seed, "test": self.run.test, "controls": ()},
                **tables,
            },
            where,
        )


def load_compare(path: str | Path) -> CompareConfig:
    """Read a comparison from a TOML file.

    Raises
    ------
    ConfigError
        If the file is not there, or a key or value is wrong.
    """
    if str(path) in presets():
        raise ConfigError(
            f"{str(path)!r} is a preset of one run, for `pnn train`; a comparison is a TOML file "
            "with rules, devices and budgets, as those in examples/compare"
        )
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return validated(CompareConfig, {"name": path.stem, **content}, str(path))


def _entry(entry: Any, kind: str) -> Any:
    """Return one list entry as the fields of `Entry`; those read from a record are so already."""
    if isinstance(entry, Entry) or (isinstance(entry, Mapping) and kind in entry):
        return entry
    if kind == "device" and isinstance(entry, list):
        return {"label": " + ".join(map(str, entry)), kind: entry}
    content = {"name": entry} if isinstance(entry, str) else dict(entry)
    if not isinstance(content.get("name"), str):
        raise ValueError(f"{entry!r} needs a name")
    own = {key: content.pop(key) for key in ("network", "training") if key in content}
    label = content.pop("label", content["name"])
    return {"label": label, kind: content, **own}
