"""A device that remembers: the answers are the drives of 1, 2, ... rows ago."""

import numpy as np

from devices import Device, DeviceSpec


class ShiftRegister(Device):
    """As long as it has outputs."""

    def __init__(self, length):
        self.spec = DeviceSpec(name="line", n_inputs=1, n_outputs=length, low=-1, memory=True)
        self.state = np.zeros(length)

    def _reset(self):
        self.state[:] = 0

    def _measure(self, drives):
        answers = np.empty((len(drives), len(self.state)))
        for row, drive in zip(answers, drives, strict=True):
            row[:] = self.state
            self.state = np.concatenate([drive, self.state[:-1]])
        return answers
