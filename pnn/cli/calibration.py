"""The verbs of ``pnn`` that measure what a device does."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from pnn.cli.errors import reported
from pnn.cli.options import DryRun, Json
from pnn.cli.progress import StatusLine, StepLine

__all__ = ["add_calibration"]

T = TypeVar("T")


def add_calibration(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(characterise)
    app.command()(calibrate)


def characterise(
    source: Annotated[
        str,
        typer.Argument(
            help="A device (NAME?key=value&..., or a TOML file), a recording (.h5), or the drives "
            "of one (.csv)."
        ),
    ],
    answers: Annotated[
        str | None, typer.Argument(help="The answers of a recording, where the drives are a .csv.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Which recording, where the .h5 has several.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Different random drives; each is measured twice.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drives.")] = 0,
    out: Annotated[
        str | None, typer.Option(help="HDF5 file to write; the plot goes beside it, as .png.")
    ] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Whether to draw.")] = True,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Say what a device is good for, before any training: from random drives or a recording."""
    with reported():
        import calibration
        from calibration.characterisation_file import write_characterisation
        from calibration.identity import identity_of
        from calibration.plots import plot_characterisation
        from calibration.verdict import summary, verdict
        from devices import Recorded, build_device
        from devices.extras import require
        from devices.hdf5 import RecordFile
        from pnn.training import limit_threads

        if plots:
            require("matplotlib", "plot")
        path = _unused(Path(out), plots) if out is not None else None
        line = StepLine()
        recorded = answers is not None or Path(source).suffix in (".csv", ".h5", ".hdf5", ".nc")
        if recorded:
            if rows is not None:
                raise ValueError(f"--rows {rows} is for devices; a recording has the rows it has")
            recording = calibration.read_recording(source, answers, group)
            name = recording.name
        else:
            device = build_device(source)
            name = device.spec.name
            cost = 2 * calibration.characterise_rows(device.spec, rows)
            seconds = cost * device.spec.seconds_per_query
            text = f"characterise {device.spec.name}: {cost} queries"
            print(text + (f", about {seconds:.3g} s" if seconds else ""), file=sys.stderr)
        if dry_run:
            return
        path = path or Path("runs") / f"characterise-{name}-{datetime.now():%Y%m%d-%H%M%S}.h5"
        if recorded:
            with limit_threads(1):
                found = calibration.characterise_recording(recording, seed, line)
            line.close()
        # The file is there before anything is driven.
        with RecordFile(path, kind="characterisation", source=source, seed=seed) as file:
            if not recorded:
                table = file.group("measurements")
                with _told(path, line), limit_threads(1), Recorded(device, table) as measured:
                    found = calibration.characterise(measured, rows, seed, line)
            with file.restructuring():
                write_characterisation(found, file)
                if not recorded:
                    file.set(device=identity_of(device), recipe=repr(device))
        files = [path]
        if plots:
            files.append(plot_characterisation(found, path.with_suffix(".png")))
        if as_json:
            print(json.dumps(summary(found) | {"files": [str(file) for file in files]}))
            return
        print(verdict(found))
        print("written: " + ", ".join(str(file) for file in files), file=sys.stderr)


def calibrate(
    source: Annotated[
        str, typer.Argument(help="A device (NAME?key=value&...), or a TOML file: of a rig, say.")
    ],
    folder: Annotated[Path, typer.Option(help="Where the calibration files go.")] = Path(
        "calibrations"
    ),
    only: Annotated[
        str | None, typer.Option(help="Procedures, as offset,linearity; those a rig needs.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every procedure that the device can be measured with.")
    ] = False,
    not_needed: Annotated[
        str | None, typer.Option(help="Procedures that others may do without, as offset,delay.")
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(help="Rows are waveforms, and answers so many recorded ones."),
    ] = None,
    sample_rate_hz: Annotated[float | None, typer.Option(help="Of these waveforms.")] = None,
    wavelength_m: Annotated[float | None, typer.Option(help="Of a phase table.")] = None,
    valid_for_h: Annotated[float, typer.Option(help="Hours after which the files expire.")] = 168.0,
    valid: Annotated[
        list[str] | None, typer.Option(help="NAME=LOW:HIGH, a condition of using the files.")
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: how far a rig's monitor may leave what it reads now."),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Measure a device procedure by procedure, in order, and keep a file of each."""
    with reported():
        import calibration
        from calibration.choice import USUAL, Waveforms
        from calibration.sequence import ORDER
        from devices import build_device
        from devices.checks import number, one_of

        device = build_device(source)
        validity = dict(_pair("--valid", text, "NAME=LOW:HIGH", _range) for text in valid or ())
        margins = dict(_pair("--margin", text, "NAME=VALUE", float) for text in margin or ())
        number("calibrate", "--valid-for-h", min(valid_for_h, 1e9), 0.0, above=True)
        calibration.check_conditions(device, validity, margins)
        unneeded = [
            one_of("--not-needed", "procedure", kind, ORDER) for kind in _names(not_needed or "")
        ]
        waves = None
        if channels is not None or sample_rate_hz is not None:
            waves = Waveforms(channels=channels or 1, sample_rate_hz=sample_rate_hz)
        possible = calibration.procedures_for(device, waveforms=waves)
        chosen = [one for one in possible if all_ or one.kind in USUAL]
        if only is not None:
            chosen = calibration.procedures_for(device, _names(only), waveforms=waves)
        if wavelength_m is not None:
            chosen = [
                replace(one, wavelength_m=wavelength_m)
                if isinstance(one, calibration.PhaseTable)
                else one
                for one in chosen
            ]
        total = sum(one.queries(device.spec) for one in chosen)
        for one in chosen:
            print(one.announcement(device.spec), file=sys.stderr)
        print(f"in all: {total} queries", file=sys.stderr)
        if left := sorted({*ORDER} - {one.kind for one in chosen}, key=ORDER.index):
            print(f"left out: {', '.join(left)}", file=sys.stderr)
        # What a device cannot be measured with is no need of the others.
        others = [kind for kind in ORDER if kind not in {one.kind for one in possible}]
        store = calibration.CalibrationFolder(folder)
        failed: dict[str, str] = {}
        without = [*others, *unneeded]
        if dry_run:
            calibration.check_order(chosen, device, list(store.known(device)), without)
            return
        with device:
            made = calibration.calibrate(
                device,
                chosen,
                folder,
                not_needed=without,
                validity=validity,
                margins=margins,
                valid_for_s=3600 * valid_for_h,
                began=lambda one: print(f"{one.kind} ...", file=sys.stderr),
                failed=lambda one, error: failed.update({one.kind: str(error)}),
            )
            stale = store.out_of_date(device)
        files = {one.kind: str(store.file_of(one)) for one in made}
        if as_json:
            content = {
                "queries": device.ledger.queries["calibration"],
                "files": files,
                "results": {one.kind: one.summary() for one in made},
                "failed": failed,
                "stale": stale,
            }
            print(json.dumps(content))
        else:
            for done in made:
                print(f"{done.kind:<20}{done.headline()}\n{'':<20}{files[done.kind]}")
            for kind, reason in failed.items():
                print(f"{kind:<20}no result: {reason}")
            for line in stale:
                print(f"out of date: {line}")


def _unused(path: Path, plots: bool) -> Path:
    """Return the path of an HDF5 file that can be made, and so can the plot beside it."""
    plot = path.with_suffix(".png")
    if path.suffix.lower() == ".png":
        raise ValueError(
            f"--out {path} is where the plot goes: name the HDF5 file, {path.with_suffix('.h5')}"
        )
    for one in (path, plot) if plots else (path,):
        if one.exists():
            raise FileExistsError(f"{one} exists already and is not overwritten")
    return path


@contextlib.contextmanager
def _told(path: Path, line: StatusLine) -> Iterator[None]:
    """Say where the rows are if a device fails, and clear the line of progress."""
    from devices import DeviceError

    try:
        yield
    except DeviceError as error:
        error.add_note(f"what was measured is in {path}")
        raise
    finally:
        line.close()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _pair(option: str, text: str, form: str, read: Callable[[str], T]) -> tuple[str, T]:
    """Return the name and the value of an option of that form."""
    name, _, value = text.partition("=")
    try:
        if not name:
            raise ValueError
        return name, read(value)
    except ValueError:
        raise ValueError(f"{option} {text!r} must be {form}, in numbers") from None


def _range(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    return float(low), float(high if colon else low)
