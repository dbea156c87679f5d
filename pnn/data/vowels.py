"""Vowels by their formants: the table of Peterson & Barney (1952), and a table of one's own."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from devices.extras import require
from pnn.data.dataset import Dataset
from pnn.data.table import table

__all__ = ["formants", "vowels"]

SPEAKERS = {"men": "m", "women": "w", "children": "c"}
FEATURES = ("F0", "F1", "F2", "F3")

#: The ten vowels of the table; ``vowels=n`` takes the first n. The first seven stand wide apart
#: in the plane of F1 and F2; the last three lie between their neighbours there. The order is this
#: package's choice.
VOWELS = ("iy", "aa", "uw", "ae", "ao", "er", "ih", "eh", "uh", "ah")


def vowels(
    *,
    sex: str | Sequence[str] = "all",
    vowels: int | str | Sequence[str] = 7,
    features: Sequence[str] = ("F1", "F2", "F3"),
) -> Dataset:
    """Return the vowels of 76 speakers, each said twice; a group is a speaker.

    Parameters
    ----------
    sex : {"all", "men", "women", "children"} or a list of the last three
        Whose rows.
    vowels : int or "all" or list of str
        How many, in the order of `VOWELS`; or which, of iy (heed), ih (hid), eh (head),
        ae (had), ah (hud), aa (hod), ao (hawed), uh (hood), uw (who'd), er (heard).
    features : list of str
        Of F0 (pitch), F1, F2, F3 (formants), in Hz.

    Raises
    ------
    ValueError
        If an argument is not one of these.
    MissingExtraError
        If praat-parselmouth is not installed.
    """
    who = _chosen("sex", tuple(SPEAKERS) if sex == "all" else sex, tuple(SPEAKERS), least=1)
    if isinstance(vowels, int):
        if isinstance(vowels, bool) or not 2 <= vowels <= len(VOWELS):
            raise ValueError(f"vowels: vowels={vowels!r} must be 2 ... {len(VOWELS)}, or a list")
        vowels = VOWELS[:vowels]
    which = _chosen("vowels", VOWELS if vowels == "all" else vowels, VOWELS, least=2)
    columns = _chosen("features", features, FEATURES, least=1)
    types = {SPEAKERS[name] for name in who}
    rows = [row for row in _praat_table() if row["Type"] in types and row["Vowel"] in which]
    return Dataset(
        name="vowels",
        X=np.array([[float(row[column]) for column in columns] for row in rows]),
        y=np.array([which.index(row["Vowel"]) for row in rows]),
        classes=which,
        feature_names=columns,
        groups=np.array([int(row["Speaker"]) for row in rows]),
        source="Peterson & Barney (1952), J. Acoust. Soc. Am. 24, 175, the table that Praat "
        f"carries; speakers: {', '.join(who)}; in Hz.",
    )


def formants(
    *,
    path: str | Path | None = None,
    label: str = "vowel",
    features: Sequence[str] = ("F1", "F2", "F3"),
    group: str | None = None,
    sheet: str | None = None,
) -> Dataset:
    """Return a table of formants that the user has, as CSV or XLSX with named columns.

    Parameters
    ----------
    path : str or path
        The file.
    label, group : str
        Names of the columns with the vowel and, if there is one, with the speaker.
    features : list of str
        Names of the columns with the formants, above 0 Hz.
    sheet : str or None
        Sheet of an XLSX file; None: the one it was saved with open.

    Raises
    ------
    ValueError
        If no path is given, or the content is wrong: file, line and column are named.
    """
    if path is None:
        raise ValueError("formants: give path= the CSV or XLSX file with the table")
    data = table(
        path, target=label, features=features, group=group, sheet=sheet, task="classification"
    )
    if (data.X <= 0).any():
        row, column = (int(i) for i in np.argwhere(data.X <= 0)[0])
        raise ValueError(
            f"formants: {path}: {data.feature_names[column]} is {data.X[row, column]:g} Hz in row "
            f"{row} below the header; 0 marks a formant that could not be measured. "
            f"{int((data.X <= 0).any(axis=1).sum())} rows have one; leave them out"
        )
    return data


def _praat_table() -> list[dict[str, str]]:
    praat = require("parselmouth", "vowels").praat
    made = praat.call("Create formant table (Peterson & Barney 1952)")
    text: str = praat.call(made, "List", False)
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def _chosen(option: str, given: Any, known: Sequence[str], least: int) -> tuple[str, ...]:
    names = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < max(len(names), least):
        what = f"{unknown[0]!r} is not known" if unknown else "some are missing or given twice"
        raise ValueError(
            f"vowels: {option}={given!r}: {what}; give at least {least} of {', '.join(known)}"
        )
    return names
