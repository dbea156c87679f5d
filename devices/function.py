"""Any Python callable as a device."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from devices.checks import flag
from devices.device import Device
from devices.spec import DeviceSpec

__all__ = ["FunctionDevice", "load_function"]

Function = Callable[[NDArray[Any]], Any]


class FunctionDevice(Device):
    """A device whose answers come from a function, be it a simulation or a script at a bench.

    Parameters
    ----------
    function : callable or str
        Takes drives of shape (batch, n_inputs) and returns answers of shape (batch, n_outputs);
        with ``max_batch=1`` a batch is one row. As a string, ``"package.module:name"`` or
        ``"path/to/file.py:name"``, imported when the device is opened: such a device can be
        named on the command line and is as portable as its text.
    n_inputs, n_outputs : int
        Width of one drive and of one answer.
    safe : callable, optional
        Called without arguments to switch the outputs off.
    reproducible : bool
        Whether the function gives the same answers to the same rows in every run, as a
        simulation does; see `Device.reproducible`.
    **spec
        Any other field of `DeviceSpec`: ``low``, ``high``, ``domain``, ``seconds_per_query`` ...

    Raises
    ------
    ValueError
        If a string does not have the form above, or a field of the spec is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> with FunctionDevice(np.tanh, 3, 3, low=-1, high=1) as device:
    ...     device.measure(np.zeros((1, 3)))
    array([[0., 0., 0.]])
    """

    def __init__(
        self,
        function: Function | str,
        n_inputs: int,
        n_outputs: int,
        *,
        safe: Callable[[], object] | None = None,
        reproducible: bool = False,
        **spec: Any,
    ) -> None:
        if isinstance(function, str):
            module, _, name = function.rpartition(":")
            if not (module and name):
                raise ValueError(
                    f"function={function!r} must be 'package.module:name' or 'file.py:name'"
                )
        else:
            name = getattr(function, "__name__", type(function).__name__)
        known = [f.name for f in fields(DeviceSpec) if f.name not in ("n_inputs", "n_outputs")]
        if unknown := [key for key in spec if key not in known]:
            raise ValueError(
                f"FunctionDevice: unknown argument {', '.join(unknown)}; its arguments are "
                f"function, n_inputs, n_outputs, safe, reproducible, {', '.join(known)}"
            )
        spec.setdefault("name", name)
        self.spec = DeviceSpec(n_inputs=n_inputs, n_outputs=n_outputs, **spec)
        self._function = function
        self._switch_off = safe
        self._reproducible = flag("FunctionDevice", "reproducible", reproducible)

    @property
    def reproducible(self) -> bool:
        """Whether the function was said to be."""
        return self._reproducible

    def _open(self) -> None:
        if isinstance(self._function, str):
            self._function = load_function(self._function)

    def _measure(self, drives: NDArray[Any]) -> NDArray[Any]:
        assert callable(self._function)
        return self._function(drives)

    def _safe(self) -> None:
        if self._switch_off is not None:
            self._switch_off()


def load_function(text: str, *, fresh: bool = True) -> Function:
    """Import what ``"package.module:name"`` or ``"file.py:name"`` names.

    With `fresh` a file is run anew; without, functions of one file share what is in it.
    """
    where, _, name = text.rpartition(":")
    if where.endswith(".py"):
        path = Path(where)
        if not path.is_file():
            raise FileNotFoundError(f"function={text!r}: there is no file {path.resolve()}")
        # Under a name that hides no module; data classes look their own module up in there.
        known = f"{path.stem} in {path.resolve()}"
        module = None if fresh else sys.modules.get(known)
        if module is None:
            spec = importlib.util.spec_from_file_location(known, path)
            assert spec is not None
            assert spec.loader is not None
            module = sys.modules[known] = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[known]
                raise
    else:
        module = importlib.import_module(where)
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"function={text!r}: {where} has no function {name!r}")
    return function
