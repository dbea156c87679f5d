"""Arrays that a user has: NPZ and HDF5 files with X, y and, if there are any, groups."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pnn.data.dataset import Dataset, Task
from pnn.data.labels import encode

__all__ = ["arrays"]


def arrays(path: str | Path, *, target: str | None = None, task: Task | None = None) -> Dataset:
    """Return the arrays of an NPZ or HDF5 file.

    Parameters
    ----------
    path : str or path
        A file that ends in ``.npz``; any other is read as HDF5. It holds X of shape
        (rows, features) or, for images, (rows, height, width); y of shape (rows,), numbers or
        texts; and, if rows belong together, groups of shape (rows,).
    target : str or None
        Name of the array with the labels; None: y.
    task : {"classification", "regression"} or None
        None: classification for texts and whole numbers, regression for other numbers.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If an array is missing or of the wrong shape or type.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    label = target or "y"
    names = ("X", label, "groups")
    found = _npz(path, names) if path.suffix.lower() == ".npz" else _hdf5(path, names)
    X = found["X"]
    shape = X.shape[1:] if X.ndim > 2 else None
    y, classes, task = encode(str(path), found[label], task)
    return Dataset(
        name=path.stem,
        X=X.reshape(len(X), -1) if shape and X.size else X,
        y=y,
        task=task,
        classes=classes,
        groups=found.get("groups"),
        shape=shape,
        source=f"The arrays X and {label} of {path.name}.",
    )


def _npz(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            there = list(file)
            found = {name: file[name] for name in names if name in there}
    except (BadZipFile, EOFError, OSError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"{path}: it cannot be read as an NPZ file: {error}") from error
    return _take(path, names, found, there)


def _hdf5(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: it is no HDF5 file: {error}") from error
    with file:
        found = {}
        for name in names:
            item = file.get(name)
            if isinstance(item, h5py.Dataset):
                text = h5py.check_string_dtype(item.dtype) is not None
                found[name] = np.asarray(item.asstr()[()], str) if text else np.asarray(item[()])
        return _take(path, names, found, list(file))


def _take(
    path: Path, names: tuple[str, ...], found: dict[str, NDArray[Any]], there: list[str]
) -> dict[str, NDArray[Any]]:
    for name in names[:2]:
        if name not in found:
            raise ValueError(f"{path}: it has no array {name!r}; it has {', '.join(there)}")
    return found
