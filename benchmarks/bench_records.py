"""Rows and bytes per second of the record writer, beside raw h5py writing the same blocks.

Both write the same columns in blocks of 256 rows with a flush after each block; the writer copies
and checks the rows, keeps its index, looks after the free space and brings the file to the disk.
The two take turns, so that what else the machine does hits both.

    python benchmarks/bench_records.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from devices.hdf5 import BLOCK_ROWS, Column, RecordFile


def ours(path: Path, block: dict[str, np.ndarray], blocks: int) -> float:
    """Write the blocks as records and return the seconds."""
    width = {"i": block["drives"].shape[1]}, {"o": block["answers"].shape[1]}
    with RecordFile(path, kind="bench") as file:
        log = file.rows(
            {"drives": Column(dims=width[0]), "answers": Column(dims=width[1]), "time": Column()}
        )
        began = time.perf_counter()
        for _ in range(blocks):
            log.append(**block)
        log.flush()
        return time.perf_counter() - began


def raw(path: Path, block: dict[str, np.ndarray], blocks: int) -> float:
    """Write the blocks with plain h5py, into chunks of the same size."""
    with h5py.File(path, "w") as file:
        data = {
            name: file.create_dataset(
                name, (0, *values.shape[1:]), values.dtype, maxshape=(None, *values.shape[1:]),
                chunks=(chunk(values), *values.shape[1:]),
            )
            for name, values in block.items()
        }  # fmt: skip
        file.flush()
        began = time.perf_counter()
        for number in range(blocks):
            start = number * BLOCK_ROWS
            for name, dataset in data.items():
                dataset.resize(start + BLOCK_ROWS, axis=0)
                dataset[start:] = block[name]
            file.flush()
        return time.perf_counter() - began


def chunk(values: np.ndarray) -> int:
    """Return the rows of a chunk, as the writer chooses them."""
    return max(1, min(BLOCK_ROWS, 2**18 // (values.itemsize * int(np.prod(values.shape[1:])))))


def main() -> None:
    """Print a line for each width of a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=60.0, help="written for each figure")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", default=None, help="where to write; a temporary one")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(
        "values/row   rows/s ours     raw    ratio   MB/s ours     raw   (medians, 256-row blocks)"
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for width in (2, 20, 200, 2000, 20_000):
            block = {
                "drives": rng.normal(size=(BLOCK_ROWS, width // 2)),
                "answers": rng.normal(size=(BLOCK_ROWS, width // 2)),
                "time": np.zeros(BLOCK_ROWS),
            }
            size = sum(values.nbytes for values in block.values())
            blocks = int(min(4000, max(8, options.megabytes * 1e6 // size)))
            seconds = {ours: [], raw: []}
            for repeat in range(options.repeats):
                for write in (ours, raw) if repeat % 2 else (raw, ours):
                    path = Path(folder) / "bench.h5"
                    seconds[write].append(write(path, block, blocks))
                    path.unlink()
            ratio = float(np.median(np.divide(seconds[raw], seconds[ours])))
            mine, theirs = (float(np.median(seconds[one])) for one in (ours, raw))
            rows, mb = blocks * BLOCK_ROWS, blocks * size / 1e6
            print(
                f"{width:10d} {rows / mine:13.0f} {rows / theirs:8.0f} {ratio:8.2f} "
                f"{mb / mine:11.0f} {mb / theirs:7.0f}"
            )


if __name__ == "__main__":
    main()
