"""A blank driver to copy: a voltmeter beside a voltage source, as one device.

Copy this file, replace what is marked, and name the class on the command line as
``--device "my-bench?address=..."`` after registering it, see docs/devices.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceSpec
from devices.transports import make_transport

__all__ = ["BlankDriver"]


class BlankDriver(Device):
    """A source with several outputs and a meter with several inputs behind one address."""

    def __init__(self, address: str, *, n_inputs: int = 1, n_outputs: int = 1) -> None:
        # 1. What the instrument is. The base class checks every drive against this, splits
        #    batches, settles, retries and counts; nothing of that belongs in here.
        self.spec = DeviceSpec(
            name="blank",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            low=0.0,  # <- limits of one input, in input_unit
            high=1.0,
            input_unit="V",
            output_unit="V",
            settle_s=0.0,  # <- wait between _drive and _measure
            attempts=2,  # a row whose answer is lost is driven once more
        )
        # 2. How to talk to it. A constructor does no I/O: the transport is opened in _open.
        self._link = make_transport(address, idn="")  # <- pattern for the answer to *IDN?

    def _open(self) -> None:
        self._link.open()

    def _close(self) -> None:
        self._link.close()

    def _safe(self) -> None:
        self._link.write("OUTP OFF")  # 3. <- switch the outputs off; called on every way out

    def _drive(self, drives: NDArray[Any]) -> None:
        values = ",".join(f"{v:.6g}" for v in drives[0])
        self._link.write(f"VOLT {values}; OUTP ON")  # 4. <- put one row out

    def _measure(self, drives: NDArray[Any]) -> NDArray[Any]:
        answer = self._link.query("MEAS?")  # 5. <- read its answer, shape (1, n_outputs)
        return np.array([[float(v) for v in answer.split(",")]])
