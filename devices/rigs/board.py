"""A microcontroller board: DAC voltages out, ADC voltages in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.checks import number, whole
from devices.drivers.board import Board
from devices.errors import DeviceError, LimitError
from devices.rigs.base import Rig
from devices.safety import LabLimits
from devices.spec import DeviceSpec

__all__ = ["BoardRig"]

Array = NDArray[Any]

_RAMP_STEP_S = 0.002  # time of one question and answer, that a ramp to rest is planned with
_MOST_STEPS = 10_000


class BoardRig(Rig):
    """Rows of volts on the DACs, one after the other; what the ADCs read after the settling time.

    The first `n_inputs` DACs are driven, the others rest; the first `n_outputs` ADCs are read.
    What the board can do is checked when it is opened: its range, channels and resolution.

    Parameters
    ----------
    board : Board
        With settling time, conversions and watchdog.
    n_inputs, n_outputs : int
        Width of a drive and of an answer.
    low_v, high_v : float
        Range of an input in V, inside that of the converters.
    max_batch : int
        Rows handed over in one go; frames are split further.
    attempts : int
        How often one row is tried.
    limits, instruments, monitors, warm_up_s, name
        See `Rig`. With ``slew_v_per_s`` the way from row to row is checked with the settling
        time as its step, the outputs are ramped down before they are switched off, and rows are
        handed over one by one: whatever fails, the board is at this row or at the one before.

    Raises
    ------
    ValueError
        If a setting is out of its range, or the range of an input beyond the limits.
    """

    def __init__(
        self,
        board: Board,
        *,
        n_inputs: int,
        n_outputs: int,
        low_v: float = 0.0,
        high_v: float = 3.3,
        max_batch: int = 256,
        attempts: int = 3,
        limits: LabLimits | None = None,
        instruments: Mapping[str, Any] | None = None,
        monitors: Mapping[str, Any] | None = None,
        warm_up_s: float = 0.0,
        name: str = "board-rig",
    ) -> None:
        number(name, "low_v", low_v, -1e3, 1e3)
        number(name, "high_v", high_v, low_v, 1e3, above=True)
        row_s = (board.settle_us + 10 * n_outputs * board.conversions) * 1e-6
        rows = whole(name, "max_batch", max_batch, 1, 100_000)
        self.spec = DeviceSpec(
            name=name,
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            low=low_v,
            high=high_v,
            input_unit="V",
            output_unit="V",
            seconds_per_query=row_s,
            settle_s=board.settle_us * 1e-6,
            max_batch=rows if limits is None or limits.slew_v_per_s is None else 1,
            attempts=attempts,
        )
        self._board = board
        self._now: Array | None = None  # volts on the DACs, as far as known
        self._stand(instruments or {board.name: board}, limits, monitors, warm_up_s)
        self._keeps_limits(self._levels, "low_v and high_v")

    def _open(self) -> None:
        super()._open()
        try:
            self._fits()
        except BaseException:
            try:
                self._safe()
            finally:
                self._close()
            raise
        self._now = None

    def _fits(self) -> None:
        spec, facts = self.spec, self._board.facts
        assert facts is not None
        for what, wanted, there in (
            ("n_inputs", spec.n_inputs, facts.n_dac),
            ("n_outputs", spec.n_outputs, facts.n_adc),
        ):
            if wanted > there:
                raise DeviceError(
                    f"{spec.name}: {what}={wanted}, but {facts.firmware!r} has {there} channels"
                )
        low, high = (float(v[0]) for v in spec.limits)
        if low < facts.dac_min_volt - 1e-6 or high > facts.dac_max_volt + 1e-6:
            raise DeviceError(
                f"{spec.name}: low_v={low:g} to high_v={high:g} is beyond the board's range of "
                f"{facts.dac_min_volt:g} to {facts.dac_max_volt:g} V"
            )

    def _check(self, drives: Array) -> None:
        self._checked(drives)

    def _checked(self, drives: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Return the volts that may be driven, and which rows were clipped."""
        before = self._now[: drives.shape[1]] if self._now is not None else None
        # Rows follow each other as the samples of a waveform do, one settling time apart.
        steps, one = self._slew_only(), drives.T[None]
        try:
            volts = self._levels(drives)
            if steps is not None:
                # What comes after is a step as well, but one that _safe() takes in a ramp.
                steps.applied(one, self._step_s, before, to_rest=False)
        except LimitError as error:
            row = error.failed_row
            where = "" if row is None else f"row {row}, "
            raise LimitError(f"{self.spec.name}: {where}{error}", failed_row=row) from error
        return volts, (np.abs(volts - drives) > 0).any(axis=1)

    def _levels(self, drives: Array) -> Array:
        """Return the volts of rows as they are allowed, whatever came before them."""
        kept = {k: v for k, v in vars(self.limits).items() if k not in ("slew_v_per_s", "duty")}
        return LabLimits(**kept).applied(drives[:, :, None], self._step_s)[0][:, :, 0]

    def _slew_only(self) -> LabLimits | None:
        limits = self.limits
        if limits.slew_v_per_s is None and limits.duty is None:
            return None
        return LabLimits(
            slew_v_per_s=limits.slew_v_per_s,
            duty=limits.duty,
            duty_above_v=limits.duty_above_v,
            amplifier_gain=limits.amplifier_gain,
        )

    @property
    def settles(self) -> bool:
        """True: the board waits between DACs and ADCs."""
        return True

    @property
    def _step_s(self) -> float:
        """Seconds from row to row, at the least."""
        return max(self.spec.settle_s, 1e-6)

    def _measure(self, drives: Array) -> Array:
        if (settle_us := round(self.spec.settle_s * 1e6)) != self._board.settle_us:
            self._board.settle(settle_us)
        sent, clipped = self._checked(drives)
        facts = self._board.facts
        assert facts is not None
        codes = np.full((len(sent), facts.n_dac), facts.rest)
        codes[:, : self.spec.n_inputs] = self._board.codes_of(sent)
        self._now = sent[-1]
        volts, saturated = self._board.measure(codes)
        self._flag(len(sent), saturated=saturated, clipped=clipped)
        return volts[:, : self.spec.n_outputs]

    def hold(self) -> None:
        """Keep the last row on the DACs; call it more often than the watchdog asks for."""
        super().hold()

    def _safe(self) -> None:
        try:
            self._ramp_down()
        finally:
            self._now = None
            super()._safe()

    def _ramp_down(self) -> None:
        """Bring the DACs to rest no faster than the limit, where there is one."""
        slew, facts = self.limits.slew_v_per_s, self._board.facts
        if slew is None or self._now is None or facts is None:
            return
        largest = float(np.abs(self._now).max()) * self.limits.amplifier_gain
        if not largest:
            return
        count = min(int(np.ceil(largest / (slew * _RAMP_STEP_S))), _MOST_STEPS)
        pause = max(_RAMP_STEP_S, largest / slew / count)
        # From the last row itself on: if it was lost, the board is at the one before, from which
        # this step was allowed.
        for share in np.arange(count, 0, -1) / count:
            codes = np.full(facts.n_dac, facts.rest)
            codes[: self.spec.n_inputs] = self._board.codes_of(self._now * share)
            self._board.write(codes)
            time.sleep(pause)
