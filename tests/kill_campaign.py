"""Kill training runs and sweeps again and again, and go on with them until they are whole.

    python tests/kill_campaign.py --kills 200 --seed 0

After each kill -9: the file opens, once what was broken off is undone; every row that was flushed
is there, and so is every row that was measured more than a second before, not counting the time for
which the machine did not let the process run. At the end: a resumed run is the uninterrupted one
bit for bit, a sweep has every point once. Processes are forked, so that a kill costs no start of
Python.
"""

from __future__ import annotations

import argparse
import os
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
from run_content import assert_same, content

import pnn
from devices import FunctionDevice, register_device
from devices.hdf5 import RowLog, group, read_attributes, recover, valid_rows
from pnn.config import Config
from pnn.data import Dataset
from pnn.experiment import resume, run
from pnn.run_file import load

_RNG = np.random.default_rng(0)
DATA = Dataset(
    name="corners",
    X=_RNG.uniform(-1, 1, (80, 6)),
    y=np.arange(80) % 2,
    classes=("one", "other"),
)
MATRIX = _RNG.standard_normal((6, 10))
LATE_S = 1.0
BEAT_S = 0.02

#: What the process that is killed notes: when it measured a row, how many rows it flushed, and
#: every now and then that it runs.
NOTES = ("measured", "flushed", "beats")
_notes: dict[str, int] = {}


def note(name: str, value: float) -> None:
    """Write a number where it survives the process."""
    if _notes:
        os.write(_notes[name], struct.pack("d", value))


def beat() -> None:
    """Note again and again that the machine lets this process run."""
    while True:
        note("beats", time.monotonic())
        time.sleep(BEAT_S)


def bench(seconds: float = 0.005, reproducible: bool = False) -> FunctionDevice:
    """Sines of projections, one row at a time; notes the moment of each row."""

    def measure(drives):
        time.sleep(seconds * len(drives))
        note("measured", time.monotonic())
        return np.sin(drives @ MATRIX)

    return FunctionDevice(
        measure, 6, 10, low=-1, high=1, name="bench", max_batch=1, reproducible=reproducible
    )


class NotingLog(RowLog):
    """What a row log becomes in the process that is killed: it notes what it flushes."""

    of_drives = False

    def append(self, **columns):
        self.of_drives = "drives" in columns
        super().append(**columns)

    def flush(self):
        if self.of_drives:
            note("flushed", -time.monotonic())  # it began
        super().flush()
        if self.of_drives:
            note("flushed", self.count - self.waiting)


class Job:
    """Something that is killed: begun, gone on with, compared with what was never killed."""

    rows_at = ""

    def __init__(self, folder: Path) -> None:
        self.path, self.whole = folder / "killed.h5", folder / "whole.h5"

    def prepare(self) -> float:
        """Run it once without a kill and return its seconds."""
        clock = time.monotonic()
        self.begin(self.whole)
        return time.monotonic() - clock

    def rows(self) -> int:
        """Return the rows in the file."""
        with h5py.File(self.path) as file:
            return (valid_rows(file[self.rows_at]) or 0) if self.rows_at in file else 0


class Training(Job):
    """A training run; of a bench it is recorded, of a simulator it is not."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder)
        self.rows_at = "seed_0/measurements_0" if name == "bench" else "none"
        noise = {"name": "noisy", "additive": 0.05, "seed": 1}
        self.tables = {
            "data": "corners",
            "device": {"name": f"campaign:{name}", "wrap": [noise]},
            "rule": "mono-forward",
            "network": {"width": 6, "layers": 2, "adapter": "project"},
            "training": {"epochs": 3, "check_every": 1, "batch_size": 32, "schedule": "joint"},
            "run": {"controls": ["linear", "affine"]},
        }

    def begin(self, path: Path) -> None:
        config = Config.model_validate(self.tables)
        run(config.with_(run={"out": str(path)}), DATA)

    def go_on(self) -> None:
        resume(self.path, DATA, accept=True)

    def check_open(self) -> None:
        with h5py.File(self.path) as file:
            begun = "standing" in file.attrs
            trained = begun and "device" in read_attributes(file["seed_0"]).get("arms", {})
        if trained:
            load(self.path)

    def check_whole(self) -> None:
        assert_same(content(self.path), content(self.whole))


class Sweep(Job):
    """A sweep over two inputs, in random order."""

    rows_at = "rows"

    def begin(self, path: Path) -> None:
        axes = {"drive.0": {"from": -1, "to": 1, "points": 12}, "drive.1": [-0.5, 0.0, 0.5]}
        pnn.sweep(
            device="campaign:bench", axes=axes, probe=4, repeats=2, metrics=["mean"],
            out=str(path), seed=3,
        )  # fmt: skip

    def go_on(self) -> None:
        pnn.sweep(resume=self.path, accept=True)

    def check_open(self) -> None:
        with h5py.File(self.path) as file:
            if "rows" in file:
                points = file["rows/point"][: self.rows()]
                assert np.unique(points, return_counts=True)[1].max(initial=0) <= 4

    def check_whole(self) -> None:
        found = []
        for path in (self.path, self.whole):
            with h5py.File(path) as file:
                assert read_attributes(file)["status"] == "done"
                assert file["grid/done"][()].all()
                rows = {key: file["rows"][key][()] for key in ("point", "drive", "answers")}
            order = np.lexsort((rows["drive"], rows["point"]))
            found.append({key: values[order] for key, values in rows.items()})
        assert_same(*found)


def child(job: Job, folder: Path, *, new: bool) -> int:
    """Fork a process that begins or goes on with the job; return its id."""
    for name in NOTES:  # here, since the child may be killed before it does anything
        (folder / name).write_bytes(b"")
    number = os.fork()
    if number:
        return number
    try:
        sys.stderr = sys.stdout = open(folder / "told", "w")  # noqa: SIM115
        _notes.update({name: os.open(folder / name, os.O_WRONLY | os.O_APPEND) for name in NOTES})
        threading.Thread(target=beat, daemon=True).start()
        group.RowLog = NotingLog
        job.begin(job.path) if new else job.go_on()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def one_kill(job: Job, folder: Path, delay: float) -> str:
    """Let the job run, kill it after `delay` seconds, check what is left; say what happened."""
    new = not job.path.exists()
    before = 0 if new else job.rows()
    number = child(job, folder, new=new)
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline:
        ended, status = os.waitpid(number, os.WNOHANG)
        if ended:
            if status:
                raise AssertionError((folder / "told").read_text())
            job.check_whole()
            return "completed"
        time.sleep(0.002)
    killed = time.monotonic()
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    measured, flushed, beats = (_noted(folder / name) for name in NOTES)
    if len(flushed) and flushed[-1] < 0:  # the disk was slow, and killed in the middle of it
        killed = -flushed[-1]
    if not job.path.exists():
        return "killed before there was a file"
    try:
        recover(job.path)
        rows = job.rows()
        job.check_open()
    except (OSError, RuntimeError, KeyError):
        # While a file is made and laid out nothing is driven, and nothing can be lost.
        assert new, "a file that was whole cannot be read any more"
        assert not len(measured), "a file with measured rows cannot be read"
        job.path.unlink()
        return "killed while the file was made"
    if job.rows_at != "none":
        assert rows >= max(flushed, default=0), f"{max(flushed)} rows flushed, {rows} left"
        # What waits is written a second later at the most.
        due = before + int(np.count_nonzero(measured < _a_second_before(killed, beats)))
        assert rows >= due, (
            f"{folder.name}: {due} rows were measured a second before the kill, {rows} are left; "
            f"{before} before, flushed {flushed[-5:]}, ages in s {(killed - measured)[::10]}, "
            f"beats {(killed - beats)[-10:]}"
        )
    if new and not _is_laid_out(job.path):
        assert not len(measured)
        job.path.unlink()
        return "killed while the file was laid out"
    return "killed and checked"


def _noted(path: Path) -> np.ndarray:
    data = path.read_bytes()
    return np.frombuffer(data[: len(data) // 8 * 8])


def _a_second_before(killed: float, beats: np.ndarray) -> float:
    """Return the moment after which the process ran for a second; -inf if it ran for less."""
    moments = np.append(beats[beats < killed], killed)[::-1]
    ran = np.cumsum(np.minimum(-np.diff(moments), 2 * BEAT_S))
    enough = np.flatnonzero(ran >= LATE_S)
    return moments[enough[0] + 1] if len(enough) else -np.inf


def _is_laid_out(path: Path) -> bool:
    with h5py.File(path) as file:
        return "standing" in file.attrs


def campaign(kills: int, seed: int, folder: Path, tell=lambda text: None) -> Counter[str]:
    """Kill that often; raise `AssertionError` at the first promise that is broken."""
    from devices import available_devices

    if "campaign:bench" not in available_devices():
        register_device("campaign:bench", bench)
        register_device("campaign:simulator", lambda: bench(0.001, reproducible=True))
    random, happened = np.random.default_rng(seed), Counter()
    jobs: list[tuple[Job, Path, float]] = []
    for name, make in {
        "simulator": lambda at: Training(at, "simulator"),
        "bench": lambda at: Training(at, "bench"),
        "sweep": Sweep,
    }.items():
        place = folder / name
        place.mkdir()
        job = make(place)
        if not jobs:
            job.begin(folder / "first.h5")  # modules are loaded, which is not to be timed
        jobs.append((job, place, job.prepare()))
        tell(f"{name}: {jobs[-1][2]:.2f} s without a kill")
    done = 0
    while done < kills:
        job, place, seconds = jobs[random.integers(len(jobs))]
        what = one_kill(job, place, float(random.uniform(0.0, 1.5 * seconds)))
        happened[f"{place.name}: {what}"] += 1
        if what == "completed":
            job.path.unlink()
        else:
            done += 1
            tell(f"{done} of {kills}: {place.name} {what}")
    for job, place, _ in jobs:  # what is still broken off comes to its end, too
        if job.path.exists():
            while one_kill(job, place, 600.0) != "completed":
                pass
            happened[f"{place.name}: completed"] += 1
    return happened


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="how often to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    clock = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        happened = campaign(arguments.kills, arguments.seed, Path(folder), print)
    for what, count in sorted(happened.items()):
        print(f"{count:5d}  {what}")
    print(f"all promises kept, {time.monotonic() - clock:.0f} s")


if __name__ == "__main__":
    main()
