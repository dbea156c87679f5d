import numpy as np
import pytest

from pnn.data import Dataset


def made(**changes):
    fields = {
        "name": "toy",
        "X": np.arange(24.0).reshape(6, 4),
        "y": np.array([0, 1, 0, 1, 0, 1]),
        "classes": ("a", "b"),
    }
    return Dataset(**(fields | changes))


def with_value(value):
    X = np.arange(24.0).reshape(6, 4)
    X[3, 2] = value
    return X


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": with_value(np.nan)}, "X is nan at row 3, column 2"),
        (
            {"X": with_value(-np.inf), "feature_names": ("p", "q", "r", "s")},
            r"X is -inf at row 3, column 2 \(r\)",
        ),
        ({"X": np.arange(6.0)}, r"X has shape \(6,\), expected \(rows, features\)"),
        ({"X": np.ones((6, 0))}, r"X has shape \(6, 0\)"),
        ({"X": np.ones((6, 4)) * 1j}, "X is complex128, expected real numbers"),
        ({"X": np.array([["1"] * 4] * 6)}, "X is <U1, expected real numbers"),
        ({"y": np.array([0, 1, 0, 1, 0])}, r"y has shape \(5,\), expected \(6,\)"),
        ({"y": np.array([0, 1, 0, 1, 0, 2])}, r"y is 2 at row 5, expected a code in 0 \.\.\. 1"),
        ({"y": np.array([0, 1, 0, -1, 0, 1])}, "y is -1 at row 3"),
        ({"y": np.array([0, 1.0, 0, 1, 0, 1])}, "y is float64, expected whole numbers"),
        ({"y": np.array([0, 0, 0, 0, 0, 1])}, "class 'b' has 1 rows, expected at least 2"),
        ({"classes": ("a", "b", "c")}, "class 'c' has 0 rows"),
        ({"y": np.zeros(6, int), "classes": ("a",)}, r"1 classes \(a\), expected at least 2"),
        ({"classes": ("a", "a")}, "has a name twice"),
        ({"feature_names": ("p", "q")}, "2 feature names for 4 features"),
        ({"shape": (3, 3)}, r"shape=\(3, 3\) has 9 pixels, but X has 4 features"),
        ({"groups": np.arange(5)}, r"groups has shape \(5,\)"),
        ({"groups": np.array([None] * 6)}, "expected a name or a finite number for every row"),
        ({"groups": np.array([1, 1, 1, 1, 1, np.nan])}, "a finite number for every row"),
        ({"task": "ranking"}, "task='ranking' is not one of classification, regression"),
        ({"task": "regression"}, r"classes=\('a', 'b'\) are given for a regression"),
        (
            {"task": "regression", "classes": (), "y": np.array([0, 1, np.inf, 1, 0, 1])},
            "y is inf at row 2",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        made(**changes)
    assert str(error.value).startswith("toy: ")


def test_arrays_come_out_as_float64_and_int64():
    data = made(X=np.ones((6, 4), np.uint8), y=np.array([0, 1] * 3, np.uint8))
    assert (data.X.dtype, data.y.dtype) == (np.float64, np.int64)
    data = made(task="regression", classes=(), y=[1, 2, 3, 4, 5, 6])
    assert data.y.dtype == np.float64


def test_groups_may_be_texts_of_any_kind():
    for groups in (["x", "y"] * 3, np.array([b"x", b"y"] * 3), np.array(["x", "y"] * 3, object)):
        assert made(groups=groups).groups.tolist() == ["x", "y"] * 3


def test_digest_tells_data_apart_and_ignores_how_they_lie_in_memory():
    data = made()
    assert data.digest() == made(X=np.asfortranarray(data.X), name="other").digest()
    assert data.digest() != made(X=with_value(0.5)).digest()
    assert data.digest() != made(y=np.array([1, 0, 1, 0, 1, 0])).digest()
    assert len(data.digest()) == 16


def test_pooling_takes_the_mean_of_blocks():
    image = np.array([[0, 2, 10, 10], [4, 6, 10, 10], [1, 1, 0, 0], [1, 1, 0, 8]], float)
    data = made(X=np.stack([image.ravel() * k for k in range(6)]), shape=(4, 4))
    pooled = data.pooled(2)
    assert pooled.shape == (2, 2)
    np.testing.assert_allclose(pooled.X[1], [3, 10, 1, 2])
    np.testing.assert_allclose(pooled.X[5], [15, 50, 5, 10])
    assert pooled.y is data.y
    assert "2 x 2" in pooled.source
    assert data.pooled(1) is data


@pytest.mark.parametrize("k", [0, 3, -2, 2.0, True])
def test_pooling_by_what_does_not_divide_the_image_names_what_does(k):
    data = made(X=np.ones((6, 24)), shape=(4, 6))
    with pytest.raises(ValueError, match=r"divides both sides of the 4 x 6 image, one of 1, 2$"):
        data.pooled(k)


def test_pooling_needs_images():
    with pytest.raises(ValueError, match="shape=None"):
        made().pooled(2)
