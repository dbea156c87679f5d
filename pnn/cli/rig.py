"""``pnn rig``: what is connected, whether it works, and everything off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from pnn.cli.errors import reported
from pnn.cli.options import Json

__all__ = ["rig", "rig_device"]

rig = typer.Typer(no_args_is_help=True, help="Instruments: what is connected, check, all off.")

RigFile = Annotated[Path, typer.Argument(help="A rig file (rig.toml).")]


@rig.command("list")
def list_(
    backend: Annotated[str, typer.Option(help="VISA: @py, @ivi or the path of a library.")] = "@py",
    as_json: Json = False,
) -> None:
    """List what is connected: VISA resources and serial ports."""
    with reported():
        found: dict[str, Any] = {}
        for kind, look in (("visa", lambda: _visa(backend)), ("serial", _serial)):
            found[kind], found[f"{kind}_problem"] = _looked(look)
        if as_json:
            print(json.dumps(found))
            return
        for kind in ("visa", "serial"):
            print(f"{kind}: {len(found[kind])}")
            for address, text in found[kind].items():
                print(f"  {address}" + (f"  {text}" if text else ""))
            if found[f"{kind}_problem"]:
                print(f"  {found[f'{kind}_problem']}")


@rig.command()
def check(
    path: RigFile,
    rows: Annotated[
        int, typer.Option(min=2, help="Repeats of one row, for latency and repeatability.")
    ] = 8,
    drive: Annotated[
        bool,
        typer.Option("--drive/--no-drive", help="Whether to drive anything: a row within limits."),
    ] = True,
    seed: Annotated[int, typer.Option(help="Of the row.")] = 0,
    as_json: Json = False,
) -> None:
    """Open each instrument, say what answers, measure latency and repeatability."""
    with reported():
        from pnn.rig_check import check_rig, check_text

        result = check_rig(path, rows=rows if drive else 0, seed=seed)
        print(json.dumps(result) if as_json else check_text(result))
        if not result["ok"]:
            raise typer.Exit(3)


@rig.command()
def safe(path: RigFile, as_json: Json = False) -> None:
    """Switch the outputs of every instrument off, the last one first."""
    with reported():
        from devices.rigs import make_safe

        done = make_safe(path)
        failed = any(error is not None for _, error in done)
        if as_json:
            states = {name: "off" if error is None else str(error) for name, error in done}
            print(json.dumps({"ok": not failed, "instruments": states}))
        else:
            for name, error in done:
                print(f"{name}: off" if error is None else f"{name}: NOT OFF: {error}")
            if failed:
                print("switch off by hand what is not off; all others are off")
        if failed:
            raise typer.Exit(3)


def rig_device(path: str, mode: str, device: str | None) -> str:
    """Return the device that ``--rig`` and ``--mode`` name.

    Raises
    ------
    ValueError
        If there is a ``--device`` as well, or no such mode.
    """
    if device is not None:
        raise ValueError("--rig and --device name two devices; give one of them")
    if mode not in ("real", "sim", "replay"):
        raise ValueError(f"--mode {mode!r} is not one of real, sim, replay")
    return f"rig?{urlencode({'path': path, 'mode': mode}, safe='/')}"


def _looked(look: Callable[[], dict[str, str]]) -> tuple[dict[str, str], str | None]:
    """Return what was found, and what was in the way."""
    try:
        return look(), None
    except Exception as error:  # a back end that fails must not hide what others find
        return {}, f"{type(error).__name__}: {error}"


def _visa(backend: str) -> dict[str, str]:
    from devices.transports.visa import visa_resources

    return dict.fromkeys(visa_resources(backend), "")


def _serial() -> dict[str, str]:
    from devices.transports.serial_port import serial_ports

    return {f"serial://{port}": text for port, text in serial_ports()}
