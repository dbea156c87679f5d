"""Run a comparison: cells in parallel processes, one writer, resumable at every cell."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from devices.hdf5 import Column, RecordFile, RowLog, read_attributes, recover, valid_rows
from pnn.compare.config import CompareConfig
from pnn.compare.plan import Cell, ComparePlan, plan_comparison
from pnn.compare.references import linear_merit
from pnn.compare.work import Outcome, prepare, train_cell, work
from pnn.config import validated
from pnn.controls import CONTROLS
from pnn.data import Dataset, split
from pnn.run_path import default_path

__all__ = ["KIND", "Unfinished", "compare", "opened", "resume", "unfinished"]

KIND = "compare"

#: Called with the cells done, all cells, and the last cell that was done.
Progress = Callable[[int, int, Cell], None]

#: Called with what is going on before the first cell.
Say = Callable[[str], None]

_ERROR_BYTES = 200
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
    say: Say = lambda _: None,
) -> Path:
    """Train every cell and return the file that holds what they gave.

    The file has all its places before anything is computed, so that whatever stops this later
    leaves one that can be shown, and gone on with.

    Raises
    ------
    ValueError
        If no rule suits a device, before anything is driven.
    OSError
        If the file cannot be written, before anything is driven.
    """
    plan = plan or plan_comparison(config, dataset)
    path = Path(config.run.out or default_path(config.name))
    lacks = Unfinished(config, dataset, plan, tuple(range(len(plan.cells))))
    with RecordFile(path, kind=KIND) as file:
        content = config.model_dump(mode="json", exclude_unset=True)
        file.set(
            name=config.name,
            config=content,
            dataset=dataset.name,
            dataset_digest=dataset.digest(),
            task=dataset.task,
            in_time=dataset.washout is not None,
            classes=dataset.classes,
            refused=[[*cell, reason] for cell, reason in plan.refused.items()],
        )
        file.write("cells", [_numbers(cell) for cell in plan.cells], ("cell", "cell_field"))
        file.group("references").write(
            "linear",
            np.full((config.run.seeds, lacks.n_test), np.nan),
            ("seed", "test_row"),
            long_name="merit of each test row",
        )
        _go_on(file, lacks, progress, say, config.run.jobs)
    return path


@dataclass(frozen=True)
class Unfinished:
    """A comparison, and which cells of its plan are missing."""

    config: CompareConfig
    dataset: Dataset
    plan: ComparePlan
    missing: tuple[int, ...]

    @property
    def cells(self) -> list[Cell]:
        """The cells that are missing."""
        return [self.plan.cells[i] for i in self.missing]

    @property
    def n_test(self) -> int:
        """Rows of the largest test set: splits by groups differ in length.

        Of the others, what is missing counts as not measured.
        """
        tested = (split(self.dataset, s, self.config.run.test)[1] for s in _seeds(self.config))
        return max(map(len, tested))


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    """Open the file of a comparison to read it; give what it says of itself as well.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is of another kind, or was broken off before it had its places for results.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; give the file of a comparison")
    with h5py.File(path, "r") as file:
        attributes = read_attributes(file)
        if attributes.get("kind") != KIND:
            raise ValueError(f"{path} is no comparison (`pnn compare`)")
        if "results/result" not in file:
            raise ValueError(
                f"{path} was broken off before anything was computed, and holds nothing; delete "
                "it and begin again"
            )
        yield file, attributes


def unfinished(path: Path, load: Callable[[CompareConfig], Dataset]) -> Unfinished:
    """Return what a comparison lacks; nothing is driven, and nothing written.

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
    recover(path)
    with opened(path) as (file, attributes):
        cells, results = file["cells"][()], file["results"]
        done = set(results["cell"][: valid_rows(results, "result")].tolist())
    config = validated(CompareConfig, attributes["config"], str(path))
    dataset = load(config)
    if dataset.digest() != attributes["dataset_digest"]:
        raise ValueError(
            f"{path}: the data are not those of the file (digest {dataset.digest()}, there "
            f"{attributes['dataset_digest']}); give back the data that it began with"
        )
    plan = plan_comparison(config, dataset)
    if not np.array_equal(cells, [_numbers(cell) for cell in plan.cells]):
        raise ValueError(
            f"{path}: this version would train other cells than those in the file; start a "
            "new comparison"
        )
    missing = tuple(i for i in range(len(plan.cells)) if i not in done)
    return Unfinished(config, dataset, plan, missing)


def resume(
    path: Path,
    load: Callable[[CompareConfig], Dataset],
    progress: Progress = lambda *_: None,
    say: Say = lambda _: None,
    *,
    jobs: int | None = None,
) -> Path:
    """Train the cells that a file of an interrupted comparison lacks.

    Parameters
    ----------
    path : path
    load : callable
        Returns the data of the configuration that the file holds.
    progress, say : callable
    jobs : int, optional
        Processes; as many as before if not given.

    Raises
    ------
    ValueError
        As `unfinished`.
    """
    lacks = unfinished(path, load)
    with RecordFile.reopen(path, kind=KIND) as file:
        _go_on(file, lacks, progress, say, jobs or lacks.config.run.jobs)
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


def _results(file: RecordFile, config: CompareConfig, n_test: int) -> RowLog:
    """Return the table that each cell adds a row to."""
    n_looks = _looks(config)
    columns = {
        "cell": Column(dims={}, dtype="int64", long_name="row of cells"),
        "merit": Column(dims={"test_row": n_test}, long_name="merit of each test row"),
        "error": Column(dims={}, dtype=f"S{_ERROR_BYTES}", long_name="why a cell gave nothing"),
    }
    columns |= {
        name: Column(dims={}, dtype=kind, unit=unit, long_name=text)
        for name, (kind, unit, text) in _NUMBERS.items()
    }
    columns |= {
        f"merit_{name}": Column(
            dims={"test_row": n_test},
            long_name=f"merit of each test row with {CONTROLS[name]} in the device's place",
        )
        for name in config.run.controls
    }
    if n_looks:
        columns["curve"] = Column(
            dims={"look": n_looks, "look_field": 2},
            long_name="queries so far, and accuracy on the test rows, at every look",
        )
    return file.group("results").rows(columns, "result")


def _go_on(file: RecordFile, lacks: Unfinished, progress: Progress, say: Say, jobs: int) -> None:
    """Make up what is missing: linear models first, then trainings."""
    log = _results(file, lacks.config, lacks.n_test)
    try:
        _fit_linear(file, lacks.config, lacks.dataset, say)
        _train(lacks, log, progress, jobs)
    except BaseException as error:
        error.add_note(f"go on with: pnn compare --resume {shlex.quote(str(file.path))}")
        raise


def _fit_linear(file: RecordFile, config: CompareConfig, dataset: Dataset, say: Say) -> None:
    references = file.group("references")
    merits = references.h5["linear"][()]
    wanted = [i for i, known in enumerate(~np.isnan(merits)) if not known.any()]
    if wanted:
        say(f"fitting linear models to the raw input of {len(wanted)} splits")
    for i in wanted:
        merits[i] = _padded(linear_merit(config, dataset, _seeds(config)[i]), merits.shape[1])
        references.rewrite("linear", merits)
        file.flush()


def _train(lacks: Unfinished, log: RowLog, progress: Progress, jobs: int) -> None:
    config, plan, n_looks = lacks.config, lacks.plan, _looks(lacks.config)
    missing = dict(zip(lacks.missing, lacks.cells, strict=True))
    done, n_test = len(plan.cells) - len(missing), lacks.n_test
    jobs = jobs if plan.parallel else 1
    for i, outcome in _outcomes(config, lacks.dataset, missing, jobs):
        row: dict[str, Any] = asdict(outcome) | {"cell": i, "error": _cut(outcome.error)}
        row |= {f"merit_{name}": merit for name, merit in row.pop("controls").items()}
        row |= {name: _padded(row[name], n_test) for name in row if name.startswith("merit")}
        curve = np.pad(row.pop("curve"), ((0, n_looks), (0, 0)), constant_values=np.nan)
        if n_looks:
            row["curve"] = curve[:n_looks]
        log.append(**{name: [value] for name, value in row.items()})
        log.flush()
        done += 1
        progress(done, len(plan.cells), plan.cells[i])


def _seeds(config: CompareConfig) -> Sequence[int]:
    return range(config.run.seed, config.run.seed + config.run.seeds)


def _padded(merit: NDArray[np.float64], n_test: int) -> NDArray[np.float64]:
    return np.pad(merit, (0, n_test - len(merit)), constant_values=np.nan)


def _cut(text: str) -> str:
    """Return what of a text has room in the column."""
    return text.encode()[:_ERROR_BYTES].decode(errors="ignore")


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
