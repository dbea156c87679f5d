"""Rows and bytes per second of the record writer, beside raw h5py writing the same blocks.

Both write the same columns in blocks of 256 rows with a flush after each block; the writer copies
and checks the rows, keeps its index, looks after the free space and brings the file to the disk.
They take turns block by block, and the median block of each counts, so that what else the machine
does hits both alike and weighs little.

    python benchmarks/bench_records.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from devices.hdf5 import BLOCK_ROWS, Column, RecordFile, RecordGroup

Block = dict[str, np.ndarray]


def ours(file: RecordGroup, block: Block) -> Callable[[], None]:
    """Return what writes the block once more, as a record."""
    widths = {
        name: {f"{name}_value": values.shape[1]}
        for name, values in block.items()
        if values.ndim > 1
    }
    log = file.rows({name: Column(dims=widths.get(name, {})) for name in block})
    return lambda: log.append(**block)  # a whole block goes out at once


def raw(file: h5py.File, block: Block) -> Callable[[], None]:
    """Return what writes the block once more with plain h5py, into chunks of the same size."""
    data = {
        name: file.create_dataset(
            name, (0, *values.shape[1:]), values.dtype, maxshape=(None, *values.shape[1:]),
            chunks=(chunk(values), *values.shape[1:]),
        )
        for name, values in block.items()
    }  # fmt: skip
    file.flush()

    def write() -> None:
        for name, dataset in data.items():
            start = len(dataset)
            dataset.resize(start + BLOCK_ROWS, axis=0)
            dataset[start:] = block[name]
        file.flush()

    return write


def chunk(values: np.ndarray) -> int:
    """Return the rows of a chunk, as the writer chooses them."""
    return max(1, min(BLOCK_ROWS, 2**18 // (values.itemsize * int(np.prod(values.shape[1:])))))


def seconds(write: Callable[[], None]) -> float:
    """Return how long writing one block takes."""
    began = time.perf_counter()
    write()
    return time.perf_counter() - began


def main() -> None:
    """Print a line for each width of a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=400.0, help="written for each figure")
    parser.add_argument("--folder", default=None, help="where to write; a temporary one")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print("values/row   rows/s ours     raw    ratio   MB/s ours     raw   (median of the blocks)")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for width in (2, 20, 200, 2000, 20_000):
            block = {
                "drives": rng.normal(size=(BLOCK_ROWS, width // 2)),
                "answers": rng.normal(size=(BLOCK_ROWS, width // 2)),
                "time": np.zeros(BLOCK_ROWS),
            }
            size = sum(values.nbytes for values in block.values())
            blocks = int(min(1000, max(20, options.megabytes * 1e6 / size)))
            paths = [Path(folder) / f"{name}-{width}.h5" for name in ("ours", "raw")]
            with RecordFile(paths[0], kind="bench") as record, h5py.File(paths[1], "w") as plain:
                writers = [ours(record, block), raw(plain, block)]
                took = np.array([[seconds(write) for write in writers] for _ in range(blocks)])
            for path in paths:
                path.unlink()
            mine, theirs = np.median(took, axis=0)
            print(
                f"{width:10d} {BLOCK_ROWS / mine:13.0f} {BLOCK_ROWS / theirs:8.0f} "
                f"{theirs / mine:8.2f} {size / 1e6 / mine:11.0f} {size / 1e6 / theirs:7.0f}"
            )


if __name__ == "__main__":
    main()
