"""Energy of the digital part, measured by the package codecarbon where it is asked for."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from devices.extras import require

__all__ = ["EnergyMeter"]

JOULES_PER_KWH = 3.6e6


class EnergyMeter:
    """Joules that this computer spends inside a ``with`` block, as codecarbon measures them.

    From the processor's own counters where these can be read, else from its rated power, which is
    an estimate. All that runs on the computer meanwhile is in it: a simulated device, the waiting
    for a real one.

    Parameters
    ----------
    on : bool
        Off, nothing is measured and `joules` stays None.

    Attributes
    ----------
    joules : float or None
        After the block.

    Raises
    ------
    MissingExtraError
        If it is on, and the extra energy is not installed.
    """

    def __init__(self, on: bool) -> None:
        self.joules: float | None = None
        self._tracker: Any = None
        if on:
            codecarbon = require("codecarbon", "energy")
            # A country is asked for to tell emissions, which are not looked at.
            self._tracker = codecarbon.OfflineEmissionsTracker(
                country_iso_code="USA",
                measure_power_secs=1,
                save_to_file=False,
                log_level="error",
                allow_multiple_runs=True,
            )

    def __enter__(self) -> Self:
        if self._tracker is not None:
            self._tracker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tracker is not None:
            self._tracker.stop()
            self.joules = JOULES_PER_KWH * float(self._tracker.final_emissions_data.energy_consumed)
