"""Tables that a user has: CSV and XLSX, one row of the table for one row of the data set."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from devices.extras import require
from pnn.data.dataset import Dataset, Task
from pnn.data.labels import encode

__all__ = ["csv_lines", "table"]

#: A row of the file: its line and its cells.
Line = tuple[int, list[str]]


def table(
    path: str | Path,
    *,
    target: str | int | None = None,
    features: Sequence[str | int] | None = None,
    group: str | int | None = None,
    task: Task | None = None,
    header: bool | None = None,
    sheet: str | None = None,
) -> Dataset:
    """Return the rows of a CSV file (commas, semicolons or tabs) or of a sheet of an XLSX file.

    Parameters
    ----------
    path : str or path
        A file that ends in ``.xlsx``; any other is read as CSV in UTF-8.
    target : str or int or None
        Column with the label. A column without a header is called by its number, from 1.
        None: the last column.
    features : list or None
        Columns with the features; None: all others.
    group : str or int or None
        Column with the group, such as the speaker.
    task : {"classification", "regression"} or None
        None: classification for texts and whole numbers, regression for other numbers.
    header : bool or None
        Whether the first row has the columns' names. None: it has if none of it is a number.
    sheet : str or None
        Sheet of an XLSX file; None: the one it was saved with open.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is unknown or a cell is wrong; the message names file, line and column.
    MissingExtraError
        If the file is XLSX and openpyxl is not installed.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.suffix.lower() == ".xlsx":
        lines = _xlsx_lines(path, sheet)
    elif sheet is not None:
        raise ValueError(f"{path}: sheet={sheet!r} is for XLSX files only")
    else:
        lines = csv_lines(path)
    first = next(lines, None)
    if first is None:
        raise ValueError(f"{path}: it is empty")
    named = all(_number(cell) is None for cell in first[1]) if header is None else header
    if named:
        columns = [cell.strip() for cell in first[1]]
    else:
        columns = [str(i + 1) for i in range(len(first[1]))]
        lines = chain([first], lines)
    y_at = _column(path, columns, "target", columns[-1] if target is None else target)
    group_at = None if group is None else _column(path, columns, "group", group)
    x_at = _feature_columns(path, columns, features, (y_at, group_at))
    X, labels, groups = _read(path, columns, lines, x_at, y_at, group_at)
    if header is None and not named and _number(labels[0]) is None and labels.count(labels[0]) == 1:
        raise ValueError(
            f"{path}: the first row has numbers, so it was taken as data, but its label "
            f"{labels[0]!r} stands nowhere else; set header=true if it has the columns' names"
        )
    y, classes, task = encode(str(path), labels, task)
    return Dataset(
        name=path.stem,
        X=X,
        y=y,
        task=task,
        classes=classes,
        feature_names=tuple(columns[i] for i in x_at),
        groups=None if group_at is None else np.array(groups),
        source=f"The table {path.name}, label in column {columns[y_at]}.",
    )


def _feature_columns(
    path: Path,
    columns: list[str],
    features: Sequence[str | int] | None,
    taken: tuple[int, int | None],
) -> list[int]:
    if features is None:
        found = [i for i in range(len(columns)) if i not in taken]
        if "" in (columns[i] for i in found):
            # Most often the row numbers, which would give away the order of the rows.
            raise ValueError(
                f"{path}: column {columns.index('') + 1} has no name; name it, or give features= "
                "the columns to use"
            )
    else:
        names = [features] if isinstance(features, str) else features
        found = [_column(path, columns, "features", name) for name in names]
        if set(found) & set(taken):
            raise ValueError(f"{path}: features={features!r} contains the target or the group")
    if not found:
        raise ValueError(f"{path}: it has no feature beside the target; columns: {columns!r}")
    return found


def _read(
    path: Path,
    columns: list[str],
    lines: Iterator[Line],
    x_at: list[int],
    y_at: int,
    group_at: int | None,
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    X: list[NDArray[np.float64]] = []
    labels: list[str] = []
    groups: list[str] = []
    for line, cells in lines:
        if len(cells) != len(columns):
            raise ValueError(
                f"{path}, line {line}: it has {len(cells)} cells, expected {len(columns)}"
            )
        row = [_number(cells[i]) for i in x_at]
        for i, value in zip(x_at, row, strict=True):
            if value is None or not math.isfinite(value):
                hint = " (write decimals with a point)" if "," in cells[i] else ""
                raise ValueError(
                    f"{path}, line {line}, column {columns[i]!r}: {cells[i]!r} is not a finite "
                    f"number{hint}"
                )
        X.append(np.array(row, np.float64))
        for at, into in ((y_at, labels), (group_at, groups)):
            if at is not None:
                into.append(cells[at].strip())
                if not into[-1]:
                    raise ValueError(
                        f"{path}, line {line}, column {columns[at]!r}: the cell is empty"
                    )
    if not X:
        raise ValueError(f"{path}: it has no row below its header")
    return np.stack(X), labels, groups


def _column(path: Path, columns: list[str], option: str, name: str | int) -> int:
    count = columns.count(str(name))
    if count != 1:
        raise ValueError(
            f"{path}: {option}={name!r}: {count or 'no'} columns are called so, expected one of "
            f"{', '.join(columns)}"
        )
    return columns.index(str(name))


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def csv_lines(path: Path) -> Iterator[Line]:
    """Yield the rows of a CSV file with commas, semicolons or tabs: line number and cells."""
    # utf-8-sig: Excel puts a byte-order mark in front of the first name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            start = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=start.count))
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path}: it is no CSV file in UTF-8: {error}") from error


def _xlsx_lines(path: Path, sheet: str | None) -> Iterator[Line]:
    openpyxl = require("openpyxl", "xlsx")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError) as error:
        raise ValueError(f"{path}: it is no XLSX file: {error}") from error
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise ValueError(f"{path}: sheet={sheet!r} is not one of {', '.join(book.sheetnames)}")
        page = book.active if sheet is None else book[sheet]
        width = 0
        for line, row in enumerate(page.iter_rows(values_only=True), start=1):
            cells = ["" if value is None else str(value) for value in row]
            if any(cell.strip() for cell in cells):
                # Empty cells right of the table, formatted ones for instance, are none of it.
                while len(cells) > width and not cells[-1].strip():
                    cells.pop()
                cells += [""] * (width - len(cells))
                width = width or len(cells)
                yield line, cells
    finally:
        book.close()
