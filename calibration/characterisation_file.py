"""A characterisation in an HDF5 file."""

from __future__ import annotations

from calibration.characterise import Characterisation
from calibration.verdict import summary, verdict
from devices.hdf5 import RecordFile

__all__ = ["write_characterisation"]


def write_characterisation(found: Characterisation, file: RecordFile) -> None:
    """Write the findings and the verdict at the root of a file, and rows that it has not yet."""
    file.set(summary=summary(found), verdict=verdict(found))
    if not found.queries:
        file.write("drives", found.drives, ("row", "input"), unit=found.input_unit)
        file.write("answers", found.answers, ("row", "output"), unit=found.output_unit)
    s = found.structure
    file.write(
        "influence", s.influence, ("output", "input"), unit="1",
        long_name="share of an output's variance in which an input has a part",
    )  # fmt: skip
    file.write("spread", s.spread, ("output",), unit=found.output_unit)
    file.write("affine_by_output", found.laws.affine_by_output, ("output",), unit="1")
    if found.dimensions is not None:
        for name in ("signal_variance", "noise_variance"):
            file.write(
                name, getattr(found.dimensions, name), ("direction",),
                unit=f"({found.output_unit})^2",
            )  # fmt: skip
    if found.magnitude is not None:
        law = found.magnitude
        file.write("magnitude_output", law.outputs, ("magnitude_output",))
        dims = ("magnitude_output", "input")
        file.write("magnitude_matrix_real", law.matrix.real, dims)
        file.write("magnitude_matrix_imag", law.matrix.imag, dims)
