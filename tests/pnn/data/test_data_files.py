import sys

import h5py
import numpy as np
import pytest

from devices.extras import MissingExtraError
from pnn.data import available, load

X = np.arange(12.0).reshape(6, 2) / 4
WORDS = ["cat", "dog", "cat", "dog", "cat", "dog"]


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return written


def rows(labels, sep=","):
    return "".join(f"{a}{sep}{b}{sep}{w}\n" for (a, b), w in zip(X, labels, strict=True))


# -- CSV -------------------------------------------------------------------------------------------


def test_csv_with_a_header(write):
    data = load(write("pets.csv", "weight,height,kind\n" + rows(WORDS)))
    np.testing.assert_array_equal(data.X, X)
    assert data.feature_names == ("weight", "height")
    assert data.classes == ("cat", "dog")
    assert data.y.tolist() == [0, 1] * 3
    assert (data.name, data.task) == ("pets", "classification")


def test_csv_without_a_header_calls_columns_by_number(write):
    path = write("pets.csv", rows(WORDS))
    data = load(path)
    np.testing.assert_array_equal(data.X, X)
    assert data.feature_names == ("1", "2")
    assert load(path, target=2, task="regression", features=[1]).y.tolist() == X[:, 1].tolist()


@pytest.mark.parametrize("sep", [";", "\t"])
def test_csv_as_spreadsheets_write_it(write, sep):
    text = "\ufeff" + sep.join(["weight", "the, height", "kind"]) + "\n" + rows(WORDS, sep) + "\n"
    data = load(write("pets.csv", text.replace("\n", "\r\n")))
    np.testing.assert_array_equal(data.X, X)
    assert data.feature_names == ("weight", "the, height")


def test_the_target_and_the_group_are_taken_by_name(write):
    text = "kind,who,weight\n" + "".join(f"{w},p{i % 3},{i}\n" for i, w in enumerate(WORDS))
    data = load(write("pets.csv", text), target="kind", group="who")
    assert data.feature_names == ("weight",)
    assert data.groups.tolist() == ["p0", "p1", "p2"] * 2


def test_whole_numbers_are_classes_and_others_are_regressed_on(write):
    data = load(write("a.csv", rows([10, 2, 10, 2, 10, 2])))
    assert data.classes == ("2", "10")
    assert data.y.tolist() == [1, 0] * 3
    data = load(write("b.csv", rows([0.5, 1, 2, 3, 4, 5])))
    assert (data.task, data.classes) == ("regression", ())
    assert data.y.tolist() == [0.5, 1, 2, 3, 4, 5]
    many = write("c.csv", rows([1, 2, 3, 4, 5, 6]))
    with pytest.raises(ValueError, match=r"1 stands in one row only; .* task='regression'"):
        load(many)
    assert load(many, task="regression").task == "regression"
    halves = load(write("d.csv", rows([0.5, 1.5] * 3)), task="classification")
    assert halves.classes == ("0.5", "1.5")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b,k\n1,2,x\n1,nan,y\n", {}, r"line 3, column 'b': 'nan' is not a finite number"),
        ("a,b,k\n1,2,x\n\n1,,y\n", {}, r"line 4, column 'b': '' is not"),
        ("a;b;k\n1;2,5;x\n", {}, r"'2,5' is not .* \(write decimals with a point\)"),
        ("a,b,k\n1,2,x\n1,2\n", {}, "line 3: it has 2 cells, expected 3"),
        ("a,b,k\n1,2,\n", {}, "line 2, column 'k': the cell is empty"),
        ("a,b,k\n1,2,x\n", {"target": "label"}, "target='label': no columns .* a, b, k"),
        ("a,a,k\n1,2,x\n", {"target": "a"}, "target='a': 2 columns are called so"),
        ("a,b,k\n1,2,x\n", {"features": ["a", "k"]}, "contains the target or the group"),
        (",b,k\n0,2,x\n1,2,y\n", {}, "column 1 has no name"),
        ("k\nx\ny\n", {}, "no feature beside the target"),
        ("a,b,k\n", {}, "no row below its header"),
        ("", {}, "it is empty"),
        ("400,500,k\n1,2,x\n3,4,x\n5,6,y\n7,8,y\n", {}, "set header=true"),
        ("a,k\n1,x\n2,x\n3,y\n4,y\n", {"task": "regression"}, "the label 'x' is not a number"),
        ("a,k\n1,x\n2,x\n3,y\n4,y\n", {"task": "sorting"}, "task='sorting' is not one of"),
        ("a,k\n1,x\n2,x\n3,y\n", {}, "class 'y' has 1 rows"),
        (b"a,k\n1,\xff\n", {}, "no CSV file in UTF-8"),
        ("a,k\n1,x\n", {"sheet": "one"}, "for XLSX files only"),
        ("a,k\n1,x\n", {"labels": "k"}, "no option 'labels'; its options are pool=None, target="),
        ("a,k\n1,x\n", {"path": "elsewhere"}, "leave path='elsewhere' out"),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_named(write, text, options, message):
    with pytest.raises(ValueError, match=message):
        load(write("bad.csv", text), **options)


def test_columns_may_have_numbers_for_names(write):
    path = write("spectra.csv", "400,500,k\n1,2,x\n3,4,x\n5,6,y\n7,8,y\n")
    assert load(path, header=True).feature_names == ("400", "500")


# -- XLSX ------------------------------------------------------------------------------------------


@pytest.fixture
def workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["notes"])
    page = book.create_sheet("pets")
    page.append(["weight", "height", "kind"])
    for (a, b), word in zip(X, WORDS, strict=True):
        page.append([a, b, word])
    page.cell(row=3, column=6, value=" ")  # an empty cell beside the table
    book.active = 1
    book.save(tmp_path / "pets.xlsx")
    return tmp_path / "pets.xlsx"


def test_xlsx_is_read_like_csv(workbook):
    data = load(workbook)
    np.testing.assert_array_equal(data.X, X)
    assert data.feature_names == ("weight", "height")
    assert data.classes == ("cat", "dog")
    assert load("formants", path=workbook, label="kind", features=["height"], sheet="pets")


def test_wrong_sheets_and_files_are_named(workbook, write):
    with pytest.raises(ValueError, match="sheet='one' is not one of Sheet, pets"):
        load(workbook, sheet="one")
    with pytest.raises(ValueError, match="it is no XLSX file"):
        load(write("bad.xlsx", "a,b\n"))


def test_without_openpyxl_the_message_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pnn-toolkit\[xlsx\]'"):
        load(write("any.xlsx", ""))


# -- NPZ and HDF5 ----------------------------------------------------------------------------------


def save(path, **content):
    if path.suffix == ".npz":
        np.savez(path, **content)
        return path
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            array = np.asarray(values)
            file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    return path


@pytest.fixture(params=["d.npz", "d.h5", "d.HDF5"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_arrays_with_texts_for_labels_and_groups(path):
    data = load(save(path, X=X, y=np.array(WORDS), groups=np.array(["p", "q", "r"] * 2)))
    np.testing.assert_array_equal(data.X, X)
    assert data.classes == ("cat", "dog")
    assert data.y.tolist() == [0, 1] * 3
    assert data.groups.tolist() == ["p", "q", "r"] * 2


def test_arrays_of_numbers(path):
    save(path, X=X, y=[3, 7] * 3, power=np.linspace(0, 1, 6))
    assert load(path).classes == ("3", "7")
    data = load(path, target="power")
    assert data.task == "regression"
    assert data.groups is None
    np.testing.assert_array_equal(data.y, np.linspace(0, 1, 6))


def test_images_keep_their_shape(path):
    images = np.random.default_rng(0).random((6, 4, 2))
    data = load(save(path, X=images, y=[0, 1] * 3))
    assert data.shape == (4, 2)
    np.testing.assert_array_equal(data.X, images.reshape(6, 8))
    pooled = load(path, pool=2)
    np.testing.assert_allclose(pooled.X[:, 0], images[:, :2].mean(axis=(1, 2)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": X, "y": [0, 1] * 3}, "no array 'X'; it has x, y"),
        ({"X": X}, "no array 'y'; it has X"),
        ({"X": X, "y": [0, 1, 0, 1]}, r"y has shape \(4,\), expected \(6,\)"),
        ({"X": X, "y": [[0, 1]] * 6}, r"labels are int64 of shape \(6, 2\)"),
        ({"X": X, "y": np.array([])}, r"of shape \(0,\)"),
        ({"X": X[:, 0], "y": [0, 1] * 3}, r"X has shape \(6,\)"),
        ({"X": np.where(X == 1, np.nan, X), "y": [0, 1] * 3}, "X is nan at row 2, column 0"),
        ({"X": X, "y": [0.5, 1, 2, np.nan, 4, 5]}, "the label of row 3 is nan"),
        ({"X": X, "y": np.array(["a", " ", "a", "b", "b", "b"])}, "label of row 1 is empty"),
        ({"X": X, "y": [0, 1] * 3, "groups": [1, 2]}, r"groups has shape \(2,\)"),
    ],
)
def test_wrong_arrays_are_named(path, content, message):
    with pytest.raises(ValueError, match=message):
        load(save(path, **content))


def test_a_file_of_another_kind_is_refused(path):
    path.write_bytes(b"not what its name says")
    with pytest.raises(ValueError, match=r"no HDF5 file|cannot be read as an NPZ file"):
        load(path)


def test_python_objects_are_never_unpickled(tmp_path):
    save(tmp_path / "d.npz", X=X, y=np.array(WORDS, object))
    with pytest.raises(ValueError, match=r"d\.npz: it cannot be read as an NPZ file"):
        load(tmp_path / "d.npz")


# -- names -----------------------------------------------------------------------------------------


def test_digits_are_always_there():
    data = load("digits")
    assert (data.X.shape, data.shape, len(data.classes)) == ((1797, 64), (8, 8), 10)
    assert data.digest() == load("digits").digest()
    assert load("digits", pool=4).X.shape == (1797, 4)


@pytest.mark.parametrize("name", ["x.csv", "x.xlsx", "x.npz", "x.h5"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        load(tmp_path / name)


def test_unknown_names_and_options_are_answered_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"'digit'. Did you mean 'digits'\? Known: digits, mnist5k"
    ):
        load("digit")
    with pytest.raises(ValueError, match=r"'a\.mat'.* ends in \.csv, \.xlsx"):
        load("a.mat")
    with pytest.raises(ValueError, match=r"'digits': there is no option 'path'.* pool=None$"):
        load("digits", path="x")


def test_every_available_name_has_a_line_and_can_be_asked_for():
    for name, text in available().items():
        assert text
        with pytest.raises(ValueError, match=f"{name!r}: there is no option 'nonsense'"):
            load(name, nonsense=1)
