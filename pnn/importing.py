"""Recordings of others: columns of CSV, NPZ, MATLAB and HDF5 files as a recording of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.hdf5 import Column
from devices.hdf5.whole import whole_file
from devices.recorded_rows import RecordedRows, digest, spec_of_rows, write_spec
from devices.spec import Domain
from pnn.import_sources import Source, TextTable, open_source

__all__ = ["import_rows", "write_recording"]

Array = NDArray[Any]


def import_rows(
    sources: str | Path | Sequence[str | Path],
    *,
    drives: str | None = None,
    answers: str | None = None,
    imaginary: str | None = None,
    transpose: bool = False,
    name: str | None = None,
    domain: Domain = "amplitude",
    unit: str = "1",
    answer_unit: str = "1",
    low: float | None = None,
    high: float | None = None,
) -> RecordedRows:
    """Read drives and answers from files that another program wrote.

    Parameters
    ----------
    sources : path or list of one or two paths
        One file with drives and answers, or one with the drives and one with the answers: CSV
        (commas, semicolons or tabs; with or without a header), .npz, .mat, .h5.
    drives, answers : str, optional
        Which columns, see `import_sources.Source.select`. Not given: all columns of their own
        file; in a shared one the arrays ``drives`` and ``answers``, or for answers all that is
        left of a CSV file.
    imaginary : str, optional
        Columns with the imaginary parts of the answers, as many as `answers`.
    transpose : bool
        Whether arrays have a column for each measurement.
    name, domain, unit, answer_unit
        Of the device that gave the answers; see `DeviceSpec`.
    low, high : float, optional
        Legal range of the drives; None: of each input, as far as the drives go.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a selection matches nothing, a cell is not a finite number, lengths differ, or a drive
        is outside the limits or not of the domain; the message names file, column and row.
    """
    paths = [Path(one) for one in ([sources] if isinstance(sources, (str, Path)) else sources)]
    if len(paths) not in (1, 2):
        raise ValueError(f"{len(paths)} files; give one, or one of drives and one of answers")
    opened = [open_source(path, transpose=transpose) for path in paths]
    shared = len(opened) == 1
    of_drives, of_answers = opened[0], opened[-1]
    x_at = _places(of_drives, drives, "drives", shared, taken=[])
    z_at = of_answers.select(imaginary, "imaginary parts") if imaginary is not None else []
    y_at = _places(of_answers, answers, "answers", shared, taken=x_at * shared + z_at)
    if shared and (both := set(x_at) & set(y_at + z_at)):
        raise ValueError(
            f"{paths[0]}: {of_drives.call(min(both))} is among the drives and among the answers"
        )
    X = _finite(of_drives, x_at, "drives")
    Y = _finite(of_answers, y_at, "answers")
    if z_at:
        if len(z_at) != len(y_at):
            raise ValueError(
                f"{paths[-1]}: {len(y_at)} columns with answers, {len(z_at)} with imaginary parts"
            )
        Y = Y + 1j * _finite(of_answers, z_at, "imaginary parts")
    if X.dtype.kind == "c":
        raise ValueError(f"{paths[0]}: drives must be real numbers, these are complex")
    if len(X) != len(Y):
        raise ValueError(
            f"{len(X)} rows of drives in {paths[0]}, but {len(Y)} of answers in {paths[-1]}: a row "
            "of answers belongs to the row of drives of the same number"
        )
    limits = {key: value for key, value in (("low", low), ("high", high)) if value is not None}
    spec = spec_of_rows(
        X,
        Y,
        name=name or (paths[0].stem if shared else paths[0].resolve().parent.name),
        domain=domain,
        input_unit=unit,
        output_unit=answer_unit,
        **limits,
    )
    spec.check_drives(X)
    return RecordedRows(drives=X, answers=Y, spec=spec, group="")


def write_recording(rows: RecordedRows, path: str | Path, **attributes: Any) -> Path:
    """Write rows as `Recorded` does, as far as they are known; `attributes` go to the root.

    The file is there whole or not at all.

    Raises
    ------
    FileExistsError
        If there is such a file.
    OSError
        If it cannot be written.
    """
    spec = rows.spec
    with whole_file(path, kind="recording", **attributes) as file:
        file.set(device=spec.name, digest=digest(rows.drives, rows.answers))
        write_spec(file, spec)
        log = file.rows(
            {
                "drives": Column(
                    dims={"input": spec.n_inputs}, unit=spec.input_unit, long_name="drive"
                ),
                "answers": Column(
                    dims={"output": spec.n_outputs},
                    dtype=spec.output_dtype,
                    unit=spec.output_unit,
                    long_name="answer",
                ),
            }
        )
        file.plot("answers", ["row", "."])
        log.append(drives=rows.drives, answers=rows.answers)
    return Path(path)


def _places(
    source: Source,
    text: str | None,
    option: str,
    shared: bool,
    taken: list[tuple[str, int]],
) -> list[tuple[str, int]]:
    """Return the columns that are meant."""
    if text is not None:
        return source.select(text, option)
    if not shared or (option in source.widths() and source.widths()[option] > 0):
        chosen = source.everything() if not shared else source.select(option, option)
        return [place for place in chosen if place not in taken]
    left = [place for place in source.everything() if place not in taken]
    if taken and left and isinstance(source, TextTable):
        return left
    raise ValueError(
        f"{source.path}: say which columns are {option} (--{option}); there are {source.told()}"
    )


def _finite(source: Source, places: list[tuple[str, int]], what: str) -> Array:
    """Return columns of finite numbers."""
    values = source.read(places)
    bad = ~np.isfinite(values)
    if bad.any():
        row, k = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{source.path}: {values[row, k]} among the {what}, row {row + 1} of "
            f"{source.call(places[k])}; {bad.any(axis=1).sum()} rows have such values. Take them "
            "out, in both files where there are two"
        )
    return values
