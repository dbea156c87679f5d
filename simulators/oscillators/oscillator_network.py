"""What networks of coupled oscillators share: couplings, who gets which drive, free motion."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import DeviceError, Programmable
from devices.checks import number, whole
from simulators._tensors import constant
from simulators.oscillators.integrators import Leap
from simulators.oscillators.sequence import SequenceDevice, State
from simulators.picture import Picture

__all__ = ["OscillatorNetwork"]

Array = NDArray[Any]


class OscillatorNetwork(SequenceDevice, Programmable):
    """Base of networks ``q'' + damping q' = F(q, t)`` of max(channels, nodes) oscillators.

    The first oscillators get the channels themselves, each one; where there are more oscillators
    than channels, the others get a channel each in turn, with a weight drawn from (-1, 1). The
    first `n_nodes` oscillators are read. A constant force on each oscillator is a parameter.

    Attributes
    ----------
    couplings : ndarray of shape (n, n)
        J, symmetric, with zeros on the diagonal.
    stiffness : ndarray of shape (n, n)
        The linear matrix: small free oscillations are ``q'' = -stiffness q``.
    step : float
        Time step of the integration.
    damping : float
    """

    couplings: Array
    stiffness: Array
    step: float
    damping: float
    _most: float

    def _start_network(
        self, couplings: ArrayLike | None, coupling: float, own: ArrayLike, rng: np.random.Generator
    ) -> None:
        """Set couplings and stiffness: drawn, or given, around the `own` stiffnesses."""
        n = self.n_oscillators = max(self._n_channels, self.n_nodes)
        self._channel = np.arange(n) % self._n_channels
        self._weight = rng.uniform(-1.0, 1.0, n)
        self._weight[: self._n_channels] = 1.0
        half = np.triu(rng.standard_normal((n, n)), 1)
        J = half + half.T
        if n > 1:  # the strongest change of a mode's stiffness is `coupling`
            J *= coupling / np.abs(np.linalg.eigvalsh(np.diag(J.sum(axis=1)) - J)).max()
        if couplings is not None:
            J = np.array(couplings, float)
            if (
                J.shape != (n, n)
                or not np.isfinite(J).all()
                or (J != J.T).any()
                or np.diag(J).any()
            ):
                raise ValueError(
                    f"{self._me}: couplings must be a finite symmetric matrix of shape {(n, n)} "
                    f"with zeros on the diagonal; it has the shape {J.shape}"
                )
        self.couplings = J
        self.stiffness = np.diag(np.asarray(own) + J.sum(axis=1)) - J
        self.stiffness_range = np.linalg.eigvalsh(self.stiffness)[[0, -1]]

    def _check_stable(self) -> None:
        if not self.stiffness_range[0] > 0:
            raise ValueError(
                f"{self._me}: the couplings make the smallest stiffness of a mode "
                f"{self.stiffness_range[0]:.4g}; it must be above 0 for stability, lower "
                "the coupling"
            )

    def _dealt(self, values: Any) -> Any:
        """Return the channels, (rows, n_channels), as they reach the oscillators, (rows, n)."""
        return values[:, self._channel] * constant(self._weight, values)

    @abstractmethod
    def _force(self, q: Any, push: Any) -> Any:
        """Return F of places (rows, n) and of an outer force."""

    @abstractmethod
    def _watched(self, q: Any, v: Any) -> Any:
        """Return what must stay below `_most`, (rows, n): beyond it the step is too long."""

    @abstractmethod
    def _told(self, worst: float) -> str:
        """Return the message about a value of what is watched, with its limit."""

    def _trouble(self, state: State) -> tuple[Array, str]:
        # The last part of a state is the largest value, ever, of what is watched.
        worst = state[-1].max(axis=1)
        bad = ~(worst <= self._most)  # NaN counts
        return bad, self._told(float(worst[np.argmax(bad)])) if bad.any() else ""

    def _program(self, values: Array) -> None:
        pass  # read from `parameters` when rows are driven

    def _size(self) -> int:
        return self.n_oscillators

    def trajectory(
        self,
        start: ArrayLike,
        velocity: ArrayLike | None = None,
        *,
        duration: float,
        n_points: int = 200,
    ) -> tuple[Array, Array, Array]:
        """Return the free motion under the constant forces. Not counted as queries.

        Parameters
        ----------
        start : array_like of shape (n,)
            Places at first.
        velocity : array_like of shape (n,) or None
            None: at rest.
        duration : float
        n_points : int
            Times after the first.

        Returns
        -------
        times : ndarray of shape (n_points + 1,)
        places, velocities : ndarray of shape (n_points + 1, n)

        Raises
        ------
        ValueError
            If an argument has the wrong shape or is out of its range.
        DeviceError
            If the motion becomes too fast for the time step, or diverges.
        """
        me, n = f"{self._me}.trajectory", self.n_oscillators
        interval = number(me, "duration", duration, 0.0, above=True) / whole(
            me, "n_points", n_points, 1
        )
        q, v = (
            np.array(start, float),
            np.zeros(n) if velocity is None else np.array(velocity, float),
        )
        for name, value in (("start", q), ("velocity", v)):
            if value.shape != (n,) or not np.isfinite(value).all():
                raise ValueError(
                    f"{me}: {name} must be {n} finite numbers; it has the shape {value.shape}"
                )
        parts = math.ceil(interval / self.step)
        push = self.parameters
        leap = Leap(lambda q, _: self._force(q, push), interval / parts, self.damping)
        places, velocities = [q], [v]
        for _ in range(n_points):
            for _ in range(parts):
                q, v = leap(q, v)
                worst = np.abs(self._watched(q, v)).max()
                if not worst <= self._most:
                    raise DeviceError(f"{self.spec.name}: {self._told(float(worst))}")
            places.append(q)
            velocities.append(v)
        return np.arange(n_points + 1) * interval, np.array(places), np.array(velocities)

    def picture(self, start: ArrayLike | None = None, *, duration: float = 40.0) -> Picture:
        """Return the places of the oscillators in time, in free motion.

        Parameters
        ----------
        start : array_like of shape (n,) or None
            Places at first; None displaces the middle oscillator alone, by 1.
        duration : float
        """
        if start is None:
            start = np.eye(self.n_oscillators)[self.n_oscillators // 2]
        times, places, _ = self.trajectory(start, duration=duration)
        return Picture(
            title=f"Free motion of the {self.spec.name}",
            values=places.T,
            x=times,
            y=np.arange(self.n_oscillators),
            label=f"place ({self.spec.output_unit})",
            x_label="time",
            y_label="oscillator",
        )
