"""Microwaves in a cavity with a programmable metasurface: element states in, channels out."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import DeviceSpec, Programmable
from devices.checks import flag, number, one_of, whole
from simulators._settings import settle
from simulators.microwave.dipole_network import DipoleNetwork
from simulators.microwave.dipole_reduction import BinarySolver, Reduced
from simulators.microwave.metasurface_layout import frequency_grid, lay_out
from simulators.microwave.metasurface_picture import draw
from simulators.picture import Picture

__all__ = ["MetasurfaceCavity"]

Array = NDArray[Any]

#: What a named setting gives to the arguments left at None.
SETTINGS = {
    "measured-like": {
        "wall_frequency": 30.0,
        "wall_absorption": 1000.0,
        "element_loss": 0.8,
        "noise": 0.02,
    },
    "rich": {
        "wall_frequency": 10.0,
        "wall_absorption": 100.0,
        "element_loss": 0.0,
        "noise": 0.005,
    },
}
_WALL_CHI = 50.0
# What the estimate of the time per row assumes of one core; measured within a factor of two.
_FLOPS_PER_SECOND = 1.4e10
_SECONDS_PER_SOLVE = 5e-6
_PART = 1024  # rows
_N_REFERENCE = 32  # random configurations, whose rms channel is the unit of the noise


class MetasurfaceCavity(Programmable):
    """A chaotic cavity between antennas, tuned by the elements of a metasurface.

    Everything is a two-dimensional scalar dipole (PhysFad, Faqiri et al. 2023): antennas, the
    fence of the walls, and the elements. With the interaction matrix W (see `dipoles.py`),

        H = [diag(W) W^-1]_(receivers, transmitters)

    An element's state x moves its resonance: a bit (0 or 1) to `off_frequency` or `on_frequency`,
    a continuous state to ``on_frequency + (1 - x) tuning``. The answers are |H|, or H: all pairs
    of antennas at the first frequency (pair r n_transmitters + t is receiver r and transmitter
    t), then at the second and so on; the last frequency may have fewer. They are not linear in
    the states, as waves meet several elements in turn.

    All that no drive changes is eliminated once; see `dipole_reduction.py`. Frequencies
    are in units of a reference frequency, lengths in wavelengths at it, and loss as in PhysFad.

    Parameters
    ----------
    n_inputs : int
        Elements that are driven.
    n_outputs : int or None
        None: all pairs at all `frequencies`, or 128 where these are None too.
    encoding : {"bits", "continuous"}
        Drives are 0 or 1 (domain "bits"), or from 0 to 1 (domain "amplitude").
    complex_answers : bool
        True answers with H (complex), False with |H|.
    n_programmable : int
        Elements that are parameters instead, continuous whatever `encoding`; at 0.5 to start.
    setting : {"measured-like", "rich"}
        Where the arguments left at None get their values from: weakly reverberant, lossy and
        noisy as published benches are, or strongly reverberant.
    transmitters, receivers : int or array_like of shape (count, 2)
        How many, drawn from the seed; or their positions.
    walls : int or array_like of shape (count, 2)
        Dipoles of the fence of a random irregular cavity, 0.25 apart; or their positions, and
        then those of antennas and elements are needed too. More walls are a larger cavity.
    elements : array_like of shape (n_inputs + n_programmable, 2) or None
        Positions, programmable elements last. None spreads them along the inside of the walls.
    frequencies : array_like or None
        None spreads as many as `n_outputs` needs evenly over `band`.
    band : (float, float)
        Lowest and highest frequency.
    on_frequency, off_frequency, tuning : float
        Resonances of the elements, see above. The default bits are on resonance or far from it.
    chi : float
        Coupling of the elements to the field; their linewidth grows as its square.
    element_loss : float or None
        Absorption gamma of the elements.
    wall_frequency : float or None
        Resonance f_i of the fence: from about 10 on, a higher one is more transparent (leakage).
    wall_absorption : float or None
        Absorption gamma of the fence, at chi = 50.
    noise : float or None
        Standard deviation of circular complex noise on H, as a share of `reference_level`.
    precision : {"single", "double"}
        Of the answers, and of what is solved for each row.
    seed : int
        Of the geometry and, apart, of the noise.
    ideal : bool
        True switches the noise off.

    Attributes
    ----------
    transmitters, receivers, walls, elements : ndarray of shape (count, 2)
        Positions.
    frequencies : ndarray of shape (n_frequencies,)
    output_frequencies : ndarray of shape (n_outputs,)
    output_pairs : ndarray of shape (n_outputs, 2)
        Receiver and transmitter of each output.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the cavity has no room for what is in it.

    Notes
    -----
    ``spec.seconds_per_query`` estimates the time that one core computes for a row. The cavity is
    `devices.Differentiable`: `forward` relaxes bits to resonances in between.

    Examples
    --------
    >>> import numpy as np
    >>> with MetasurfaceCavity(n_inputs=8, n_outputs=16, walls=100) as cavity:
    ...     cavity.measure(np.zeros((2, 8))).shape
    (2, 16)
    """

    reproducible = True

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int | None = None,
        encoding: Literal["bits", "continuous"] = "bits",
        complex_answers: bool = False,
        n_programmable: int = 0,
        setting: Literal["measured-like", "rich"] = "measured-like",
        transmitters: int | ArrayLike = 2,
        receivers: int | ArrayLike = 4,
        walls: int | ArrayLike = 200,
        elements: ArrayLike | None = None,
        frequencies: ArrayLike | None = None,
        band: tuple[float, float] = (0.9, 1.1),
        on_frequency: float = 1.0,
        off_frequency: float = 5.0,
        tuning: float = 0.1,
        chi: float = 0.5,
        element_loss: float | None = None,
        wall_frequency: float | None = None,
        wall_absorption: float | None = None,
        noise: float | None = None,
        precision: Literal["single", "double"] = "double",
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = type(self).__name__
        chosen = settle(
            me,
            setting,
            SETTINGS,
            wall_frequency=wall_frequency,
            wall_absorption=wall_absorption,
            element_loss=element_loss,
            noise=noise,
        )
        number(me, "wall_frequency", chosen["wall_frequency"], 0.0, above=True)
        for name in ("wall_absorption", "element_loss", "noise"):
            number(me, name, chosen[name], 0.0)
        whole(me, "n_inputs", n_inputs, 1)
        whole(me, "n_programmable", n_programmable, 0)
        self._binary = one_of(me, "encoding", encoding, ("bits", "continuous")) == "bits"
        self._complex = flag(me, "complex_answers", complex_answers)
        one_of(me, "precision", precision, ("single", "double"))
        self._dtype = np.dtype(np.complex64 if precision == "single" else np.complex128)
        number(me, "on_frequency", on_frequency, 0.0, above=True)
        number(me, "off_frequency", off_frequency, 0.0, above=True)
        number(me, "tuning", tuning, -on_frequency, above=True)
        if off_frequency == on_frequency or tuning == 0:
            raise ValueError(
                f"{me}: off_frequency={off_frequency!r} must differ from on_frequency="
                f"{on_frequency!r}, and tuning={tuning!r} from 0, or all states are alike"
            )
        self._on, self._off, self._tuning = on_frequency, off_frequency, tuning
        self._noise = 0.0 if flag(me, "ideal", ideal) else chosen["noise"]
        whole(me, "seed", seed, 0)
        places, self._reference_seed, noise_seed = np.random.SeedSequence(seed).spawn(3)
        layout = lay_out(
            me, transmitters, receivers, walls, elements, n_inputs + n_programmable, places
        )
        self.transmitters, self.receivers, self.walls, self.elements = layout
        n_pairs = len(self.transmitters) * len(self.receivers)
        self.frequencies, n_outputs = frequency_grid(me, frequencies, band, n_outputs, n_pairs)
        self.output_frequencies = np.repeat(self.frequencies, n_pairs)[:n_outputs]
        pairs = np.divmod(np.arange(n_outputs) % n_pairs, len(self.transmitters))
        self.output_pairs = np.stack(pairs, axis=1)
        self.network = DipoleNetwork(
            layout,
            self.frequencies,
            wall=(chosen["wall_frequency"], _WALL_CHI, chosen["wall_absorption"]),
            chi=number(me, "chi", chi, 0.0, above=True),
            loss=chosen["element_loss"],
        )
        self._random = np.random.default_rng(noise_seed)
        left = n_inputs * (0.45 if self._binary else 1.0)  # bits: those in the minority
        bits = 8 * self._dtype.itemsize
        answers = f"complex{bits}" if complex_answers else f"float{bits // 2}"
        self.spec = DeviceSpec(
            name="metasurface-cavity",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            domain="bits" if self._binary else "amplitude",
            output_dtype=answers,
            seconds_per_query=len(self.frequencies)
            * (_SECONDS_PER_SOLVE + 8 / 3 * left**3 / _FLOPS_PER_SECOND),
        )
        self._start_parameters(0.0, 1.0, np.full(n_programmable, 0.5))
        self._solver: BinarySolver | Reduced | None = None

    # -- public --------------------------------------------------------------------------------

    @functools.cached_property
    def reference_level(self) -> float:
        """Root mean square of |H| over random drives, parameters at 0.5: the noise's unit."""
        random = np.random.default_rng(self._reference_seed)
        states = random.uniform(size=(_N_REFERENCE, self.spec.n_inputs))
        states = np.round(states) if self._binary else states
        own = self.network.own(self._resonances(states, np.full(len(self._parameters), 0.5)))
        channels = self.network.antenna_terms * self.network.reduced.solve(own)
        return float(np.sqrt(np.mean(np.abs(channels) ** 2)))

    def channels(self, drives: ArrayLike) -> Array:
        """Return H without noise: a look inside, not counted as queries.

        Parameters
        ----------
        drives : array_like of shape (batch, n_inputs)
            Legal drives.

        Returns
        -------
        ndarray of shape (batch, n_frequencies, n_receivers, n_transmitters), complex

        Raises
        ------
        LimitError
            If a drive is illegal.
        """
        return self._channels(self.spec.check_drives(drives))

    def resonances(self, drives: ArrayLike) -> Array:
        """Return f_i of the elements, (batch, n_elements), for drives and the parameters now.

        Raises
        ------
        LimitError
            If a drive is illegal.
        """
        return self._resonances(self.spec.check_drives(drives), self._parameters)

    def matrix(self, drive: ArrayLike, frequency: float) -> Array:
        """Return the whole W, (n, n), for one drive, (n_inputs,).

        The dipoles come in the order transmitters, receivers, walls, elements.

        Raises
        ------
        ValueError
            If the drive is illegal (`LimitError`), or `frequency` is not above 0.
        """
        number(type(self).__name__, "frequency", frequency, 0.0, above=True)
        return self.network.matrix(frequency, self.resonances(np.asarray(drive)[None])[0])

    def forward(self, drives: Any, parameters: Any = None) -> Any:
        """Return the noiseless answers as a torch tensor, in double precision.

        Parameters
        ----------
        drives : tensor of shape (batch, n_inputs)
            From 0 to 1; a bit in between is a resonance in between.
        parameters : tensor of shape (n_programmable,) or None
            To differentiate by the parameters, too. None takes their values now.

        Returns
        -------
        tensor of shape (batch, n_outputs)
        """
        import torch

        states = torch.as_tensor(drives).double()
        inner = self._parameters if parameters is None else parameters
        inner = torch.as_tensor(inner, device=states.device).double().expand(len(states), -1)
        resonances = torch.cat([self._input(states), self._on + (1 - inner) * self._tuning], 1)
        channels = self.network.forward(resonances).transpose(0, 1)
        answers = channels.flatten(1)[:, : self.spec.n_outputs]
        return answers if self._complex else answers.abs()

    def picture(
        self,
        kind: Literal["channel", "field"] = "channel",
        drives: ArrayLike | None = None,
        *,
        frequency: float | None = None,
        points: int = 101,
    ) -> Picture:
        """Return |H| of the first antenna pair against frequency, or |E| over the cavity.

        Parameters
        ----------
        kind : {"channel", "field"}
        drives : array_like of shape (batch, n_inputs) or None
            A channel is drawn for each, a field for the first. None: all inputs 0.
        frequency : float or None
            Of the field; None takes the middle one of `frequencies`. The first transmitter plays.
        points : int
            Frequencies of a channel, or pixels along the longer side of a field; at least 2.

        Raises
        ------
        ValueError
            If an argument is out of its range.
        """
        rows = np.zeros((1, self.spec.n_inputs)) if drives is None else drives
        return draw(self.network, self.resonances(rows), kind, frequency, points)

    # -- hooks ---------------------------------------------------------------------------------

    def _measure(self, drives: Array) -> Array:
        answers = self._channels(drives).reshape(len(drives), -1)[:, : self.spec.n_outputs]
        if self._noise:
            sigma = self._noise * self.reference_level / math.sqrt(2)
            noise = sigma * self._random.standard_normal((*answers.shape, 2))
            answers = answers + noise.view(complex)[..., 0].astype(self._dtype)
        return answers if self._complex else np.abs(answers)

    def _program(self, values: Array) -> None:
        self._solver = None  # eliminated anew when next needed

    def _channels(self, drives: Array) -> Array:
        with self._lock:
            if self._solver is None:
                self._solver = self._eliminate()
            solver = self._solver
        if isinstance(solver, BinarySolver):
            inverse = solver.solve(drives > 0.5)
        else:
            # In parts: the elements' terms take n_frequencies times the drives' memory.
            parts = np.array_split(drives, len(drives) // _PART + 1)
            solved = [solver.solve(self.network.own(self._input(part))) for part in parts]
            inverse = np.concatenate(solved, axis=1)
        inverse *= self.network.antenna_terms.astype(self._dtype)
        return np.ascontiguousarray(inverse.transpose(1, 0, 2, 3))

    def _eliminate(self) -> BinarySolver | Reduced:
        """Return a solver for the inputs, all else eliminated."""
        inner = self._on + (1 - self._parameters) * self._tuning
        reduced = self.network.reduced.absorb(self.network.own(inner[None])[:, 0])
        if not self._binary:
            return reduced.astype(self._dtype)
        off, on = (self.network.own(np.array([[f]]))[:, 0, 0] for f in (self._off, self._on))
        return BinarySolver(reduced, off, on, self._dtype)

    def _resonances(self, states: Array, parameters: Array) -> Array:
        inner = np.broadcast_to(parameters, (len(states), len(parameters)))
        return np.concatenate([self._input(states), self._on + (1 - inner) * self._tuning], axis=1)

    def _input(self, states: Any) -> Any:
        """Return the resonances of the inputs, of arrays or tensors."""
        return self._on + (1 - states) * (self._off - self._on if self._binary else self._tuning)
