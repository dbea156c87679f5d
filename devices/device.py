"""The device contract: what every black box offers, done once for all of them."""

from __future__ import annotations

import atexit
import copy
import inspect
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.errors import DeviceError
from devices.measurement import PURPOSES, Flag, Ledger, Measurement, Purpose
from devices.spec import DeviceSpec

__all__ = ["Device"]

Array = NDArray[Any]
D = TypeVar("D", bound="Device")

# What a driver must leave alone: overriding one of these would bypass a check or a count.
_FINAL = ("measure", "acquire", "open", "close", "safe", "reset", "__enter__", "__exit__")


class Device(ABC):
    """A black box: it is driven with rows of numbers and answers with rows of numbers.

    A driver sets `spec` in its constructor, which does no I/O, and writes these hooks:

    * ``_measure(drives)``: drive the rows and return their answers. The only one that must be.
    * ``_drive(drives)``: put a row out, where driving and reading are two steps; the base class
      then waits ``spec.settle_s`` before it calls ``_measure`` with the same row.
    * ``_open()``, ``_close()``: connect and disconnect.
    * ``_safe()``: switch the outputs off.
    * ``_reset()``: forget the earlier rows, for a device with memory.

    The base class checks shape, finiteness and limits before anything is driven, holds the lock,
    splits batches, settles, averages, retries, counts and flags, and calls ``safe`` when a
    measurement ends by an exception. A hook that fails in mid-batch may raise a `DeviceError`
    with ``rows=`` the answers that it has so far; they are kept.

    A device is copied and pickled by its recipe, the arguments of its constructor: a copy is
    closed and has a fresh ledger.

    Examples
    --------
    >>> import numpy as np
    >>> from devices import Device, DeviceSpec
    >>> class Squarer(Device):
    ...     def __init__(self, n):
    ...         self.spec = DeviceSpec(name="squarer", n_inputs=n, n_outputs=n)
    ...
    ...     def _measure(self, drives):
    ...         return drives**2
    >>> with Squarer(2) as device:
    ...     device.measure([[0.5, 1.0]])
    array([[0.25, 1.  ]])
    """

    spec: DeviceSpec

    _args: tuple[Any, ...]
    _kwargs: dict[str, Any]
    _lock: threading.RLock
    _ledger: Ledger
    _is_open: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        self = super().__new__(cls)
        self._args, self._kwargs = args, kwargs
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._is_open = False
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _FINAL:
            if name in cls.__dict__:
                raise TypeError(
                    f"{cls.__name__} overrides {name}(), which belongs to the device contract; "
                    "write the hooks _measure, _drive, _open, _close, _safe or _reset instead"
                )

    # -- hooks ---------------------------------------------------------------------------------

    @abstractmethod
    def _measure(self, drives: Array) -> Array:
        """Return the answers, (batch, n_outputs), to checked drives, (batch, n_inputs)."""

    @property
    def settles(self) -> bool:
        """Whether ``spec.settle_s`` is waited between driving and measuring a row.

        A device whose hook `_measure` does so by itself overrides this.
        """
        return type(self)._drive is not Device._drive

    def _drive(self, drives: Array) -> None:  # noqa: B027  (a hook with a sensible default)
        """Put one row out; the settling time follows, then `_measure` with the same row."""

    def _open(self) -> None:  # noqa: B027
        """Connect. Called once, before the first measurement."""

    def _close(self) -> None:  # noqa: B027
        """Disconnect. Called once, after `_safe`."""

    def _safe(self) -> None:  # noqa: B027
        """Switch the outputs off."""

    def _reset(self) -> None:  # noqa: B027
        """Forget the earlier rows; for devices with memory."""

    # -- life cycle ----------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the device can measure."""
        return self._is_open

    @property
    def ledger(self) -> Ledger:
        """What was spent on the innermost device."""
        return self._ledger

    @property
    def state_id(self) -> str:
        """Identity of the programmable parameters' state; part of every cache key and record."""
        return ""

    @property
    def reproducible(self) -> bool:
        """Whether its recipe determines every answer, so that a new run gives the same bits.

        So it is for a simulator, noise included: its seeds are in the recipe. Rows that a bench
        answered cannot be had again; they are recorded.
        """
        return False

    @final
    def open(self) -> Self:
        """Connect; does nothing on an open device. Returns the device."""
        with self._lock:
            if not self._is_open:
                self._open()
                self._is_open = True
                _open_devices[self] = None
        return self

    @final
    def close(self) -> None:
        """Switch the outputs off and disconnect; does nothing on a closed device."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                _open_devices.pop(self, None)
                try:
                    self._safe()
                finally:
                    self._close()

    @final
    def safe(self) -> None:
        """Switch the outputs off. The device stays open."""
        with self._lock:
            if self._is_open:
                self._safe()

    @final
    def reset(self) -> None:
        """Bring a device with memory back to its state of rest; nothing to do on any other."""
        with self._lock:
            self._reset()

    @final
    def __enter__(self) -> Self:
        return self.open()

    @final
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except Exception as second:  # what went wrong first is what the user must see
            error.add_note(f"{self.spec.name}: closing failed too: {second}")

    # -- measuring -----------------------------------------------------------------------------

    @final
    def measure(self, drives: ArrayLike, *, purpose: Purpose = "probe", averages: int = 1) -> Array:
        """Return the answers to `drives`; `acquire` returns them with their provenance."""
        return self.acquire(drives, purpose=purpose, averages=averages).outputs

    @final
    def acquire(
        self, drives: ArrayLike, *, purpose: Purpose = "probe", averages: int = 1
    ) -> Measurement:
        """Drive the rows and measure their answers.

        Parameters
        ----------
        drives : array_like of shape (batch, n_inputs)
            Within the limits of `spec`, in its `input_unit`.
        purpose : {"train", "validation", "test", "probe", "calibration", "control"}
            What the queries are counted under.
        averages : int
            How often each row is driven; the answer is the mean. Each time is one query.

        Returns
        -------
        Measurement
            With ``outputs`` of shape (batch, n_outputs).

        Raises
        ------
        LimitError
            If a drive is illegal; nothing was driven.
        DeviceError
            If a row fails for good. The error has the rows measured so far (``rows``) and the
            index of the row that failed (``failed_row``); the outputs were switched off.
        """
        if purpose not in PURPOSES:
            raise ValueError(f"purpose={purpose!r} is not one of {', '.join(PURPOSES)}")
        if isinstance(averages, bool) or not isinstance(averages, int) or averages < 1:
            raise ValueError(f"averages={averages!r} must be a whole number of at least 1")
        if averages > 1 and self.spec.memory:
            raise ValueError(
                f"{self.spec.name} has memory: repeated rows would not be repeats, use averages=1"
            )
        rows = self.spec.check_drives(drives)
        with self._lock:  # asked under the lock: another thread may close while this one waits
            if not self._is_open:
                raise DeviceError(
                    f"{self.spec.name} is not open; use it as `with device:` or call device.open()"
                )
            return (
                self._acquire(rows, purpose)
                if averages == 1
                else self._acquire_averaged(rows, purpose, averages)
            )

    def _acquire_averaged(self, drives: Array, purpose: Purpose, averages: int) -> Measurement:
        """Measure checked drives `averages` times each and average, at this level of the stack."""
        try:
            repeated = self._acquire(np.repeat(drives, averages, axis=0), purpose)
        except DeviceError as error:
            if error.failed_row is not None:
                error.failed_row //= averages
                if error.rows is not None:
                    shape = (error.failed_row, averages, error.rows.shape[1])
                    error.rows = error.rows[: shape[0] * averages].reshape(shape).mean(axis=1)
            raise
        return repeated.averaged(averages)

    def _acquire(self, drives: Array, purpose: Purpose) -> Measurement:
        """Measure checked drives. The innermost device's own; a wrapper passes the call on."""
        spec, n = self.spec, len(drives)
        outputs = np.empty((n, spec.n_outputs), spec.output_dtype)
        attempts = np.ones(n, np.int64)
        flags = np.zeros(n, np.uint8)
        two_steps = type(self)._drive is not Device._drive
        if spec.settle_s and not self.settles:
            raise TypeError(
                f"{type(self).__name__}: settle_s={spec.settle_s:g} needs the hook _drive(), so "
                "that there is a moment between driving and measuring"
            )
        seconds = 0.0
        done, tries = 0, 1  # rows measured, and which try of row `done` this is
        with self._lock:
            began, clock = time.time(), time.perf_counter()
            try:
                while done < n:
                    # A row is the unit of settling and of trying again.
                    size = 1 if two_steps or tries > 1 else (spec.max_batch or n)
                    chunk = slice(done, min(done + size, n))
                    try:
                        # A copy: a hook that works in place changes neither the caller's rows
                        # nor what a second try drives.
                        outputs[chunk] = self._answer(drives[chunk].copy(), two_steps)
                        count = chunk.stop - done
                    except DeviceError as error:
                        kept = self._kept(error, chunk.stop - done)
                        count = len(kept)
                        outputs[done : done + count] = kept
                        if not error.transient or tries >= spec.attempts:
                            self._ledger.queries[purpose] += count
                            error.rows = outputs[: done + count].copy()
                            error.failed_row = done + count
                            raise
                        attempts[done + count] = tries = tries + 1
                        flags[done + count] |= Flag.RETRIED
                        self._ledger.retries += 1
                    else:
                        tries = 1
                    self._ledger.queries[purpose] += count
                    done += count
            except BaseException as error:
                try:
                    self._safe()
                except Exception as second:
                    error.add_note(f"{spec.name}: switching the outputs off failed too: {second}")
                raise
            finally:
                seconds = time.perf_counter() - clock
                self._ledger.seconds[purpose] += seconds
                self._ledger.joules += seconds * (spec.watts or 0.0)
                self._ledger.conversion_joules += (
                    done * (spec.n_inputs + spec.n_outputs) * (spec.conversion_joules or 0.0)
                )
        if spec.saturation is not None:
            flags[(np.abs(outputs) >= spec.saturation).any(axis=1)] |= np.uint8(Flag.SATURATED)
        self._ledger.flagged(flags)
        return Measurement(
            outputs, flags, attempts, began, seconds, purpose, spec.name, self.state_id
        )

    def _answer(self, drives: Array, two_steps: bool) -> Array:
        """Drive, settle and measure one chunk; every failure comes out as a `DeviceError`."""
        spec = self.spec
        try:
            if two_steps:
                self._drive(drives.copy())
                time.sleep(spec.settle_s)
            answer = np.asarray(self._measure(drives))
        except DeviceError:
            raise
        except Exception as error:
            raise DeviceError(
                f"{spec.name}: measuring failed with {type(error).__name__}: {error}"
            ) from error
        if answer.shape != (len(drives), spec.n_outputs):
            raise DeviceError(
                f"{spec.name}: the answer has shape {answer.shape}, expected "
                f"{(len(drives), spec.n_outputs)}; the driver and its spec disagree"
            )
        if not np.can_cast(answer.dtype, spec.output_dtype, "same_kind"):
            raise DeviceError(
                f"{spec.name}: the answer is {answer.dtype}, expected {spec.output_dtype}; "
                "the driver and its spec disagree"
            )
        with np.errstate(over="ignore"):  # an answer too large for its type is not finite, below
            answer = answer.astype(spec.output_dtype, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(answer.sum()):  # one cheap pass; only a doubt is looked into
                return answer
        finite = np.isfinite(answer).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            column = int(np.argmin(np.isfinite(answer[row])))
            raise DeviceError(
                f"{spec.name}: the answer in output {column} is {answer[row, column]}, "
                "not a finite number",
                rows=answer[:row],
            )
        return answer

    def _kept(self, error: DeviceError, asked: int) -> Array:
        """Return the measured rows that a hook's error carries, as far as they can be believed."""
        spec = self.spec
        if error.rows is None:
            return np.empty((0, spec.n_outputs), spec.output_dtype)
        rows = error.rows
        if (
            rows.ndim != 2
            or rows.shape[1] != spec.n_outputs
            or len(rows) > asked
            or not np.can_cast(rows.dtype, spec.output_dtype, "same_kind")
        ):
            error.add_note(
                f"{spec.name}: the rows in this error, {rows.dtype} of shape {rows.shape}, are not "
                f"answers to the {asked} rows driven ({spec.output_dtype}, {spec.n_outputs} wide) "
                "and were dropped"
            )
            return np.empty((0, spec.n_outputs), spec.output_dtype)
        good = np.isfinite(rows).all(axis=1)
        # Something failed, so the last row asked for is never taken as measured.
        first_bad = asked - 1 if good.all() else int(np.argmin(good))
        return rows[: min(first_bad, asked - 1)]

    # -- recipe --------------------------------------------------------------------------------

    @final
    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._args, self._kwargs, self._settings())

    @final
    def __copy__(self) -> Self:
        # Copies down to the innermost device: two wrappers must not share one unawares.
        args = [copy.copy(a) if isinstance(a, Device) else a for a in self._args]
        kwargs = {k: copy.copy(v) if isinstance(v, Device) else v for k, v in self._kwargs.items()}
        return _rebuild(type(self), args, kwargs, self._settings())

    def _settings(self) -> Any:
        """Return what a copy must take over beyond its recipe; None for nothing."""
        return None

    def _take_over(self, settings: Any) -> None:  # noqa: B027
        """Take over what `_settings` of the original returned."""

    def recipe(self) -> dict[str, Any]:
        """Return the class and the constructor's arguments by name, defaults included."""
        bound = self._bound()
        bound.apply_defaults()
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}"} | _by_name(bound)

    def _bound(self) -> inspect.BoundArguments:
        return inspect.signature(self.__init__).bind(*self._args, **self._kwargs)  # type: ignore[misc]

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={_short(v)}" for k, v in _by_name(self._bound()).items())
        return f"{type(self).__name__}({shown})"


def _by_name(bound: inspect.BoundArguments) -> dict[str, Any]:
    """Return the arguments as a caller would write them: those behind ``**`` as any other."""
    named: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        behind = bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        named |= value if behind else {name: value}
    return named


def _rebuild(cls: type[D], args: Iterable[Any], kwargs: dict[str, Any], settings: Any) -> D:
    device = cls(*args, **kwargs)
    if settings is not None:
        device._take_over(settings)
    return device


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} array {value.shape}>"
    if isinstance(value, (list, tuple)) and len(value) > 16:
        return f"<{type(value).__name__} of {len(value)}>"
    return repr(value)


# Devices still open when the interpreter ends are made safe and closed, last opened first. An open
# device is kept alive by this: one that nobody holds any more may still be driving something.
_open_devices: dict[Device, None] = {}


@atexit.register
def _close_all() -> None:
    for device in reversed(list(_open_devices)):
        try:
            device.close()
        except Exception as error:
            print(f"{device.spec.name}: closing at exit failed: {error}")
