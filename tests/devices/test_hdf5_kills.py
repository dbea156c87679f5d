"""Files as a kill leaves them after any one of the writes that the library makes."""

import io
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from devices.hdf5 import (
    Column,
    RecordFile,
    bundle,
    file,
    group,
    read_bundle,
    session,
    tables,
    valid_rows,
)
from devices.hdf5.undo import undo_file

COLUMNS = {"x": Column(dims={"input": 20}, unit="V"), "k": Column(dtype="int32")}
FLAGS = {"flags": Column(dtype="uint8")}


class Disk(io.RawIOBase):
    """A file that keeps all that is done to it; h5py writes to it as it would to a path."""

    def __init__(self, path):
        self.undo = undo_file(path)
        self.file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self.before, self.done = bytearray(self.file.read()), []

    def readable(self):
        return True

    writable = seekable = readable

    def seek(self, *place):
        return self.file.seek(*place)

    def tell(self):
        return self.file.tell()

    def readinto(self, buffer):
        return self.file.readinto(buffer)

    def write(self, data):
        self.done.append((self.tell(), bytes(data), self.undone()))
        return self.file.write(data)

    def truncate(self, size=None):
        self.done.append((size, None, self.undone()))
        return self.file.truncate(size)

    def flush(self):
        self.file.flush()

    def undone(self):
        """Return what there is to undo a write with."""
        return self.undo.read_bytes() if self.undo.exists() else None

    def after_each(self):
        """Yield the content, and the undo, as they are after each number of writes."""
        image = self.before
        yield 0, image, None
        for n, (place, data, undo) in enumerate(self.done, 1):
            end = place if data is None else max(len(image), place + len(data))
            image = image[:end].ljust(end, b"\0")
            if data is not None:
                image[place : place + len(data)] = data
            if undo:
                yield n - 1, image, undo  # what came before may still be undone
            if not undo or n == len(self.done) or not self.done[n][2]:
                yield n, image, None


class Bench:
    """Record files written to a `Disk`, with what they promise after each step."""

    def __init__(self, path):
        self.path, self.patch, self.promised = path, pytest.MonkeyPatch(), []

    def opened(self, path, mode, **options):
        if mode == "r":
            return h5py.File(path, mode)
        self.disk = Disk(path)
        return h5py.File(self.disk, "w" if mode == "x" else mode, **options)

    def __enter__(self):
        self.patch.setattr(file, "h5py", SimpleNamespace(File=self.opened))
        self.patch.setattr(session, "os", SimpleNamespace(name="other"))  # no descriptor
        return self

    def __exit__(self, *error):
        self.patch.undo()

    def promise(self, **rows):
        """Say how many rows each table has from now on, and which checkpoint there is."""
        self.promised.append((len(self.disk.done), rows))

    def kills(self):
        """Yield what is promised and what there is, for a kill after each write."""
        for n, image, undo in self.disk.after_each():
            kept = [rows for at, rows in self.promised if at <= n]
            if kept:
                yield kept[-1], bytes(image), undo


def left(path, image, undo):
    """Put there what a kill left."""
    path.write_bytes(image)
    undo_file(path).unlink(missing_ok=True)
    if undo:
        undo_file(path).write_bytes(undo)


def rows(start, stop):
    at = np.arange(start, stop)
    return {"x": np.repeat(at[:, None], 20, axis=1), "k": at}


def check(file, promised):
    file.visititems(lambda _, item: dict(item.attrs))
    for name in promised.keys() - {"checkpoint"}:
        assert valid_rows(file[name]) >= promised[name]
    if "checkpoint" in promised:
        assert read_bundle(file, "checkpoint")["step"] >= promised["checkpoint"]


def check_and_go_on(path, promised):
    """Check that a killed file opens with what was promised, and that more rows can follow."""
    if not undo_file(path).exists():
        with h5py.File(path) as found:
            check(found, promised)
    with RecordFile.reopen(path, kind="t") as again:
        check(again.h5, promised)
        log = again.group("a").rows(COLUMNS)
        before = log.count
        log.append(**rows(before, before + 300))
        again.bundle("checkpoint").write({"step": 100})
    with h5py.File(path) as found:
        np.testing.assert_array_equal(found["a/k"][()], np.arange(before + 300))
        np.testing.assert_array_equal(found["a/x"][()], rows(0, before + 300)["x"])
        assert read_bundle(found, "checkpoint")["step"] == 100


def written(path, bench, steps):
    """Write tables, checkpoints and texts, and lay out more in the middle of it."""
    with RecordFile(path, kind="t") as made:
        log = made.group("a").rows(COLUMNS)
        checkpoint = made.bundle("checkpoint")
        made.slot("note", 200)
        made.flush()
        bench.promise(a=0)
        promised = {}
        for step in range(1, steps + 1):
            log.append(**rows(100 * step - 100, 100 * step))
            made.flush()
            bench.promise(**(promised := promised | {"a": 100 * step}))
            if step % 4 == 0:
                checkpoint.write({"step": step, "w": np.zeros(step * 5000)})
                bench.promise(**(promised := promised | {"checkpoint": step}))
                made.set(note="a" * step)
            if step == steps // 2:
                with made.restructuring():
                    for k in range(20):
                        made.group(f"arm_{k}").set(name="a" * 100)
                        made.group(f"arm_{k}").write("weights", np.zeros(k), ["weight"])
                    made.set(told="a" * 300)
                    more = made.group("b").rows(FLAGS)
            if step > steps // 2:
                more.append(flags=np.zeros(150))
                made.flush()
                bench.promise(**(promised := promised | {"b": 150 * (step - steps // 2)}))


@pytest.fixture(params=["small tables", "indexes that grow"])
def killed(request, tmp_path, monkeypatch):
    """Return what kills leave of a file, after each of the writes."""
    grow = request.param == "indexes that grow"
    if grow:
        monkeypatch.setattr(group, "chunk_rows", lambda tail, dtype: 4)
        monkeypatch.setattr(bundle, "_CHUNK", 1024)
    with Bench(tmp_path / "run.h5") as bench:
        written(bench.path, bench, steps=5 if grow else 12)
    return list(bench.kills())


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_after_any_write_loses_nothing(killed, tmp_path, every):
    assert len(killed) > 200
    for promised, image, undo in killed[::every]:
        left(path := tmp_path / "killed.h5", image, undo)
        check_and_go_on(path, promised)


@pytest.mark.parametrize("few", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_kill_while_a_killed_file_is_gone_on_with_loses_nothing(killed, tmp_path, few):
    path = tmp_path / "killed.h5"
    ragged = [one for one in killed if one[2] or is_ragged(path, one[1])]
    assert len(ragged) > 10
    for promised, image, undo in ragged[:: len(ragged) // few]:
        left(path, image, undo)
        with Bench(path) as second, RecordFile.reopen(path, kind="t") as again:
            log = again.group("a").rows(COLUMNS)
            log.append(**rows(log.count, log.count + 50))
        second.promised = [(0, promised)]
        for kept, *there in second.kills():
            left(path, *there)
            check_and_go_on(path, kept)


def is_ragged(path, image):
    path.write_bytes(image)
    with h5py.File(path) as found:
        return any(table.ragged for table in tables(found))
