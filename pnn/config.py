"""Configurations: TOML, checked against these models; every key is described here."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from devices.checks import did_you_mean

__all__ = [
    "Config",
    "ConfigError",
    "Table",
    "described",
    "load_config",
    "presets",
    "read_toml",
    "reference",
    "validated",
]

Parts = Literal["encoder", "readout", "parameters"]
T = TypeVar("T", bound=BaseModel)

Controls = Literal["linear", "bypassed", "affine", "matched_digital", "shuffled", "zeroed"]


class ConfigError(ValueError):
    """A configuration is wrong; the message names the file, the key, the value and the range."""


class Table(BaseModel):
    """A table of a configuration: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataTable(Table):
    """What is learned."""

    model_config = ConfigDict(extra="allow", frozen=True)

    source: str = Field(
        description="`digits`, `mnist5k`, `mnist`, `fashion-mnist`, `vowels`, `formants`; the "
        "sequences `narma10`, `mackey-glass`, `waveforms`; or a file (.csv, .xlsx, .npz, .h5). "
        "Further keys go to the source's reader."
    )
    path: str | None = Field(None, description="File or folder of the source, where it has one.")
    pool: int | None = Field(None, ge=1, description="Mean over pool x pool pixels, every arm.")
    target: str | None = Field(None, description="Column of the target in a table.")


class NetworkTable(Table):
    """The digital part around the device."""

    layers: int = Field(1, ge=1, description="Physical layers.")
    width: int = Field(256, ge=1, description="Readout outputs of each layer.")
    encoder: str = Field("auto", description="`auto` takes the one for the device's domain.")
    scaling: Literal["auto", "feature", "global", "sigma"] = Field(
        "auto",
        description="Range mapped onto the limits: of each feature, of all features, or mean "
        "-+ 3 sigma; `auto` is `global` for images and `feature` otherwise.",
    )
    masks: int = Field(1, ge=1, description="Fixed random masks, and queries, per sample.")
    label_scale: float = Field(1.0, gt=0, le=1, description="Height of the label channels.")
    adapter: Literal["auto", "pad", "project", "convolve"] = Field(
        "auto",
        description="How channels become device inputs: as they are, by a random projection, or by "
        "random 3 x 3 filters over a square image.",
    )
    skip: bool = Field(False, description="Whether the digital input goes around the device.")


class RuleTable(Table):
    """The learning rule; further keys are its options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(
        "auto",
        description="A learning rule (`pnn rules` lists them); `auto` is `phyll` for classes and "
        "`readout` for numbers.",
    )


class TrainingTable(Table):
    """How the rule descends."""

    epochs: int = Field(40, ge=1, description="Passes over the training rows, per layer.")
    batch_size: int = Field(128, ge=1, description="Samples per step.")
    learning_rate: float = Field(0.03, gt=0, description="Of Adam; falls to 0 along a cosine.")
    inner_steps: int = Field(1, ge=1, description="Optimiser steps per measured batch.")
    schedule: Literal["layerwise", "joint"] = Field(
        "layerwise",
        description="Layer after layer (every drive measured once), or all with each batch.",
    )
    validation: float = Field(
        0.1, ge=0, lt=1, description="Share of the training rows for early stopping."
    )
    check_every: int = Field(4, ge=1, description="Epochs between looks at the validation rows.")
    patience: int = Field(5, ge=1, description="Looks without improvement before stopping.")
    train: tuple[Parts, ...] = Field(
        (),
        description="What is trained: `encoder` (before the device), `readout` (after it), "
        "`parameters` (inside it); empty for what the rule trains by itself.",
    )


class DriftTable(Table):
    """Watch for drift while training, and reactions to it; [drift.md](drift.md) explains them."""

    every_epochs: int = Field(
        0,
        ge=0,
        description="Epochs from one look to the next; 0: none. One of the two is needed.",
    )
    every_queries: int = Field(
        0, ge=0, description="Queries of a device from one look to the next; 0: none."
    )
    probes: int = Field(8, ge=1, description="Drives that are measured at each look.")
    repeats: int = Field(
        3, ge=2, description="Measurements of each probe at the start and after a reaction."
    )
    repeatability: float | str | None = Field(
        None,
        description="Standard deviation of one answer, or a calibration file (noise or "
        "consistency) that knows it; none: from the repeats.",
    )
    tolerance: float = Field(
        0.01, ge=0, description="Relative change that is no reason to act, however sure."
    )
    sigmas: float = Field(5.0, ge=0, description="How sure a report is, in standard deviations.")
    reactions: tuple[Literal["refit", "retrain", "recalibrate", "stop"], ...] = Field(
        ("refit",), description="What is done, in this order, until one is enough."
    )
    share: float = Field(
        0.05, gt=0, le=1, description="Of the training rows, what a refit measures anew."
    )
    enough: float = Field(
        0.5, ge=-1, le=1, description="R2 of refitted features that is enough for a refit."
    )
    epochs: int = Field(10, ge=1, description="Epochs of a retraining.")
    budget: float = Field(
        0.5,
        ge=0,
        description="Queries of all reactions together, as a share of the training queries.",
    )
    calibrations: str = Field("calibrations", description="Folder for recalibrations.")

    @model_validator(mode="after")
    def _scheduled(self) -> DriftTable:
        if self.model_fields_set and not (self.every_epochs or self.every_queries):
            raise ValueError("say every_epochs or every_queries, from one look to the next")
        return self

    def settings(self) -> dict[str, Any] | None:
        """Return what an estimator's `drift` is; None where the table is off."""
        return self.model_dump() if self.every_epochs or self.every_queries else None


class RunTable(Table):
    """What is done, how often, and what is kept."""

    seed: int = Field(0, ge=0, lt=2**31, description="First seed: split, weights, batches.")
    seeds: int = Field(1, ge=1, le=1000, description="Seeds, counted up from the first.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the rows to test on.")
    controls: tuple[Controls, ...] = Field(
        ("linear", "bypassed", "affine", "matched_digital", "shuffled", "zeroed"),
        description="Controls to run.",
    )
    threads: int = Field(
        1,
        ge=1,
        description="Threads of torch and BLAS. More help on a machine that does nothing else; "
        "beside another busy process they can slow a run down many times.",
    )
    record: bool | Literal["auto"] = Field(
        "auto",
        description="Whether every drive and answer goes into the file; `auto` is for devices "
        "whose answers cannot be had again, which simulators' can.",
    )
    energy: bool = Field(
        False, description="Whether codecarbon measures this computer's joules (extra energy)."
    )
    out: str | None = Field(None, description="Run file; default: runs/NAME-TIME.h5.")


class Config(Table):
    """One experiment."""

    name: str = Field("run", description="Name, used for the run file.")
    description: str = Field("", description="One line for `pnn presets`.")
    data: DataTable
    device: str | dict[str, Any] | list[str | dict[str, Any]] = Field(
        description="Name with arguments (`sim:...?key=value`), or a table with `name`, the "
        "device's arguments and a list `wrap` of wrappers; a list: one device per layer."
    )
    network: NetworkTable = NetworkTable()
    rule: RuleTable = RuleTable()
    training: TrainingTable = TrainingTable()
    drift: DriftTable = DriftTable()
    run: RunTable = RunTable()

    @field_validator("data", mode="before")
    @classmethod
    def _sourced(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @field_validator("rule", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def with_(self, **tables: Any) -> Config:
        """Return a copy with other values; a mapping changes single keys, a text a whole table.

        Raises
        ------
        ConfigError
            If a value is out of its range.
        """
        content = self.model_dump(exclude_unset=True)
        for key, value in tables.items():
            if isinstance(value, Mapping):
                before = content.get(key, {})
                before = {"name": before} if isinstance(before, str) else before
                if not isinstance(before, Mapping):
                    raise ConfigError(
                        f"the options: {key} is a list; give the whole list, not {dict(value)!r}"
                    )
                content[key] = {**before, **value}
            else:
                content[key] = value
        return validated(Config, content, "the options")


def presets() -> dict[str, Path]:
    """Return the shipped configurations by name."""
    folder = Path(str(files("pnn"))) / "presets"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_config(source: str | Path) -> Config:
    """Read a preset by name, or a TOML file.

    Raises
    ------
    ConfigError
        If there is no such preset or file, or a key or value is wrong.
    """
    known = presets()
    path = known.get(str(source), Path(source))
    if path.suffix != ".toml" or not path.is_file():
        hint = did_you_mean(str(source), known)
        raise ConfigError(
            f"{str(source)!r} is neither a preset ({', '.join(known)}) nor a TOML file.{hint}"
        )
    return validated(Config, read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a configuration file; its name is that of the file where it says no other.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no TOML.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return {"name": path.stem} | content


def validated(model: type[T], content: Mapping[str, Any], where: str) -> T:
    """Return the tables as `model` has them, or raise a `ConfigError` that begins with `where`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [f"{where}: {_explain(problem, model)}" for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _explain(problem: Any, model: Any) -> str:
    place = [str(part) for part in problem["loc"]]
    key = ".".join(place)
    if not key:  # of all keys together: the value is the whole configuration
        return str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        for part in place[:-1]:
            if not part.isdigit():  # the number of a table in a list of tables
                model = model.model_fields[part].annotation
                model = next(iter(get_args(model)), model)
        names = list(model.model_fields)
        near = difflib.get_close_matches(place[-1], names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"
        return f"there is no key {key}{hint}"
    if problem["type"] == "missing":
        return f"the key {key} is missing"
    return f"{key} = {problem['input']!r}: {problem['msg']}"


def reference() -> str:
    """Return the description of every key, in Markdown; ``docs/configuration.md`` is this."""
    lines = [
        "# Configuration",
        "",
        "A configuration is a TOML file; `pnn train FILE.toml` runs it, and a preset is one that",
        "is shipped (`pnn presets`). A wrong key or value is refused with the file, the key, the",
        "value and the allowed range. This page is printed by `pnn presets --keys`.",
        "",
        "```toml",
        *_EXAMPLE.strip().splitlines(),
        "```",
    ]
    tables = {"": Config} | {
        name: field.annotation
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Table)
    }
    for name, model in tables.items():
        lines += ["", f"## {f'`[{name}]`' if name else 'Top level'}", ""]
        if name:
            lines += [f"{(model.__doc__ or '').strip()}", ""]
        lines += described(model)
    return "\n".join(lines) + "\n"


def described(model: type[BaseModel]) -> list[str]:
    """Return a table in Markdown, line by line, of the keys of a table and what they are."""
    lines = ["| key | default | what |", "|---|---|---|"]
    for key, field in model.model_fields.items():
        if field.description is not None:
            default = "required" if field.is_required() else f"`{_toml(field.default)}`"
            lines.append(f"| `{field.alias or key}` | {default} | {field.description} |")
    return lines


_EXAMPLE = """
name = "my-experiment"

[data]
source = "digits"

[device]
name = "sim:scattering-medium"
n_outputs = 1024
seed = 3

[[device.wrap]]
name = "noisy"
additive = 0.02

[rule]
name = "phyll"
theta = 4.0

[run]
seeds = 5
"""


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
