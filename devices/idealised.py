"""What is imperfect about a device, and the same device without."""

from __future__ import annotations

from devices.device import Device, _rebuild, _short
from devices.wrapper import Wrapper

__all__ = ["idealised", "imperfections_on"]


def imperfections_on(device: Device) -> tuple[str, ...]:
    """Return what is switched on, outermost first, as text.

    Every device in the stack whose constructor has a switch ``ideal`` and which is not ideal
    counts: wrappers such as `Noisy`, and simulators with imperfections of their own.

    Examples
    --------
    >>> from devices import FunctionDevice, Noisy, Quantised
    >>> bench = Noisy(Quantised(FunctionDevice(abs, 2, 2), drive_bits=8), 0.1)
    >>> imperfections_on(bench)
    ('Noisy(additive=0.1)', 'Quantised(drive_bits=8)')
    """
    found: tuple[str, ...] = ()
    if _has_switch(device) and not device.recipe()["ideal"]:
        given = device._bound().arguments.items()
        shown = [f"{k}={_short(v)}" for k, v in given if not isinstance(v, Device)]
        found = (f"{type(device).__name__}({', '.join(shown)})",)
    if isinstance(device, Wrapper):
        found += imperfections_on(device.inner)
    return found


def idealised(device: Device) -> Device:
    """Return the same stack of devices, closed, with every imperfection switched off.

    Each device whose constructor has a switch ``ideal`` is built anew with ``ideal=True``, the
    others are copied; programmable parameters keep their values. A driver of a real instrument is
    copied: close one of the two before opening the other.

    Parameters
    ----------
    device : Device
        Any; it is not changed.
    """
    bound = device._bound()
    for name, value in bound.arguments.items():
        if isinstance(value, Device):
            bound.arguments[name] = idealised(value)
    if _has_switch(device):
        bound.arguments["ideal"] = True
    return _rebuild(type(device), bound.args, bound.kwargs, device._settings())


def _has_switch(device: Device) -> bool:
    return "ideal" in device._bound().signature.parameters
