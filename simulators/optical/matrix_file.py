"""Transmission matrices in files: NumPy's .npy and .npz, and HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["read_matrix", "write_matrix"]

Array = NDArray[Any]

NAME = "transmission_matrix"  # of the array inside .npz and .h5


def read_matrix(owner: str, source: str | Path | ArrayLike) -> Array:
    """Return a complex matrix of shape (n_outputs, n_inputs) or (2, n_outputs, n_inputs).

    Parameters
    ----------
    owner : str
        What error messages name.
    source : str, Path or array_like
        A file that ends in .npy, .npz or .h5; inside the last two the array is named
        ``transmission_matrix``, or is the only one. Or the matrix itself.

    Raises
    ------
    ValueError
        If the file is missing or cannot be read, or what it holds is no such matrix.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        where = f"matrix={str(source)!r}"
        if not path.is_file():
            raise ValueError(f"{owner}: {where}: there is no such file")
        try:
            matrix = _load(path)
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise ValueError(f"{owner}: {where}: {error}") from error
    else:
        matrix, where = np.asarray(source), "matrix"
    if matrix.dtype.kind not in "iufc":
        raise ValueError(f"{owner}: {where} holds {matrix.dtype}, expected real or complex numbers")
    polarisations = matrix.shape[:-2]
    if matrix.ndim not in (2, 3) or polarisations not in ((), (2,)) or 0 in matrix.shape:
        raise ValueError(
            f"{owner}: {where} has shape {matrix.shape}, expected (n_outputs, n_inputs), or "
            "(2, n_outputs, n_inputs) for two polarisations"
        )
    if not np.isfinite(matrix).all():
        raise ValueError(f"{owner}: {where} has entries that are not finite")
    return matrix.astype(np.complex128)


def write_matrix(owner: str, path: str | Path, matrix: Array) -> None:
    """Write a matrix that `read_matrix` reads, in the format that the path's ending names.

    Raises
    ------
    ValueError
        If the ending is none of .npy, .npz and .h5.
    """
    path = Path(path)
    match path.suffix:
        case ".npy":
            np.save(path, matrix)
        case ".npz":
            np.savez_compressed(path, transmission_matrix=matrix)  # NAME
        case ".h5":
            import h5py

            with h5py.File(path, "w") as file:
                file[NAME] = matrix
        case _:
            raise ValueError(f"{owner}: path={str(path)!r} must end in .npy, .npz or .h5")


def _load(path: Path) -> Array:
    if path.suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[_name(list(arrays))])
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path, "r") as file:
            return np.asarray(file[_name([k for k in file if isinstance(file[k], h5py.Dataset)])])
    raise ValueError("the file must end in .npy, .npz or .h5")


def _name(names: list[str]) -> str:
    if NAME in names:
        return NAME
    if len(names) == 1:
        return names[0]
    raise ValueError(f"expected an array named {NAME!r}, found {', '.join(names) or 'none'}")
