"""Run a comparison: cells in parallel processes, one writer, resumable at every cell."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from devices.hdf5 import Column, RecordFile, RowLog, read_attributes, valid_rows
from pnn.compare.config import CompareConfig
from pnn.compare.plan import Cell, ComparePlan, plan_comparison
from pnn.compare.references import reference_merits
from pnn.compare.work import Outcome, prepare, train_cell, work
from pnn.config import validated
from pnn.data import Dataset
from pnn.run_path import default_path

__all__ = ["KIND", "compare", "resume"]

KIND = "compare"

#: Called with the cells done, all cells, and the last cell that was done.
Progress = Callable[[int, int, Cell], None]

_NUMBERS = {
    "train": ("int64", "1", "queries for training"),
    "validation": ("int64", "1", "queries for validation"),
    "test": ("int64", "1", "queries for testing"),
    "seconds": ("float64", "s", "seconds of training and testing"),
    "device_seconds": ("float64", "s", "seconds in the device"),
    "device_joules": ("float64", "J", "energy of the device"),
    "conversion_joules": ("float64", "J", "energy of the converters"),
    "multiply_adds": ("int64", "1", "digital multiply-adds of training"),
    "multiply_adds_per_row": ("int64", "1", "digital multiply-adds of one prediction"),
}


def compare(
    config: CompareConfig,
    dataset: Dataset,
    plan: ComparePlan | None = None,
    progress: Progress = lambda *_: None,
) -> Path:
    """Train every cell and return the file that holds what they gave.

    Raises
    ------
    ValueError
        If no rule suits a device, before anything is driven.
    OSError
        If the file cannot be written, before anything is driven.
    """
    plan = plan or plan_comparison(config, dataset)
    path = Path(config.run.out or default_path(config.name))
    with RecordFile(path, kind=KIND) as file:
        content = config.model_dump(mode="json", exclude_unset=True)
        file.set(
            name=config.name,
            config=content,
            dataset=dataset.name,
            dataset_digest=dataset.digest(),
            task=dataset.task,
            classes=dataset.classes,
            refused=[[*cell, reason] for cell, reason in plan.refused.items()],
        )
        file.write("cells", [_numbers(cell) for cell in plan.cells], ("cell", "cell_field"))
        references = file.group("references")
        for name, merits in reference_merits(config, dataset).items():
            references.write(name, merits, ("seed", "test_row"), long_name="merit of each test row")
        log = _results(file, len(merits[0]), _looks(config))
        _train(config, dataset, plan, set(), log, progress)
    return path


def resume(
    path: Path,
    load: Callable[[CompareConfig], Dataset],
    progress: Progress = lambda *_: None,
) -> Path:
    """Train the cells that a file of an interrupted comparison lacks.

    Parameters
    ----------
    path : path
    load : callable
        Returns the data of the configuration that the file holds.

    Raises
    ------
    ValueError
        If the file is none of a comparison, or data or plan are not those of the file.
    """
    with RecordFile.reopen(path, kind=KIND) as file:
        attributes = read_attributes(file.h5)
        config = validated(CompareConfig, attributes["config"], str(path))
        dataset = load(config)
        if dataset.digest() != attributes["dataset_digest"]:
            raise ValueError(
                f"{path}: the data are not those of the file (digest {dataset.digest()}, there "
                f"{attributes['dataset_digest']}); give back the data that it began with"
            )
        plan = plan_comparison(config, dataset)
        if not np.array_equal(file.h5["cells"][()], [_numbers(cell) for cell in plan.cells]):
            raise ValueError(
                f"{path}: this version would train other cells than those in the file; start a "
                "new comparison"
            )
        log = _results(file, file.h5["results/merit"].shape[1], _looks(config))
        done = set(file.h5["results/cell"][: valid_rows(file.h5["results"], "result")].tolist())
        _train(config, dataset, plan, done, log, progress)
    return path


def _looks(config: CompareConfig) -> int:
    """Return the most looks that a training can have, where these are kept."""
    if not config.run.curves:
        return 0
    counts = []
    for r, d in itertools.product(range(len(config.rules)), range(len(config.devices))):
        cell = config.config(r, d, config.run.seed)
        counts.append(-(-cell.training.epochs // cell.training.check_every) * cell.network.layers)
    return max(counts) + 1  # one more for what is learned of all layers at the end


def _results(file: RecordFile, n_test: int, n_looks: int) -> RowLog:
    """Return the table that each cell adds a row to."""
    columns = {
        "cell": Column(dims={}, dtype="int64", long_name="row of cells"),
        "merit": Column(dims={"test_row": n_test}, long_name="merit of each test row"),
        "error": Column(dims={}, dtype="S200", long_name="why a cell gave nothing"),
    }
    columns |= {
        name: Column(dims={}, dtype=kind, unit=unit, long_name=text)
        for name, (kind, unit, text) in _NUMBERS.items()
    }
    if n_looks:
        columns["curve"] = Column(
            dims={"look": n_looks, "look_field": 2},
            long_name="queries so far, and accuracy on the test rows, at every look",
        )
    return file.group("results").rows(columns, "result")


def _train(
    config: CompareConfig,
    dataset: Dataset,
    plan: ComparePlan,
    done: set[int],
    log: RowLog,
    progress: Progress,
) -> None:
    missing = {i: cell for i, cell in enumerate(plan.cells) if i not in done}
    jobs = config.run.jobs if plan.parallel else 1
    n_looks = _looks(config)
    for i, outcome in _outcomes(config, dataset, missing, jobs):
        row: dict[str, Any] = asdict(outcome) | {"cell": i, "error": outcome.error[:200]}
        curve = np.pad(row.pop("curve"), ((0, n_looks), (0, 0)), constant_values=np.nan)
        if n_looks:
            row["curve"] = curve[:n_looks]
        log.append(**{name: [value] for name, value in row.items()})
        log.flush()
        done.add(i)
        progress(len(done), len(plan.cells), plan.cells[i])


def _outcomes(
    config: CompareConfig, dataset: Dataset, cells: dict[int, Cell], jobs: int
) -> Iterator[tuple[int, Outcome]]:
    """Train cells and yield what they gave as it comes."""
    if jobs == 1 or len(cells) < 2:
        for i, cell in cells.items():
            yield i, train_cell(config, dataset, cell)
        return
    # Fresh processes: a fork of one that has threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=prepare, initargs=(config, dataset))
    try:
        futures: dict[Future[Outcome], int] = {
            pool.submit(work, cell): i for i, cell in cells.items()
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        # What runs is not waited for: its cell is missing in the file, and is trained on resume.
        for process in list(getattr(pool, "_processes", {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _numbers(cell: Cell) -> list[int]:
    return list(asdict(cell).values())
