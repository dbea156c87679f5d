"""Which nodes of an index are at risk when rows are appended."""

import numpy as np
import pytest

from devices.hdf5 import Column, RecordFile, session
from devices.hdf5.undo import put_back, undo_file

X = {"x": Column(dims={"input": 3})}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr("devices.hdf5.group.chunk_rows", lambda tail, dtype: 1)
    return tmp_path / "run.h5"


@pytest.fixture
def guarded(monkeypatch):
    """Return the numbers of nodes that were kept, in the order of the flushes."""
    found = []

    def undoable(file, path, nodes):
        found.append(len(nodes))
        return real(file, path, nodes)

    real = session.undoable
    monkeypatch.setattr(session, "undoable", undoable)
    return found


def test_no_node_appears_that_was_not_expected(path, guarded):
    rng = np.random.default_rng(0)
    with RecordFile(path, kind="t") as file:
        log = file.rows(X)
        before = nodes = path.read_bytes().count(b"TREE\1")
        while log.count < 5000:  # more than 64 nodes: the tree gets a third level
            kept = len(guarded)
            log.append(x=np.zeros((rng.integers(1, 40), 3)))
            log.flush()
            now = path.read_bytes().count(b"TREE\1")
            assert now == nodes or len(guarded) > kept
            nodes = now
        assert nodes > before + 64
        assert set(guarded) == {1, 2, 3}  # the whole branch
    assert not undo_file(path).exists()


def test_a_live_file_needs_none(path, guarded):
    with RecordFile(path, kind="t", live=True) as file:
        file.rows(X).append(x=np.zeros((200, 3)))
    assert not guarded


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_what_is_not_the_undo_of_this_file_is_left_alone(path, monkeypatch, damage):
    def kept(file, path, nodes):
        undo = session_undoable(file, path, nodes)
        monkeypatch.setattr(type(path), "unlink", lambda *_, **__: None)
        return undo

    session_undoable = session.undoable
    with monkeypatch.context() as patch:
        patch.setattr(session, "undoable", kept)
        with RecordFile(path, kind="t") as file:
            file.rows(X).append(x=np.zeros((200, 3)))
    monkeypatch.undo()
    undo = undo_file(path)
    if damage == "cut":
        undo.write_bytes(undo.read_bytes()[:-1])
    else:
        path.unlink()
        with RecordFile(path.with_name("new.h5"), kind="t") as file:
            file.rows(X).append(x=np.zeros((20, 3)))
        path.with_name("new.h5").rename(path)
    before = path.read_bytes()
    assert not put_back(path, undo)
    assert path.read_bytes() == before
    rows = 200 if damage == "cut" else 20
    with RecordFile.reopen(path, kind="t") as file:
        assert len(file.h5["x"]) == rows
    assert not undo.exists()


def test_a_new_file_does_not_take_the_undo_of_an_old_one(path):
    undo_file(path).write_bytes(b"of a file that is gone")
    with RecordFile(path, kind="t"):
        assert not undo_file(path).exists()
