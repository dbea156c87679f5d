"""Recordings of acoustic cavities, and the twins that stand in for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from devices.hdf5 import read_attributes
from devices.recorded_rows import RecordedRows, digest, read_rows
from pnn.importing import import_rows
from pnn.twin import Kind, fit_twin
from simulators import AcousticCavity
from simulators.twins import Twin

__all__ = ["TwinNote", "make_twin", "read_recording", "simulated_recording"]


@dataclass(frozen=True)
class TwinNote:
    """What a report says of a twin.

    Attributes
    ----------
    rows : int
        That it was fitted to.
    law : str
    r2, affine_share : float
        On rows that it has not seen, pooled over outputs: of the law, and of an affine map.
    """

    rows: int
    law: str
    r2: float
    affine_share: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def read_recording(path: str | Path) -> RecordedRows:
    """Read a recording: a file of this toolkit, or a folder with drives.csv and answers.csv.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it cannot be understood.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"--recording {path}: there is no such file or folder")
    if path.is_dir():
        files = [path / "drives.csv", path / "answers.csv"]
        return import_rows(files, name="recorded acoustic cavity", domain="tones")
    return read_rows(path)


def simulated_recording(rows: int, seed: int) -> RecordedRows:
    """Record the simulated cavity, 20 tones in and out, under drives at random."""
    with AcousticCavity(n_inputs=20, n_outputs=20, seed=seed) as cavity:
        drives = np.random.default_rng(seed).uniform(0, 1, (rows, 20))
        answers = cavity.measure(drives, purpose="calibration")
        return RecordedRows(drives=drives, answers=answers, spec=cavity.spec, group="")


def make_twin(rows: RecordedRows, path: Path, kind: Kind, seed: int) -> TwinNote:
    """Fit a twin to a recording and write it, unless the file is there; say how good it is.

    Raises
    ------
    ValueError
        If the file is there, of another recording.
    """
    if path.exists():
        with h5py.File(path, "r") as file:
            fitted = read_attributes(file).get("recording_digest")
        if fitted != digest(rows.drives, rows.answers):
            raise ValueError(f"{path} is a twin of another recording; give another --out")
    else:
        fit = fit_twin(rows.drives, rows.answers, spec=rows.spec, kind=kind, seed=seed)
        fit.save(path)
    told = Twin(path).model.report
    return TwinNote(
        int(told["rows"]), str(told["kind"]), float(told["r2"]), float(told["affine_share"])
    )
