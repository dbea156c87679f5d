"""A delay line with one nonlinear node: masked inputs in, virtual nodes out."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import DeviceSpec, Programmable
from devices.checks import flag, number, one_of, whole
from simulators._arrays import namespace
from simulators._settings import settle
from simulators._tensors import constant
from simulators.oscillators.sequence import SequenceDevice, State
from simulators.picture import Picture

__all__ = ["DelayLineReservoir"]

Array = NDArray[Any]

#: What a named setting gives to the arguments left at None.
SETTINGS: dict[str, dict[str, Any]] = {
    "measured-like": {
        "feedback": 0.8,
        "input_gain": 0.5,
        "bias": 0.4,
        "spacing": 0.2,
        "loops": 1,
        "noise": 0.005,
    },
    "rich": {
        "feedback": 0.9,
        "input_gain": 1.0,
        "bias": 0.4,
        "spacing": 1.0,
        "loops": 2,
        "noise": 0.005,
    },
}
_LONGEST_SAMPLE = 0.25  # of the response time: the error of a sample is of third order in it
_CHOSEN_SAMPLE = 0.2
_WARM_UP = 100  # round trips without input, after which the loop is said to be at rest
_MOST_FEEDBACK, _MOST_GAIN = 2.0, 20.0
_SECONDS_PER_PRODUCT = 1e-10  # of the response; measured within a factor of two
_SECONDS_PER_SAMPLE = 3e-8


class DelayLineReservoir(SequenceDevice, Programmable):
    """A loop of a nonlinear element, a low-pass filter and a delay, read along the delay.

    With time in units of the response time of the filter (Larger et al., Opt. Express 20, 3241,
    2012, for sin^2; Appeltant et al., Nature Communications 2, 468, 2011, for the Mackey-Glass
    nonlinearity)::

        x'(t) = -x(t) + feedback f(x(t - delay) + input_gain m(t) + bias)
        f(s) = sin(s)^2   or   s / (1 + |s|^exponent)

    The delay is divided into ``n_nodes = delay / spacing`` virtual nodes. During a round trip the
    channels u, from -1 to 1, are held, and the mask gives node k the input
    ``m_k = sum_c mask_kc u_c``; a node is read at the end of its slot. A step is `loops` round
    trips. See `SequenceDevice` for what a row is: one step is a random nonlinear layer, many
    steps or `memory` make a reservoir.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of a row and of an answer, all steps together.
    setting : {"measured-like", "rich"}
        Where the arguments left at None get their values from: a small input around the point
        where sin^2 is straight, or one over several of its periods.
    nonlinearity : {"sin2", "mackey-glass"}
    exponent : float
        Of the Mackey-Glass nonlinearity; at least 2.
    feedback, input_gain, bias : float or None
        At first; these three are the parameters, with the limits 0 to 2, 0 to 20 and 0 to 2 pi. A
        feedback above 1 may oscillate by itself.
    spacing : float or None
        Time of a virtual node, in response times. Below about 3 neighbours feel each other.
    samples : int or None
        Samples of the delay line for a node. None: one for each 0.2 response times.
    loops : int or None
        Round trips of a step.
    mask : array_like of shape (n_nodes, n_channels) or None
        None draws +-1 / sqrt(n_channels).
    n_steps, read, memory
        See `SequenceDevice`.
    noise : float or None
        Standard deviation of the answers' noise.
    seed : int
        Of the mask and, apart, of the noise.
    ideal : bool
        True switches the noise off.

    Attributes
    ----------
    mask : ndarray of shape (n_nodes, n_channels)

    Raises
    ------
    ValueError
        If an argument is out of its range, or a sample is longer than 0.25 response times.

    Notes
    -----
    Between samples the filter is solved exactly, for the nonlinearity of the middle of the delayed
    sample: second order in the sample. Rest is what the loop comes to in 100 round trips from 0
    without input. The state is bounded by `feedback`. ``spec.seconds_per_query`` estimates the
    time that one core computes for a row. The line is `devices.Differentiable`, in drives and
    parameters.

    Examples
    --------
    >>> import numpy as np
    >>> with DelayLineReservoir(n_inputs=10, n_outputs=200, n_steps=10) as line:
    ...     line.measure(np.zeros((2, 10))).shape
    (2, 200)
    """

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int = 64,
        setting: Literal["measured-like", "rich"] = "measured-like",
        nonlinearity: Literal["sin2", "mackey-glass"] = "sin2",
        exponent: float = 2.0,
        feedback: float | None = None,
        input_gain: float | None = None,
        bias: float | None = None,
        spacing: float | None = None,
        samples: int | None = None,
        loops: int | None = None,
        mask: ArrayLike | None = None,
        n_steps: int = 1,
        read: Literal["each", "last"] = "each",
        memory: bool = False,
        noise: float | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = self._me = type(self).__name__
        chosen = settle(
            me,
            setting,
            SETTINGS,
            feedback=feedback,
            input_gain=input_gain,
            bias=bias,
            spacing=spacing,
            loops=loops,
            noise=noise,
        )
        self._start_sequence(n_inputs, n_outputs, n_steps, read, memory)
        kinds = ("sin2", "mackey-glass")
        self._sine = one_of(me, "nonlinearity", nonlinearity, kinds) == "sin2"
        self._exponent = number(me, "exponent", exponent, 2.0)
        start = [
            number(me, "feedback", chosen["feedback"], 0.0, _MOST_FEEDBACK),
            number(me, "input_gain", chosen["input_gain"], 0.0, _MOST_GAIN),
            number(me, "bias", chosen["bias"], 0.0, 2 * math.pi),
        ]
        self._loops = whole(me, "loops", chosen["loops"], 1)
        spacing = number(me, "spacing", chosen["spacing"], 0.0, above=True)
        if samples is None:
            samples = math.ceil(spacing / _CHOSEN_SAMPLE)
        self._samples = whole(me, "samples", samples, 1)
        self.step = spacing / samples
        if self.step > _LONGEST_SAMPLE:
            raise ValueError(
                f"{me}: samples={samples} of a node with spacing={spacing:g} are {self.step:.4g} "
                f"response times long; at most {_LONGEST_SAMPLE:g} are allowed, take samples of "
                f"at least {math.ceil(spacing / _LONGEST_SAMPLE)}"
            )
        self._noise = number(me, "noise", chosen["noise"], 0.0) * (not flag(me, "ideal", ideal))
        whole(me, "seed", seed, 0)
        drawn, noisy = np.random.SeedSequence(seed).spawn(2)
        self._random = np.random.default_rng(noisy)
        shape = (self.n_nodes, self._n_channels)
        self.mask = np.random.default_rng(drawn).choice([-1.0, 1.0], shape) / math.sqrt(shape[1])
        if mask is not None:
            self.mask = np.array(mask, float)
            if self.mask.shape != shape or not np.isfinite(self.mask).all():
                raise ValueError(
                    f"{me}: mask must be finite numbers of shape {shape}, (nodes, channels); it "
                    f"has the shape {self.mask.shape}"
                )
        self._input = np.repeat(self.mask, self._samples, axis=0).T
        self._forget, self._respond = _response(self._size(), self.step)
        self.spec = DeviceSpec(
            name="delay-line",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            low=-1.0,
            seconds_per_query=n_steps
            * self._loops
            * self._size()
            * (self._size() * _SECONDS_PER_PRODUCT + _SECONDS_PER_SAMPLE),
            memory=self._memory,
        )
        self._start_parameters(0.0, [_MOST_FEEDBACK, _MOST_GAIN, 2 * math.pi], start)
        self._program(self._parameters)

    def picture(self, drive: ArrayLike | None = None) -> Picture:
        """Return the signal along the delay in each round trip of a row from rest.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,) or None
            Legal; None drives every input with 0.5.
        """
        row = np.full(self.spec.n_inputs, 0.5) if drive is None else np.asarray(drive)
        row = self.spec.check_drives(row[None])
        values = self.parameters
        (line,) = self._rest(1, values)
        lines = [line[0]]
        for step in range(self.n_steps):
            held = row[:, step * self._n_channels : (step + 1) * self._n_channels]
            for _ in range(self._loops):
                line = self._round_trip(line, held @ self._input, values)
                lines.append(line[0])
        return Picture(
            title="Signal in the delay line",
            values=np.array(lines),
            x=np.arange(self._size() + 1) * self.step,
            y=np.arange(len(lines)),
            label="signal",
            x_label="time in the round trip (response times)",
            y_label="round trip",
        )

    # -- hooks ---------------------------------------------------------------------------------

    def _program(self, values: Array) -> None:
        self._still = self._settled(values)

    def _size(self) -> int:
        return self.n_nodes * self._samples

    def _rest(self, rows: int, parameters: Any) -> State:
        if isinstance(parameters, np.ndarray):
            return (np.repeat(self._still, rows, axis=0),)
        return (self._settled(parameters).expand(rows, -1),)

    def _advance(self, state: State, values: Any, parameters: Any) -> State:
        (line,) = state
        masked = values @ constant(self._input, values)
        for _ in range(self._loops):
            line = self._round_trip(line, masked, parameters)
        return (line,)

    def _observe(self, state: State) -> Any:
        return state[0][:, self._samples :: self._samples]

    # -- physics -------------------------------------------------------------------------------

    def _round_trip(self, line: Any, masked: Any, parameters: Any) -> Any:
        """Return the samples of the next round trip, (rows, size + 1), the first being the last."""
        xp = namespace(line)
        feedback, gain, bias = parameters
        inside = (line[:, :-1] + line[:, 1:]) / 2 + gain * masked + bias
        if self._sine:
            pushed = feedback * xp.sin(inside) ** 2
        else:
            pushed = feedback * inside / (1 + xp.abs(inside) ** self._exponent)
        last = line[:, -1:]
        # The filter's recursion x_k = a x_(k-1) + (1 - a) pushed_k, for all samples at once.
        signal = pushed @ constant(self._respond, line) + last * constant(self._forget, line)
        return xp.concatenate([last, signal], 1)

    def _settled(self, parameters: Any) -> Any:
        line = constant(np.zeros((1, self._size() + 1)), parameters)
        dark = constant(np.zeros((1, self._size())), parameters)
        for _ in range(_WARM_UP):
            line = self._round_trip(line, dark, parameters)
        return line


def _response(n: int, step: float) -> tuple[Array, Array]:
    """Return a^k for k = 1 to n, a = exp(-step), and the filter's matrix, [from, to]."""
    k = np.arange(n)
    ages = k[None, :] - k[:, None]
    respond = np.where(ages >= 0, -math.expm1(-step) * np.exp(-step * np.maximum(ages, 0)), 0.0)
    return np.exp(-step * (k + 1)), respond
