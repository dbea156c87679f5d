"""What a run leaves behind: the root of the run file, and a group for each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calibration.identity import identity_of
from devices import Device
from devices.hdf5 import RecordFile, read_attributes
from devices.resumed import lay_out_rows
from pnn.arms import is_recorded
from pnn.config import Config
from pnn.data import Dataset, split
from pnn.result import Plan
from pnn.resume_check import agree
from pnn.seed_record import SeedRecord

__all__ = ["RunRecord"]

_SLOTS = {"instruments": 8192, "accepted": 8192}


class RunRecord:
    """A run file that is being written.

    Everything in it has its place before anything is driven, so that a process that is killed
    leaves a file that can be read, and gone on with.

    Parameters
    ----------
    file : RecordFile
        New, or re-opened.
    config : Config
        The run's.

    accept : bool
        Whether other instruments may answer than in an earlier session.
    """

    def __init__(self, file: RecordFile, config: Config, *, accept: bool = False) -> None:
        self._file, self.path, self._accept = file, file.path, accept
        numbers = range(config.run.seed, config.run.seed + config.run.seeds)
        self.seeds = [SeedRecord(file.group(f"seed_{number}")) for number in numbers]

    @classmethod
    def lay_out(
        cls,
        file: RecordFile,
        config: Config,
        dataset: Dataset,
        plan: Plan,
        devices: Sequence[Device],
        standing: Mapping[str, Any],
    ) -> RunRecord:
        """Write what is known beforehand, and make everything that the seeds will need."""
        file.set(
            name=config.name,
            config=config.model_dump(mode="json", exclude_unset=True),
            dataset=dataset.name,
            dataset_source=dataset.source,
            dataset_digest=dataset.digest(),
            task=dataset.task,
            image=dataset.shape is not None,
            classes=dataset.classes,
            n_features=dataset.X.shape[1],
            plan=vars(plan),
        )
        for name, size in _SLOTS.items():
            file.slot(name, size)
        file.slot("summary", min(60_000, 8000 + 500 * config.run.seeds))
        for seed in range(config.run.seed, config.run.seed + config.run.seeds):
            group = file.group(f"seed_{seed}")
            train, test = split(dataset, seed, config.run.test)
            arms = ("device", *config.run.controls)
            is_watched = config.drift.settings() is not None
            SeedRecord.lay_out(group, seed, train, test, arms, drift=is_watched)
            for i, device in enumerate(devices):
                if is_recorded(config, device):
                    lay_out_rows(device, group.group(f"measurements_{i}"))
        file.set(standing=standing)  # the last: it says that all is there
        file.flush()
        return cls(file, config)

    def stand_on(self, standing: Mapping[str, Any], accepted: list[str]) -> None:
        """Take note of what the run stands on from now on, and of the accepted differences."""
        self._note(accepted)
        self._file.set(standing=standing)

    def opened(self, devices: Sequence[Device]) -> None:
        """Take note of the instruments that answer; others than before are a difference, too.

        Raises
        ------
        DifferentError
            If others answer, and that is not accepted.
        """
        answer = {f"device {i}": identity_of(d).get("instruments") for i, d in enumerate(devices)}
        before = read_attributes(self._file.h5).get("instruments", answer)
        self._note(agree(str(self.path), before, answer, accept=self._accept))
        self._file.set(instruments=answer)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary of a run whose seeds are all done."""
        with self._file.restructuring():  # of very many seeds, it does not fit its place
            self._file.set(summary=summary)

    def publish(self) -> None:
        """Write what was learned as named arrays."""
        for seed in self.seeds:
            seed.publish()

    def _note(self, accepted: list[str]) -> None:
        if accepted:
            before = read_attributes(self._file.h5).get("accepted", [])
            self._file.set(accepted=[*before, *(line[:300] for line in accepted)][-20:])
