"""Systems with a state as devices: a row is one experiment, a sequence, or a piece of one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device, DeviceError
from devices.checks import flag, one_of, whole
from simulators._arrays import namespace
from simulators._tensors import constant, differentiable

__all__ = ["SequenceDevice", "State"]

Array = NDArray[Any]
#: The state of rows: arrays whose first axis is the row.
State = tuple[Any, ...]

_BLOCK = 2**14  # numbers in one array of a block's state, 128 KB


class SequenceDevice(Device):
    """Base of devices that evolve: drives go in step by step, and nodes are read.

    A row is `n_steps` steps. In each, ``n_inputs / n_steps`` channels are held while the system
    evolves, and then the nodes are read: after each step (`read` "each": the answers are all
    nodes after the first step, then after the second and so on), or after the last. One step
    is a layer; many make a reservoir, and a row is then a whole sequence.

    Every row starts at rest. With `memory` the state is kept from row to row instead, in the
    order in which they are driven, until `reset` or until the device is opened; then
    ``spec.memory`` is set, and averaging, caching and retries refuse the device. A row that
    diverges leaves the system at rest.

    A subclass calls `_start_sequence` and writes ``_rest``, ``_advance`` and ``_observe``, for
    NumPy arrays and torch tensors alike.
    """

    reproducible = True
    _state: State | None = None
    _me: str
    _noise: float
    _random: np.random.Generator
    _n_channels: int
    n_nodes: int

    def _start_sequence(
        self, n_inputs: int, n_outputs: int, n_steps: int, read: str, memory: bool
    ) -> None:
        """Check the shape of a row, and set `n_steps`, `n_nodes` and the channels."""
        self.n_steps = whole(self._me, "n_steps", n_steps, 1)
        self._each = one_of(self._me, "read", read, ("each", "last")) == "each"
        self._memory = flag(self._me, "memory", memory)
        n_read = n_steps if self._each else 1
        for name, value, parts in (
            ("n_inputs", n_inputs, n_steps),
            ("n_outputs", n_outputs, n_read),
        ):
            if whole(self._me, name, value, 1) % parts:
                raise ValueError(
                    f"{self._me}: {name}={value} must be a multiple of n_steps={n_steps}"
                )
        self._n_channels, self.n_nodes = n_inputs // n_steps, n_outputs // n_read

    # -- hooks of a subclass -------------------------------------------------------------------

    @abstractmethod
    def _rest(self, rows: int, parameters: Any) -> State:
        """Return the state of rest, as NumPy arrays or beside tensors of parameters."""

    @abstractmethod
    def _advance(self, state: State, values: Any, parameters: Any) -> State:
        """Return the state after a step with the channels at `values`, (rows, n_channels)."""

    @abstractmethod
    def _observe(self, state: State) -> Any:
        """Return what is read, (rows, n_nodes)."""

    def _trouble(self, state: State) -> tuple[Array, str]:
        """Return which rows left the model's validity, and how, with the limit."""
        rows: Array = np.zeros(len(state[0]), bool)
        return rows, ""

    # -- the contract --------------------------------------------------------------------------

    def _open(self) -> None:
        self._state = None

    def _reset(self) -> None:
        self._state = None

    def _measure(self, drives: Array) -> Array:
        answers = np.empty((len(drives), self.spec.n_outputs), self.spec.output_dtype)
        values = self._values()
        size = 1 if self._memory else max(16, _BLOCK // self._size())
        for start in range(0, len(drives), size):
            rows = slice(start, min(start + size, len(drives)))
            state = self._state
            if state is None or not self._memory:
                state = self._rest(rows.stop - start, values)
            with np.errstate(over="ignore", invalid="ignore"):
                state, seen, bad, what = self._run(state, drives[rows], values)
            good = int(np.argmax(bad)) if bad.any() else len(bad)
            answers[start : start + good] = seen[:good] + self._noise_for(seen[:good])
            if good < len(bad):
                self._state = None
                raise DeviceError(
                    f"{self.spec.name}: {what}",
                    rows=answers[: start + good].copy(),
                    failed_row=start + good,
                )
            self._state = state
        return answers

    def forward(self, drives: Any, parameters: Any = None) -> Any:
        """Return the noiseless answers of rows from rest, differentiable by torch.

        Parameters
        ----------
        drives : torch tensor of shape (batch, n_inputs)
        parameters : torch tensor of shape (n_parameters,) or None
            None takes the values that are programmed.

        Raises
        ------
        ValueError
            If an argument is not a tensor of that shape, or the device keeps its state from row
            to row. Limits are not checked.
        """
        if self._memory:
            raise ValueError(
                f"{self._me}: forward() starts every row at rest, which memory=True does not; "
                "make the device with memory=False and a whole sequence in a row"
            )
        drives = differentiable(self._me, "drives", drives, self.spec.n_inputs, 2)
        values = self._values()
        if parameters is None:
            parameters = constant(values, drives)
        else:
            parameters = differentiable(self._me, "parameters", parameters, len(values), 1)
        rest = tuple(constant(part, drives) for part in self._rest(len(drives), parameters))
        return self._run(rest, drives, parameters)[1]

    # -- inside --------------------------------------------------------------------------------

    def _values(self) -> Array:
        """Return the programmed parameters; empty where there are none."""
        return np.asarray(getattr(self, "parameters", np.empty(0)))

    def _size(self) -> int:
        """Return the numbers of one row's state."""
        return self.n_nodes

    def _run(self, state: State, drives: Any, parameters: Any) -> tuple[State, Any, Array, str]:
        """Return the state after the rows, the answers, which rows are bad, and what they did."""
        xp = namespace(drives)
        seen = []
        bad, what = np.zeros(len(drives), bool), ""
        for step in range(self.n_steps):
            values = drives[:, step * self._n_channels : (step + 1) * self._n_channels]
            state = self._advance(state, values, parameters)
            if xp is np:
                worse, told = self._trouble(state)
                bad |= worse
                what = what or told
            if self._each or step == self.n_steps - 1:
                seen.append(self._observe(state))
        return state, xp.concatenate(seen, 1), bad, what

    def _noise_for(self, answers: Array) -> Array | float:
        if not self._noise:
            return 0.0
        if answers.dtype.kind == "c":
            pairs = self._random.standard_normal((*answers.shape, 2))
            noise: Array = pairs.view(np.complex128)[..., 0] / np.sqrt(2)
            return self._noise * noise
        return self._noise * self._random.standard_normal(answers.shape)
