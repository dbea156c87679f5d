"""A device that writes down what its hooks are asked, for the tests of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from devices import Device, DeviceSpec


class Spy(Device):
    """Answers `respond(drives)`; `script(spy, drives)` runs before it and may raise or answer."""

    def __init__(
        self,
        n_inputs: int = 2,
        n_outputs: int = 2,
        *,
        script: Callable[[Any, np.ndarray], Any] | None = None,
        **spec: Any,
    ) -> None:
        self.spec = DeviceSpec(n_inputs=n_inputs, n_outputs=n_outputs, **{"name": "spy"} | spec)
        self.script = script
        self.calls: list[str] = []
        self.batches: list[np.ndarray] = []

    def _open(self) -> None:
        self.calls.append("open")

    def _close(self) -> None:
        self.calls.append("close")

    def _safe(self) -> None:
        self.calls.append("safe")

    def _reset(self) -> None:
        self.calls.append("reset")

    def _measure(self, drives: np.ndarray) -> Any:
        self.calls.append("measure")
        self.batches.append(drives.copy())
        scripted = None if self.script is None else self.script(self, drives)
        return self.respond(drives) if scripted is None else scripted

    def respond(self, drives: np.ndarray) -> np.ndarray:
        """The answer of a healthy spy: the sum of the row, once, twice, three times ..."""
        return drives.sum(axis=1, keepdims=True) * np.arange(1, self.spec.n_outputs + 1)

    @property
    def rows(self) -> np.ndarray:
        """Every row that was measured, in order."""
        return np.concatenate([np.empty((0, self.spec.n_inputs)), *self.batches])


class TwoStepSpy(Spy):
    """The same with driving and measuring apart."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.driven: list[np.ndarray] = []

    def _drive(self, drives: np.ndarray) -> None:
        self.calls.append("drive")
        self.driven.append(drives.copy())


def fails(*errors: BaseException | None, from_call: int = 0) -> Callable[[Any, np.ndarray], None]:
    """Script: the calls from `from_call` on raise these, None being a healthy answer."""
    queue: list[BaseException | None] = [None] * from_call + list(errors)

    def script(spy: Spy, drives: np.ndarray) -> None:
        if queue and (error := queue.pop(0)) is not None:
            raise error

    return script


def dies_at(value: float, error: Callable[[np.ndarray], BaseException]) -> Callable[..., None]:
    """Script: raises `error(answers of the rows before)` when a row begins with `value`."""

    def script(spy: Spy, drives: np.ndarray) -> None:
        hit = np.flatnonzero(drives[:, 0] == value)
        if len(hit):
            raise error(spy.respond(drives[: hit[0]]))

    return script
