"""The whole reproduction: twins, comparisons, report; what is done already is not done again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py

from devices.hdf5 import read_attributes
from pnn.compare import CompareConfig, ComparePlan, compare, plan_comparison, read_comparison
from pnn.compare import resume as go_on
from pnn.compare.run import Progress
from pnn.data import Dataset, load
from pnn.reproduce.recordings import TwinNote, make_twin, read_recording, simulated_recording
from pnn.reproduce.report import write_report
from pnn.reproduce.systems import SYSTEMS, comparison_of, tasks
from pnn.twin import Kind

__all__ = ["Reproduction", "prepare"]

#: A recording is looked for here unless one is named.
DEFAULT_RECORDING = Path("../shared/data/acoustic_cavity")


@dataclass(frozen=True)
class Part:
    """The comparison of one task."""

    task: str
    config: CompareConfig
    dataset: Dataset
    plan: ComparePlan
    systems: tuple[str, ...]
    path: Path


@dataclass
class Reproduction:
    """What is going to be done; made by `prepare`, before anything is driven.

    Attributes
    ----------
    folder : Path
    systems : tuple of str
    skipped : dict
        Systems that are left out, with the reason.
    recording : Path or None
        Of the acoustic cavity.
    options : dict
        Of `comparison_of`.
    notes : dict
        What is known of the twins, once they are made.
    """

    folder: Path
    systems: tuple[str, ...]
    skipped: dict[str, str]
    recording: Path | None
    options: dict[str, Any]
    notes: dict[str, TwinNote] = field(default_factory=dict)

    def parts(self, *, planned_only: bool = False) -> tuple[Part, ...]:
        """Return the comparisons, planned; without twins only good for an estimate."""
        found = []
        for task, systems in tasks(self.systems).items():
            twins = {
                name: None if planned_only else self._twin_path(name).resolve()
                for name in systems
                if not SYSTEMS[name].device
            }
            path = self.folder / f"{task}.h5"
            config = comparison_of(task, systems, twins, out=path, **self.options)
            dataset = load(**config.data.model_dump())
            plan = plan_comparison(config, dataset)
            found.append(Part(task, config, dataset, plan, systems, path))
        return tuple(found)

    def run(self, progress: Callable[[str], Progress]) -> dict[str, Any]:
        """Do what is missing in the folder, and write the report.

        Parameters
        ----------
        progress : callable
            Given the name of a part, returns who is told of its trainings.

        Returns
        -------
        dict
            The content of ``report.json``.

        Raises
        ------
        ValueError
            If the folder holds results of other settings.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_twins()
        parts = self.parts()
        for part in parts:
            _check_same(part)
        for part in parts:
            if not part.path.exists():
                compare(part.config, part.dataset, part.plan, progress(part.config.name))
            elif read_comparison(part.path).missing:
                go_on(part.path, partial(_same, part.dataset), progress(part.config.name))
        files = {part.path: part.systems for part in parts}
        return write_report(self.folder, files, self.notes, self.skipped, quick=self._quick)

    @property
    def _quick(self) -> bool:
        return bool(self.options["quick"])

    def _twin_path(self, system: str) -> Path:
        return self.folder / f"{system}-twin.h5"

    def _make_twins(self) -> None:
        for name in self.systems:
            if SYSTEMS[name].device:
                continue
            path = self._twin_path(name)
            kind: Kind = "quadratic" if self._quick else "auto"
            if name == "acoustic-recorded":
                assert self.recording is not None
                rows = read_recording(self.recording)
            else:
                rows = simulated_recording(1000 if self._quick else 3000, seed=0)
            self.notes[name] = make_twin(rows, path, kind, seed=0)


def prepare(
    folder: Path,
    *,
    recording: Path | None = None,
    systems: tuple[str, ...] = tuple(SYSTEMS),
    **options: Any,
) -> Reproduction:
    """Return what would be done, with what has to be left out.

    Parameters
    ----------
    folder : Path
        Where to; results that are there are gone on with.
    recording : Path, optional
        Of an acoustic cavity; None looks at `DEFAULT_RECORDING`.
    systems : tuple of str
    **options
        Of `comparison_of`.

    Raises
    ------
    ValueError
        If a system is not known.
    FileNotFoundError
        If the recording that is named is not there.
    """
    for name in systems:
        if name not in SYSTEMS:
            raise ValueError(f"there is no system {name!r}; known: {', '.join(SYSTEMS)}")
    skipped = {}
    if recording is not None:
        read_recording(recording)  # what is wrong with it is said now
    elif DEFAULT_RECORDING.is_dir():
        recording = DEFAULT_RECORDING
    elif "acoustic-recorded" in systems:
        skipped["acoustic-recorded"] = (
            f"there is no recording: {DEFAULT_RECORDING} is not there; give --recording PATH, a "
            "file of `pnn log import` or a folder with drives.csv and answers.csv"
        )
    chosen = tuple(name for name in systems if name not in skipped)
    if not chosen:
        raise ValueError("; ".join(skipped.values()))
    return Reproduction(folder, chosen, skipped, recording, options)


def _same(dataset: Dataset, config: CompareConfig) -> Dataset:
    return dataset


def _check_same(part: Part) -> None:
    """Refuse to mix results of other settings with those that are asked for."""
    if not part.path.exists():
        return
    with h5py.File(part.path, "r") as file:
        there = read_attributes(file)["config"]
    wanted = part.config.model_dump(mode="json", exclude_unset=True)
    for content in (there, wanted):  # what does not change a result
        content["run"] = {k: v for k, v in content["run"].items() if k not in ("jobs", "out")}
    if there != wanted:
        raise ValueError(
            f"{part.path} holds results of other settings (systems, seeds, or the toolkit's own); "
            "give the settings that it began with, or another --out"
        )
