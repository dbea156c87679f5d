"""Rigs: instruments in roles, composed into one device and described by a ``rig.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from devices.device import Device
from devices.registry import build_device
from devices.replay import Replay
from devices.rigs.catalogue import DRIVERS, RIGS
from devices.rigs.config import RigConfig, build, call, load_rig
from devices.safety import all_off

__all__ = ["RigConfig", "build_rig", "instruments", "load_rig", "make_safe", "open_rig", "rig"]

Mode = Literal["real", "sim", "replay"]


def open_rig(path: str | Path, mode: Mode = "real") -> Device:
    """Make the rig that a file describes and open it; use it in a ``with`` statement.

    Parameters
    ----------
    path : path
        A ``rig.toml``.
    mode : {"real", "sim", "replay"}
        The instruments, the simulator named in ``[sim]``, or the recording in ``[replay]``: its
        ``path`` (from the rig file's folder), and the other arguments of `Replay`.

    Raises
    ------
    ValueError
        If the file or a setting in it is wrong.
    DeviceError
        If an instrument does not answer, is another one, or is in use.
    """
    return build_rig(path, mode).open()


def rig(path: str, mode: Mode = "real") -> Device:
    """Bench described by a rig.toml: real instruments, or mode=sim, mode=replay."""
    return build_rig(path, mode)


def build_rig(path: str | Path, mode: Mode = "real") -> Device:
    """Make the rig that a file describes, without opening it; see `open_rig`.

    In all modes instruments and limits are those of the real rig, as far as they can be checked
    without connecting: what only stands in for it does not hide what is wrong with it.
    """
    config = load_rig(path)
    if mode not in ("real", "sim", "replay"):
        raise ValueError(f"mode={mode!r} is not one of real, sim, replay")
    if mode == "real":
        return _real(config)
    if config.instruments:
        _real(config, addressed=False)
    return _stand_in(config, mode)


def _stand_in(config: RigConfig, mode: Mode) -> Device:
    table = dict(getattr(config, mode))
    if mode == "replay" and "path" in table:
        found: Device = call(
            config, "[replay]", Replay, table | {"path": config.path.parent / table["path"]}
        )
        return found
    if "device" not in table:
        raise ValueError(
            f"rig file {config.path}: mode={mode!r} needs a table [{mode}] with "
            + ("device = 'sim:...'" if mode == "sim" else "path = 'recording.h5'")
        )
    return build_device(table["device"])


def _real(config: RigConfig, *, addressed: bool = True) -> Device:
    made, monitors, limits = build(config, addressed=addressed)
    kind = RIGS[config.kind]
    arguments = dict(config.rig)
    parts = [_in_role(config, arguments, role, made) for role in kind.roles]
    arguments |= {"limits": limits, "instruments": made, "monitors": monitors}
    arguments.setdefault("name", config.path.stem)
    device: Device = call(config, "[rig]", kind.load(), arguments, *parts)
    return device


def instruments(config: RigConfig | str | Path) -> dict[str, Any]:
    """Make the instruments of a rig, none of them open, in the order of opening."""
    return build(config if isinstance(config, RigConfig) else load_rig(config))[0]


def make_safe(path: str | Path) -> list[tuple[str, Exception | None]]:
    """Connect to every instrument of a rig and switch it off, the last one first.

    One that does not answer does not keep the others on. No lock is asked for: a program that
    hangs must not be able to keep its outputs on.

    Returns
    -------
    list of (name, error or None)
        In the order in which it was done.
    """
    return all_off({name: _Switchable(one) for name, one in instruments(path).items()})


class _Switchable:
    """Connects for one `off`, without configuring anything."""

    def __init__(self, instrument: Any) -> None:
        self._instrument = instrument

    def off(self) -> None:
        one = self._instrument
        (one.connect if hasattr(one, "connect") else one.open)()
        try:
            one.off()
        finally:
            one.close()


def _in_role(config: RigConfig, arguments: dict[str, Any], role: str, made: dict[str, Any]) -> Any:
    """Return the instrument for a role: the one named in [rig], or the only one that fits."""
    named = arguments.pop(role, None)
    if named is not None:
        if named not in made:
            raise ValueError(
                f"rig file {config.path}: [rig] {role}={named!r} is not one of the instruments "
                f"{', '.join(made)}"
            )
        return made[named]
    fitting = [
        n for n, table in config.instruments.items() if role in DRIVERS[table["driver"]].roles
    ]
    if len(fitting) != 1:
        drivers = ", ".join(name for name, entry in DRIVERS.items() if role in entry.roles)
        raise ValueError(
            f"rig file {config.path}: a {config.kind} rig needs one {role} (drivers {drivers}), "
            f"there are {len(fitting)}" + (f"; name it: [rig] {role} = 'NAME'" if fitting else "")
        )
    return made[fitting[0]]
