"""Configurations of sweeps: what is varied, what is driven at a point, and how often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from pnn.config import ConfigError, Table, described, read_toml, validated

__all__ = [
    "AxisTable",
    "ProbeTable",
    "SamplingTable",
    "SweepConfig",
    "load_sweep",
    "sweep_reference",
]

Value = bool | int | float | str

_WHAT = re.compile(
    r"(?P<rows>drive|parameter)(\.(?P<index>\d+))?|device\.(?P<key>\w+)|wrap\.(\d+)\.(?P<wrapped>\w+)"
)
_NAME = re.compile(r"[A-Za-z_]\w*")


class AxisTable(Table):
    """What is varied. Every value of an axis is combined with every value of the others."""

    what: str = Field(
        description="`drive` (all inputs), `drive.N` (input N), `parameter`, `parameter.N` (of a "
        "programmable device), `device.KEY` (argument of the device, which is built anew; of a "
        "rig, a key of `[rig]`) or `wrap.N.KEY` (of its N-th wrapper, from 0)."
    )
    name: str = Field("", description="Name in the file; default: made from `what`.")
    values: tuple[Value, ...] | None = Field(None, description="The values, in their order.")
    from_: float | None = Field(
        None, alias="from", description="First value, with `to`, instead of `values`."
    )
    to: float | None = Field(None, description="Last value, included.")
    points: int | None = Field(
        None,
        ge=1,
        description="Number of values between `from` and `to`; without it the axis is sampled at "
        "random, see `[sampling]`.",
    )
    scale: Literal["linear", "log"] = Field("linear", description="Spacing from `from` to `to`.")
    integer: bool = Field(False, description="Whether the values are rounded to whole numbers.")
    table: str | tuple[tuple[float, ...], ...] | None = Field(
        None,
        description="For `drive` and `parameter`: a file (.csv, .npy) with one row per value, "
        "instead of `values`.",
    )
    zip: str = Field("", description="Axes with the same text here advance together.")
    unit: str = Field("", description="Unit; known for drives.")

    @field_validator("what")
    @classmethod
    def _known(cls, what: str) -> str:
        if not _WHAT.fullmatch(what):
            raise ValueError(
                "it must be drive, drive.N, parameter, parameter.N, device.KEY or wrap.N.KEY"
            )
        return what

    @field_validator("values", mode="before")
    @classmethod
    def _listed(cls, values: Any) -> Any:
        return values.tolist() if isinstance(values, np.ndarray) else values

    @field_validator("table", mode="before")
    @classmethod
    def _tabled(cls, table: Any) -> Any:
        return table.tolist() if isinstance(table, np.ndarray) else table

    @field_validator("name", "zip")
    @classmethod
    def _plain(cls, name: str) -> str:
        if name and not _NAME.fullmatch(name):
            raise ValueError("it must consist of letters, digits and _")
        return name

    @model_validator(mode="after")
    def _one_source(self) -> AxisTable:
        ranged = self.from_ is not None or self.to is not None
        given = [self.values is not None, ranged, self.table is not None]
        if sum(given) != 1:
            raise ValueError(f"{self.what}: give one of values, from and to, table")
        if ranged and (self.from_ is None or self.to is None):
            raise ValueError(f"{self.what}: from and to belong together")
        if self.points is not None and not ranged:
            raise ValueError(f"{self.what}: points={self.points} needs from and to")
        if self.scale == "log" and not (ranged and min(self.from_ or 0, self.to or 0) > 0):
            raise ValueError(f'{self.what}: scale = "log" needs from and to above 0')
        if self.values is not None and not self.values:
            raise ValueError(f"{self.what}: values is empty")
        if self.table is not None and self.what not in ("drive", "parameter"):
            raise ValueError(f"{self.what}: a table is for drive and parameter")
        return self

    @property
    def sampled(self) -> bool:
        """Whether its values are drawn, see `SamplingTable`."""
        return self.from_ is not None and self.points is None

    @property
    def label(self) -> str:
        """Name in the file."""
        if self.what in ("drive", "parameter"):
            whole = f"{self.what}_row" if self.table is not None else f"all_{self.what}s"
            return self.name or whole
        return self.name or self.what.removeprefix("device.").replace(".", "_")


class SamplingTable(Table):
    """How axes without `values` and `points` are drawn: together, from one design."""

    points: int = Field(ge=1, description="Number of samples.")
    method: Literal["sobol", "latin-hypercube", "uniform"] = Field(
        "sobol", description="Sobol is the most even for a power of two."
    )


class ProbeTable(Table):
    """The drives of a point: the same at every point, what axes drive is put in."""

    rows: int = Field(16, ge=1, description="Random drives, uniform within the limits.")
    hold: float | None = Field(None, description="One drive with this value in all inputs instead.")
    table: str | tuple[tuple[float, ...], ...] | None = Field(
        None, description="A file (.csv, .npy) of drives instead, one per row."
    )

    @field_validator("table", mode="before")
    @classmethod
    def _tabled(cls, table: Any) -> Any:
        return table.tolist() if isinstance(table, np.ndarray) else table

    @model_validator(mode="after")
    def _one_source(self) -> ProbeTable:
        if len(self.model_fields_set & {"rows", "hold", "table"}) > 1:
            raise ValueError("give one of rows, hold, table")
        return self


class SweepConfig(Table):
    """One sweep."""

    name: str = Field("sweep", description="Name, used for the file.")
    device: str | dict[str, Any] | None = Field(
        None, description="Name with arguments, or a table, as for `pnn train`."
    )
    axis: tuple[AxisTable, ...]
    sampling: SamplingTable | None = None
    probe: ProbeTable | None = None
    repeats: int = Field(1, ge=1, description="How often each point is measured.")
    averages: int = Field(1, ge=1, description="Measurements of each drive that are averaged.")
    settle_s: float = Field(0.0, ge=0, description="Wait at each point before measuring.")
    order: Literal["random", "grid"] = Field(
        "random", description="Random order keeps a drift from looking like an effect."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of the order, the samples, the drives.")
    metrics: tuple[str, ...] = Field(
        (), description="Numbers per point: `mean`, `rms`, `peak`, `spread`, `file.py:function`."
    )
    gridded: bool = Field(
        True,
        description="Whether the answers are laid out on the grid as well when the sweep ends: "
        "twice the space.",
    )
    out: str | None = Field(None, description="File to write; default: runs/NAME-TIME.h5.")


def load_sweep(source: str | Path | Mapping[str, Any], **changes: Any) -> SweepConfig:
    """Read a sweep from a TOML file or a mapping; `changes` replace its keys.

    Raises
    ------
    ConfigError
        If there is no such file, or a key or value is wrong.
    """
    if isinstance(source, Mapping):
        return validated(SweepConfig, {**source, **changes}, "the sweep")
    path = Path(source)
    if not path.is_file():
        raise ConfigError(f"there is no file {path}: name the TOML file of a sweep")
    if path.suffix != ".toml":
        raise ConfigError(f"{path} is no TOML file")
    return validated(SweepConfig, read_toml(path) | changes, str(path))


def sweep_reference() -> str:
    """Return the description of every key, in Markdown, as in ``docs/sweeps.md``."""
    lines = ["### Top level", "", *described(SweepConfig)]
    models: dict[str, type[Table]] = {
        "[[axis]]": AxisTable,
        "[sampling]": SamplingTable,
        "[probe]": ProbeTable,
    }
    for name, model in models.items():
        lines += ["", f"### `{name}`", "", (model.__doc__ or "").strip(), "", *described(model)]
    return "\n".join(lines) + "\n"
