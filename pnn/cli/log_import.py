"""``pnn log import``: recordings of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pnn.cli.errors import reported
from pnn.cli.options import Json

__all__ = ["import_recording"]


def import_recording(
    drives_file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .csv, .npz, .mat or .h5 file.")
    ],
    answers_file: Annotated[
        Path | None,
        typer.Argument(metavar="[ANSWERS]", help="The file of the answers, where it is another."),
    ] = None,
    drives: Annotated[
        str | None,
        typer.Option(help='Columns with drives: names, "x*", numbers as 1-20, or array:1-20.'),
    ] = None,
    answers: Annotated[str | None, typer.Option(help="Columns with answers, likewise.")] = None,
    imaginary: Annotated[
        str | None, typer.Option(help="Columns with the imaginary parts of the answers.")
    ] = None,
    transpose: Annotated[
        bool, typer.Option("--transpose", help="Arrays have a column for each measurement.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What the device is called.")] = None,
    domain: Annotated[
        str, typer.Option(help="What a drive is: amplitude, phase, bits, tones or codes.")
    ] = "amplitude",
    unit: Annotated[str, typer.Option(help="Unit of the drives, as V.")] = "1",
    answer_unit: Annotated[str, typer.Option(help="Unit of the answers.")] = "1",
    low: Annotated[
        float | None, typer.Option(help="Lowest legal drive; that of each column if not given.")
    ] = None,
    high: Annotated[float | None, typer.Option(help="Highest legal drive.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="HDF5 file to write; beside FILE if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn drives and answers of another program into a recording."""
    with reported():
        from pnn.importing import import_rows, write_recording

        sources = [drives_file] if answers_file is None else [drives_file, answers_file]
        settings: dict[str, Any] = {
            "drives": drives, "answers": answers, "imaginary": imaginary, "transpose": transpose,
            "name": name, "domain": domain, "unit": unit, "answer_unit": answer_unit,
            "low": low, "high": high,
        }  # fmt: skip
        rows = import_rows(sources, **settings)
        path = out or drives_file.with_name(f"{rows.spec.name}.h5")
        write_recording(rows, path, imported_from=[str(one) for one in sources], mapping=settings)
        spec = rows.spec
        lowest, highest = spec.limits
        content = {
            "recording": str(path),
            "device": spec.name,
            "rows": len(rows.drives),
            "inputs": spec.n_inputs,
            "outputs": spec.n_outputs,
            "answers": spec.output_dtype,
            "low": float(lowest.min()),
            "high": float(highest.max()),
        }
        if as_json:
            print(json.dumps(content))
            return
        limits = f"{content['low']:g} to {content['high']:g} {spec.input_unit}".removesuffix(" 1")
        print(
            f"{path}: {content['rows']} rows of {spec.name}, {spec.n_inputs} drives from {limits}, "
            f"{spec.n_outputs} answers ({spec.output_dtype})"
        )
