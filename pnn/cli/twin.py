"""``pnn twin``: stand-ins for devices, from their recordings."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnn.cli.errors import reported
from pnn.cli.options import Json

if TYPE_CHECKING:
    from devices.recorded_rows import RecordedRows
    from pnn.twin_splits import JudgedTwin

__all__ = ["twin"]

twin = typer.Typer(no_args_is_help=True, help="Stand-ins for devices, fitted to recordings.")


@twin.callback()
def _twin() -> None:
    """Make `fit` a verb of its own: a group of one command would swallow its name."""


@twin.command()
def fit(
    recording: Annotated[
        Path, typer.Argument(help="An HDF5 file with drives and answers; see `pnn log import`.")
    ],
    group: Annotated[
        str | None, typer.Option(help="Which recording; all if they are of one device.")
    ] = None,
    kind: Annotated[
        str, typer.Option(help="auto, affine, magnitude, quadratic or network.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of the first split; the others count on.")] = 0,
    splits: Annotated[
        int, typer.Option(min=1, help="Random 80/20 splits whose test rows judge the twin.")
    ] = 5,
    hidden: Annotated[int, typer.Option(help="Width of the network.")] = 64,
    epochs: Annotated[int, typer.Option(help="Passes of the network over the rows.")] = 100,
    out: Annotated[
        Path | None, typer.Option(help="Twin to write; beside the recording if not given.")
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot/--no-plot", help="Whether to draw, beside the twin, as .png.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Fit a twin to a recording, judge it on rows that it has not seen, and write it."""
    with reported():
        from devices.extras import require
        from devices.recorded_rows import read_rows
        from pnn.twin_splits import fit_twin_on_splits

        if recording.is_dir():
            raise IsADirectoryError(f"{recording} is a folder: name the file of a recording")
        path = out or recording.with_name(f"{recording.stem}-twin.h5")
        picture = path.with_suffix(".png")
        if plot:
            require("matplotlib.figure", "plot")
        for file in (path, picture) if plot else (path,):
            if file.exists():
                raise FileExistsError(f"{file} exists already and is not overwritten; give --out")
        rows = read_rows(recording, group)
        law: Any = kind  # checked there
        judged = fit_twin_on_splits(
            rows.drives, rows.answers, spec=rows.spec, kind=law, seed=seed, splits=splits,
            hidden=hidden, epochs=epochs,
        )  # fmt: skip
        judged.fit.save(
            path,
            recording=str(recording),
            group=rows.group,
            seed=seed,
            splits=splits,
        )
        files = [path]
        if plot:
            from pnn.twin_plot import plot_twin

            files.append(plot_twin(judged.splits[0], rows.drives, rows.answers, picture))
        if as_json:
            print(json.dumps(_content(judged, files)))
        else:
            print(_text(judged, rows, files))


def _content(judged: JudgedTwin, files: list[Path]) -> dict[str, Any]:
    """Return the report as JSON has it: lists for arrays, null for what is not known."""

    def plain(value: Any) -> Any:
        value = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(value, list):
            return [plain(one) for one in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    report = {key: plain(value) for key, value in asdict(judged.fit.report).items()}
    return report | {
        "device": judged.fit.device.spec.name,
        "r2_by_split": plain(judged.r2_by_split),
        "recording_digest": judged.fit.digest,
        "files": [str(file) for file in files],
    }


def _text(judged: JudgedTwin, rows: RecordedRows, files: list[Path]) -> str:
    """Return the table of laws and the report."""
    report, spec = judged.fit.report, judged.fit.device.spec
    lines = [
        f"{spec.name}: {len(rows.drives)} rows, {spec.n_inputs} drives, {spec.n_outputs} answers",
        "",
    ]
    if report.validation_r2:
        won = [split.report.kind for split in judged.splits]
        lines.append("  law         R2 of validation rows  chosen")
        for law, r2 in report.validation_r2.items():
            lines.append(f"  {law:<10}  {r2:>21.4f}  in {won.count(law)} of {len(won)} splits")
        lines += [f"  {law:<10}  not tried: {why}" for law, why in report.left_out.items()]
        lines.append("")
    each = judged.r2_by_split
    spread = f" (from {each.min():.4f} to {each.max():.4f})" if len(each) > 1 else ""
    count = f", mean of {len(each)} splits" if len(each) > 1 else ""
    known = report.r2_by_output[[math.isfinite(value) for value in report.r2_by_output]]
    lines += [
        f"law           {report.kind}, {report.multiply_adds} multiply-adds for each prediction",
        f"held-out R2   {report.r2:.4f} pooled over outputs{count}{spread}",
    ]
    if len(known):
        lines.append(f"              from {known.min():.4f} to {known.max():.4f} by output")
    lines += [
        f"affine share  {report.affine_share:.4f}: what the best affine map explains",
        f"range         drives from {report.low.min():g} to {report.high.max():g}"
        f" {spec.input_unit}".removesuffix(" 1"),
        f"fitting       {report.multiply_adds_fit:.2g} multiply-adds",
        f"written       {', '.join(map(str, files))}",
        f'use           --device "twin?path={files[0]}"',
    ]
    return "\n".join(lines)
