"""Files as a kill leaves them after any one of the writes that the library makes."""

import io
from types import SimpleNamespace

import h5py
import numpy as np

from devices.hdf5 import Column, RecordFile, file, read_bundle, session, tables, valid_rows

COLUMNS = {"x": Column(dims={"input": 20}, unit="V"), "k": Column(dtype="int32")}
FLAGS = {"flags": Column(dtype="uint8")}


class Disk(io.RawIOBase):
    """A file that keeps all that is done to it; h5py writes to it as it would to a path."""

    def __init__(self, path):
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
        self.done.append((self.tell(), bytes(data)))
        return self.file.write(data)

    def truncate(self, size=None):
        self.done.append((size, None))
        return self.file.truncate(size)

    def flush(self):
        self.file.flush()

    def after_each(self):
        """Yield the content after no write, after one, and so on."""
        image = self.before
        yield image
        for place, data in self.done:
            end = place if data is None else max(len(image), place + len(data))
            image = image[:end].ljust(end, b"\0")
            if data is not None:
                image[place : place + len(data)] = data
            yield image


class Bench:
    """Record files written to a `Disk`, with what they promise after each step."""

    def __init__(self, path, monkeypatch):
        self.path, self.patch, self.promised = path, monkeypatch, []

    def opened(self, path, mode, **options):
        if mode == "r":
            return h5py.File(path, mode)
        self.disk = Disk(path)
        return h5py.File(self.disk, "w" if mode == "x" else mode, **options)

    def __enter__(self):
        self.patch.setattr(file, "h5py", SimpleNamespace(File=self.opened))
        # Nothing to be synchronised.
        self.patch.setattr(session, "os", SimpleNamespace(name="other"))
        return self

    def __exit__(self, *error):
        self.patch.undo()

    def promise(self, **rows):
        """Say how many rows each table has from now on, and which checkpoint there is."""
        self.promised.append((len(self.disk.done), rows))

    def kills(self):
        """Yield what is promised and the content, for a kill after each write."""
        for n, image in enumerate(self.disk.after_each()):
            kept = [rows for at, rows in self.promised if at <= n]
            if kept:
                yield kept[-1], bytes(image)


def rows(start, stop):
    at = np.arange(start, stop)
    return {"x": np.repeat(at[:, None], 20, axis=1), "k": at}


def check_and_go_on(path, promised):
    """Check that a killed file opens with what was promised, and that more rows can follow."""
    with h5py.File(path) as found:
        for name in promised.keys() - {"checkpoint"}:
            assert valid_rows(found[name]) >= promised[name]
        if "checkpoint" in promised:
            assert read_bundle(found, "checkpoint")["step"] >= promised["checkpoint"]
    with RecordFile.reopen(path, kind="t") as again:
        log = again.group("a").rows(COLUMNS)
        before = log.count
        log.append(**rows(before, before + 300))
        again.bundle("checkpoint").write({"step": 100})
    assert before >= promised["a"]
    with h5py.File(path) as found:
        np.testing.assert_array_equal(found["a/k"][()], np.arange(before + 300))
        np.testing.assert_array_equal(found["a/x"][()], rows(0, before + 300)["x"])
        assert read_bundle(found, "checkpoint")["step"] == 100


def written(path, bench):
    """Write tables, checkpoints and texts, and lay out more in the middle of it."""
    with RecordFile(path, kind="t") as made:
        log = made.group("a").rows(COLUMNS)
        checkpoint = made.bundle("checkpoint")
        made.slot("note", 200)
        made.flush()
        bench.promise(a=0)
        promised = {}
        for step in range(1, 13):
            log.append(**rows(100 * step - 100, 100 * step))
            made.flush()
            bench.promise(**(promised := promised | {"a": 100 * step}))
            if step % 4 == 0:
                checkpoint.write({"step": step, "w": np.zeros(step * 5000)})
                bench.promise(**(promised := promised | {"checkpoint": step}))
                made.set(note="a" * step)
            if step == 6:
                with made.restructuring():
                    more = made.group("b").rows(FLAGS)
            if step > 6:
                more.append(flags=np.zeros(150))
                made.flush()
                bench.promise(**(promised := promised | {"b": 150 * (step - 6)}))


def test_a_kill_after_any_write_loses_nothing(tmp_path, monkeypatch):
    with Bench(tmp_path / "run.h5", monkeypatch) as bench:
        written(bench.path, bench)
    killed, tried = tmp_path / "killed.h5", 0
    for promised, image in bench.kills():
        killed.write_bytes(image)
        check_and_go_on(killed, promised)
        tried += 1
    assert tried > 200


def test_a_kill_while_a_killed_file_is_gone_on_with_loses_nothing(tmp_path, monkeypatch):
    with Bench(tmp_path / "run.h5", monkeypatch) as first:
        written(first.path, first)
    kills = list(first.kills())
    ragged = [one for one in kills if is_ragged(tmp_path / "looked_at.h5", one[1])]
    assert len(ragged) > 10
    for promised, image in ragged[:: len(ragged) // 8]:
        path = tmp_path / "again.h5"
        path.write_bytes(image)
        with Bench(path, monkeypatch) as second, RecordFile.reopen(path, kind="t") as again:
            log = again.group("a").rows(COLUMNS)
            log.append(**rows(log.count, log.count + 50))
        second.promised = [(0, promised)]
        for kept, later in second.kills():
            path.write_bytes(later)
            check_and_go_on(path, kept)


def is_ragged(path, image):
    path.write_bytes(image)
    with h5py.File(path) as found:
        return any(table.ragged for table in tables(found))
