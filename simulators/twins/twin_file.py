"""A twin in an HDF5 file: the law's arrays, the device's limits, the range, the report."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from devices.hdf5 import read_attributes
from devices.hdf5.whole import whole_file
from devices.recorded_rows import read_spec, write_spec
from simulators.twins.laws import LAWS
from simulators.twins.range import Range
from simulators.twins.twin import TwinModel

__all__ = ["read_twin", "write_twin"]

_RANGE_DIMS = {
    "low": ("input",),
    "high": ("input",),
    "centre": ("input",),
    "whitening": ("direction", "input"),
}
_REPORT_DIMS = {"r2_by_output": "output", "residual": "channel", "noise": "channel"}


def write_twin(model: TwinModel, path: str | Path, **attributes: Any) -> Path:
    """Write a twin; the file is there whole or not at all. `attributes` go to its root.

    Arrays of the report become variables; the rest of it is JSON in the attribute ``report``.

    Raises
    ------
    FileExistsError
        If there is such a file.
    OSError
        If it cannot be written.
    """
    spec = model.spec
    arrays = {key: v for key, v in model.report.items() if isinstance(v, np.ndarray)}
    with whole_file(path, kind="twin", **attributes) as file:
        file.set(
            law=model.law.kind,
            n_outputs=spec.n_outputs,
            multiply_adds=model.law.multiply_adds,
            report={key: v for key, v in model.report.items() if key not in arrays},
        )
        write_spec(file, spec)
        file.write(
            "spread", model.spread, ("channel",), unit=spec.output_unit,
            long_name="noise that the twin may add",
        )  # fmt: skip
        law = file.group("law")
        for name, values in model.law.arrays().items():
            law.write(name, values, model.law.dims[name])
        seen = file.group("range")
        seen.set(reach=model.range.reach)
        for name, dims in _RANGE_DIMS.items():
            seen.write(name, getattr(model.range, name), dims)
        report = file.group("report")
        for name, values in arrays.items():
            report.write(name, values, (_REPORT_DIMS[name],))
    return Path(path)


def read_twin(path: str | Path) -> TwinModel:
    """Read a twin.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no twin, or is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no twin file {path}; `pnn twin fit` writes one")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != "twin":
                raise ValueError(f"it is of the kind {file.attrs.get('kind')!r}")
            attributes = read_attributes(file)
            law = LAWS[attributes["law"]]
            arrays = [file["law"][field.name][()] for field in fields(law)]
            report = {
                name: item[()]
                for name, item in file["report"].items()
                if item.attrs.get("CLASS") != b"DIMENSION_SCALE"
            }
            spec = read_spec(file, n_outputs=int(attributes["n_outputs"]))
            if spec is None:
                raise ValueError("it does not tell the device's limits")
            return TwinModel(
                law=law(*arrays),
                spec=spec,
                range=Range(
                    **{name: file["range"][name][()] for name in _RANGE_DIMS},
                    reach=float(file["range"].attrs["reach"]),
                ),
                spread=file["spread"][()],
                report=attributes["report"] | report,
            )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no twin that `pnn twin fit` wrote: {error}") from error
