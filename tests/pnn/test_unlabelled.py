"""Rows to predict, with or without labels."""

import numpy as np
import pytest

from pnn.data.unlabelled import read_features

ROWS = np.array([[0.5, 1.0, -2.0], [3.0, 4.5, 0.0]])


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["", "a{0}b{0}c\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_of_nothing_but_features(tmp_path, delimiter, header, mark):
    lines = "\n".join(delimiter.join(str(v) for v in row) for row in ROWS)
    path = written(tmp_path, "new.csv", mark + header.format(delimiter) + lines + "\n\n")
    X, labels = read_features(path, 3)
    np.testing.assert_array_equal(X, ROWS)
    assert labels is None


def test_a_table_with_one_more_column_has_labels(tmp_path):
    path = written(tmp_path, "new.csv", "a,b,c,kind\n0.5,1,-2,x\n3,4.5,0,y\n1,1,1,x\n2,2,2,y\n")
    X, labels = read_features(path, 3)
    np.testing.assert_array_equal(X[:2], ROWS)
    assert labels.tolist() == ["x", "y", "x", "y"]


def test_arrays_with_and_without_labels(tmp_path):
    np.savez(tmp_path / "bare.npz", X=ROWS.reshape(2, 3, 1))
    X, labels = read_features(str(tmp_path / "bare.npz"), 3)
    np.testing.assert_array_equal(X, ROWS)
    assert labels is None
    np.savez(tmp_path / "full.npz", X=np.vstack([ROWS, ROWS]), y=[1, 2, 1, 2])
    X, labels = read_features(str(tmp_path / "full.npz"), 3)
    assert labels.tolist() == ["1", "2", "1", "2"]


def test_a_named_source_with_its_options():
    X, labels = read_features("digits", 16, pool=2)
    assert X.shape == (1797, 16)
    assert set(labels) == set("0123456789")


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("new.csv", None, FileNotFoundError, "there is no such file"),
        ("new.npz", None, FileNotFoundError, "there is no such file"),
        ("new.csv", "1,2,nan\n", ValueError, "row 0, feature 2 is nan, not finite"),
        ("new.csv", "1,x,3\n4,5,6\n", ValueError, "new.csv, line 1: .*'x'"),
        ("new.csv", "1,2,3\n\n4,5,x\n", ValueError, "new.csv, line 3: .*'x'"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, name, text, error, message):
    path = str(tmp_path / name) if text is None else written(tmp_path, name, text)
    with pytest.raises(error, match=message):
        read_features(path, 3)


def test_another_width_is_named_with_both_numbers():
    with pytest.raises(ValueError, match="digits has 64 features, the network takes 16"):
        read_features("digits", 16)
