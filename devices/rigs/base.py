"""What all rigs have in common: instruments in order, safe states, flags, monitors, warm-up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number
from devices.device import Device
from devices.errors import DeviceError, LimitError
from devices.measurement import Flag, Measurement, Purpose
from devices.rigs.locks import RigLock
from devices.roles import Instrument, Monitor
from devices.safety import LabLimits, all_off, exit_on_sigterm

__all__ = ["Rig"]

Array = NDArray[Any]
_log = logging.getLogger("devices.rigs")


class Rig(Device):
    """Instruments in roles, as one device.

    A rig writes `_measure`, calls `_stand` in its constructor, and reports what happened to its
    rows with `_flag`. Instruments are opened in their order and made safe in the reverse one.

    Attributes
    ----------
    instruments : dict of str to Instrument
        In the order of opening.
    monitors : dict of str to Monitor
        Read once for each call of `acquire`; see `Measurement.readings`.
    limits : LabLimits
    """

    instruments: dict[str, Instrument]
    monitors: dict[str, Monitor]
    limits: LabLimits

    def _stand(
        self,
        instruments: Mapping[str, Any],
        limits: LabLimits | None,
        monitors: Mapping[str, Any] | None,
        warm_up_s: float,
    ) -> None:
        self.instruments = dict(instruments)
        self.monitors = dict(monitors or {})
        self.limits = limits or LabLimits()
        self.warm_up_s = number("rig", "warm_up_s", warm_up_s, 0.0, 86_400.0)
        self._locks = ExitStack()
        self._opened: dict[str, Instrument] = {}
        self._warm_at = 0.0
        self._is_off = False
        self._mended_before = 0
        self._row_flags: list[NDArray[np.uint8]] = []

    def _keeps_limits(self, allowed: Callable[[Array], object], change: str) -> None:
        """Ask, when a rig is made, whether the ends of its inputs' range keep the limits.

        Beyond a limit with one input alone, that input's range is wrong, and a run would find out
        at some row. What only all inputs together break may never be driven: a warning.

        Parameters
        ----------
        allowed : callable
            Takes rows, raises `LimitError`.
        change : str
            The keys that the range comes from.

        Raises
        ------
        ValueError
            If one input alone breaks a limit.
        """
        ends, rest = self.spec.limits, np.clip(0.0, *self.spec.limits)
        places = np.arange(self.spec.n_inputs)
        unit = self.spec.input_unit.replace("1", "")
        for end in ends:
            level = f"{end[0]:g} {unit}".rstrip()
            try:
                for place in {0, self.spec.n_inputs - 1}:
                    allowed(np.where(places == place, end, rest)[None])
            except LimitError as error:
                raise ValueError(
                    f"one input alone at {level} breaks a limit: {error}. Narrow what the rig may "
                    f"drive ({change}), or raise the limit if the laboratory bears it"
                ) from error
            try:
                allowed(end[None])
            except LimitError as error:
                _log.warning(
                    "%s: rows with all inputs at %s will be refused: %s",
                    self.spec.name,
                    level,
                    error,
                )

    # -- life cycle ----------------------------------------------------------------------------

    def _open(self) -> None:
        exit_on_sigterm()
        everything: dict[str, Any] = dict(self.instruments)
        everything |= {f"monitor {name}": one for name, one in self.monitors.items()}
        try:
            for one in everything.values():
                address = getattr(getattr(one, "transport", None), "address", None)
                # An address in this process is nobody else's.
                if address is not None and not address.startswith("loop:"):
                    self._locks.enter_context(RigLock(address))
            for name, one in everything.items():
                if hasattr(one, "open"):
                    one.open()
                if name in self.instruments:
                    self._opened[name] = one
        except BaseException:
            # Those that are open already may be driving; what failed is what the user must see.
            all_off(self._opened)
            self._close()
            raise
        self._warm_at = time.monotonic() + self.warm_up_s
        self._is_off = False
        self._mended_before = self._mended()

    def _close(self) -> None:
        self._opened = {}
        for one in reversed([*self.instruments.values(), *self.monitors.values()]):
            if hasattr(one, "close"):
                try:
                    one.close()
                except Exception as error:
                    _log.error("%s: closing failed: %s", getattr(one, "name", one), error)
        self._locks.close()

    def _safe(self) -> None:
        self._is_off = True
        failed = [(name, error) for name, error in all_off(self._opened) if error is not None]
        if failed:
            raise DeviceError(
                f"{self.spec.name}: could not be switched off: "
                + "; ".join(f"{name}: {error}" for name, error in failed)
                + ". Switch it off by hand, all others are off"
            ) from failed[0][1]

    def hold(self) -> None:
        """Pause in a state that keeps the thermal equilibrium; `safe` switches off.

        Raises
        ------
        DeviceError
            If an instrument cannot.
        """
        with self._lock:
            failed = [(n, e) for n, e in all_off(self._opened, "hold") if e is not None]
            if failed:
                raise DeviceError(
                    f"{self.spec.name}: {failed[0][0]} cannot hold: {failed[0][1]}"
                ) from failed[0][1]

    # -- measuring -----------------------------------------------------------------------------

    def _check(self, drives: Array) -> None:
        """Raise `LimitError` for rows that the laboratory's limits refuse; drives nothing."""

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        with self._lock:
            self._warm_up()
            self._check(drives)
            self._switch_on()
            self._row_flags = []
            try:
                readings = {name: self._reading(name) for name in self.monitors}
            except BaseException:  # what the rows before have left on goes off
                self._safe()
                raise
            measured = super()._acquire(drives, purpose)
            flags = measured.flags
            if self._row_flags:
                flags = flags | np.concatenate(self._row_flags)
                self._ledger.flagged(flags & ~measured.flags)
            return replace(measured, flags=flags, readings=readings)

    def _reading(self, monitor: str) -> float:
        try:
            return float(self.monitors[monitor].read())
        except Exception as error:
            failure = DeviceError(
                f"{self.spec.name}: the monitor {monitor!r} cannot be read: "
                f"{type(error).__name__}: {error}"
            )
            failure.transient = getattr(error, "transient", False)
            raise failure from error

    @contextmanager
    def _calibrating(self, queries: int) -> Iterator[None]:
        """Guard what is driven by another way than `acquire`, and count it as calibration."""
        with self._lock:
            if not self._opened:
                raise DeviceError(f"{self.spec.name} is not open; use it as `with device:`")
            self._warm_up()
            self._switch_on()
            self._row_flags = []
            try:
                yield
            except BaseException:
                self._safe()
                raise
            self._ledger.queries["calibration"] += queries

    def _warm_up(self) -> None:
        if (left := self._warm_at - time.monotonic()) > 0:
            _log.info("%s: warming up for %.0f s", self.spec.name, left)
            time.sleep(left)

    def _switch_on(self) -> None:
        if self._is_off:  # after a row that failed: what was switched off would answer nothing
            for one in self._opened.values():
                one.on()
            self._is_off = False

    def _flag(self, n_rows: int, **events: Any) -> None:
        """Report, at the end of a `_measure` that worked, which rows were SATURATED or CLIPPED.

        Rows during which a link had to be brought back in step are flagged as RESYNCED too.
        """
        flags = np.zeros(n_rows, np.uint8)
        mended = self._mended()
        if mended != self._mended_before:
            flags |= np.uint8(Flag.RESYNCED)
            self._mended_before = mended
        for name, rows in events.items():
            flags[np.asarray(rows, bool)] |= np.uint8(Flag[name.upper()])
        self._row_flags.append(flags)

    def _mended(self) -> int:
        """Return how often links were brought back in step, or back at all, since opening."""
        transports = [getattr(one, "transport", None) for one in self._opened.values()]
        return sum(t.traffic.resyncs + t.traffic.reconnects for t in transports if t is not None)

    def settings(self) -> dict[str, Any]:
        """Return identity and settings of every instrument, as read back; for the record."""
        return {name: one.settings() for name, one in self._opened.items()}
