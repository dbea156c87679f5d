"""Data sets by name, and the user's own files by their ending."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.checks import did_you_mean
from pnn.data.arrays import arrays
from pnn.data.dataset import Dataset
from pnn.data.digits import digits
from pnn.data.mnist import fashion_mnist, mnist, mnist5k
from pnn.data.sequences import mackey_glass, narma10, waveforms
from pnn.data.table import table
from pnn.data.vowels import formants, vowels

__all__ = ["available", "load"]

SOURCES: dict[str, tuple[Callable[..., Dataset], str]] = {
    "digits": (digits, "1797 handwritten digits, 8 x 8 pixels; always there"),
    "mnist5k": (mnist5k, "5000 MNIST digits, 28 x 28 pixels; extra mnist5k"),
    "mnist": (mnist, "70000 MNIST digits, 28 x 28 pixels; idx files at path= or PNN_MNIST"),
    "fashion-mnist": (
        fashion_mnist,
        "70000 images of clothes, 28 x 28 pixels; idx files at path= or PNN_FASHION_MNIST",
    ),
    "vowels": (vowels, "formants of spoken vowels, Peterson & Barney 1952; extra vowels"),
    "narma10": (narma10, "a series that must be remembered for ten steps; for devices with memory"),
    "mackey-glass": (mackey_glass, "a chaotic series, predicted; for devices with memory"),
    "waveforms": (waveforms, "sines and squares to be told apart; for devices with memory"),
    "formants": (formants, "a table of formants that you have, CSV or XLSX at path="),
}

FILES: dict[str, Callable[..., Dataset]] = {
    ".csv": table,
    ".xlsx": table,
    ".npz": arrays,
    ".h5": arrays,
    ".hdf5": arrays,
}


def available() -> dict[str, str]:
    """Return the names that `load` knows, each with a line on what it is."""
    return {name: text for name, (_, text) in SOURCES.items()}


def load(
    source: str | Path,
    *,
    path: str | Path | None = None,
    pool: int | None = None,
    target: str | int | None = None,
    **options: Any,
) -> Dataset:
    """Return a data set by its name, or from a file.

    Parameters
    ----------
    source : str or path
        A name in `available`; or the path of a file that ends in ``.csv``, ``.xlsx``, ``.npz``,
        ``.h5`` or ``.hdf5``.
    path : str or path or None
        Where the files of a named source are, for those that have some.
    pool : int or None
        Average images over blocks of so many by so many pixels.
    target : str or int or None
        Column or array with the label in a file of one's own; None: the last column, or y.
    **options
        What the source itself takes; a wrong one is answered with those there are.

    Raises
    ------
    ValueError
        If the source or an option is unknown, or the content is wrong.
    FileNotFoundError
        If a file is missing.
    MissingExtraError
        If the source needs a package that is not installed.

    Examples
    --------
    >>> load("digits", pool=2)
    Dataset('digits': 1797 rows, 16 features, 10 classes)
    """
    given = {k: v for k, v in {"path": path, "target": target}.items() if v is not None} | options
    name = str(source)
    arguments: tuple[Path, ...] = ()
    if name in SOURCES:
        reader = SOURCES[name][0]
    elif Path(name).suffix.lower() in FILES:
        reader, arguments = FILES[Path(name).suffix.lower()], (Path(name),)
        if path is not None:
            raise ValueError(f"data source {name!r} is a file already; leave path={path!r} out")
    else:
        hint = did_you_mean(name, SOURCES)
        raise ValueError(
            f"there is no data source {name!r}.{hint} Known: {', '.join(SOURCES)}, or a file that "
            f"ends in {', '.join(FILES)}"
        )
    allowed = {
        p.name: p.default
        for p in inspect.signature(reader).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    for option in given:
        if option not in allowed:
            known = [f"{k}={v!r}" for k, v in ({"pool": None} | allowed).items()]
            raise ValueError(
                f"data source {name!r}: there is no option {option!r}; its options are "
                f"{', '.join(known)}"
            )
    dataset = reader(*arguments, **given)
    return dataset if pool is None else dataset.pooled(pool)
