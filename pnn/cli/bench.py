"""``pnn bench``: a rig's instruments as a rehearsal, on this machine."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from pnn.cli.errors import reported
from pnn.cli.options import Json

__all__ = ["bench"]

_TOKEN = "PNN_BENCH_TOKEN"  # environment variable

bench = typer.Typer(no_args_is_help=True, help="Rehearse a rig with virtual instruments.")


@bench.callback()
def _root() -> None:
    """Keep `serve` a verb of its own, even while it is the only one."""


@bench.command()
def serve(
    rig: Annotated[
        Path | None,
        typer.Argument(help="A rig file with a table [sim]; not needed with --faults."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="What is to go wrong: [INSTRUMENT:]KIND[=VALUE][,after=N][,times=N]"
            "[,match=TEXT]; may be given several times. --faults lists the kinds."
        ),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="List the kinds of faults.")] = False,
    port: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PORT, or one number: the first port; free ones otherwise."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine, a token is needed.")
    ] = "127.0.0.1",
    token: Annotated[str, typer.Option(envvar=_TOKEN, help="What a client must say first.")] = "",
    pty: Annotated[
        bool, typer.Option("--pty", help="Serial instruments on pseudo-terminals.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(help="Write a copy of the rig file with the addresses.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the instruments of a rig, with the physics of its simulator, until Ctrl-C."""
    with reported():
        from simulators.bench import KINDS, Bench

        if faults:
            rows = {
                name: f"{kind.text} (value {kind.value:g}, times {kind.times:g})"
                for name, kind in KINDS.items()
            }
            width = max(map(len, rows))
            lines = [f"{name.ljust(width)}  {text}" for name, text in rows.items()]
            print(json.dumps(rows) if as_json else "\n".join(lines))
            return
        if rig is None:
            raise ValueError("name a rig file with a table [sim], such as acoustic.toml")
        made = Bench.from_rig(rig, fault or ())
        ports = _ports(port or [], list(made.instruments))
        with made:
            addresses = made.serve(host=host, ports=ports, token=token, pty=pty)
            if write is not None:
                from simulators.bench.rig_file import with_addresses

                # The file says where the token stands, not what it is.
                said = f"env:{_TOKEN}" if token else ""
                with_addresses(rig, write, addresses, token=said)
            if as_json:
                written = None if write is None else str(write)
                print(json.dumps({"addresses": addresses, "rig": written}), flush=True)
            else:
                _say(addresses, write)
            # The instruments end with this process, and with them whatever they put out.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
            print("\nthe virtual bench is closed", file=sys.stderr)
            for each in made.faults.all:
                print(f"fault {each} struck {_times(each.struck, each.seen)}", file=sys.stderr)


def _times(struck: int, seen: int) -> str:
    times = f"{struck} time" + "s" * (struck != 1)
    return times if struck else f"{times}: {seen} events came that it could have struck"


def _say(addresses: dict[str, str], written: Path | None) -> None:
    for name, address in addresses.items():
        print(f'[instruments.{name}]\naddress = "{address}"\n')
    if written is not None:
        print(f"written: {written}")
    print("serving until Ctrl-C", flush=True)


def _ports(texts: list[str], names: list[str]) -> dict[str, int]:
    """Read ``NAME=PORT``, or one number from which the instruments' ports count up.

    Raises
    ------
    ValueError
        If a text has another form, or there is no such instrument.
    """
    ports: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        if not number.isdigit() or int(number) > 65535 or (equals and name not in names):
            raise ValueError(
                f"--port {text!r} must be NAME=PORT or a port; instruments are {', '.join(names)}"
            )
        first = int(number)
        ports |= {name: first} if equals else {n: first + k for k, n in enumerate(names) if first}
    return ports
