"""Microwaves in a cavity with a programmable metasurface: element states in, channels out."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import DeviceSpec, Programmable
from simulators._checks import flag, number, one_of, whole
from simulators.dipole_reduction import BinarySolver, Reduced
from simulators.dipoles import coupling, interaction_matrix, self_interaction
from simulators.metasurface_layout import Layout
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
_ANTENNA = (1.0, 0.5, 0.0)  # f_i, chi, gamma
_WALL_CHI = 50.0
# What the estimate of the time per row assumes of one core; measured within a factor of two.
_FLOPS_PER_SECOND = 1e10
_N_REFERENCE = 32  # random configurations, whose rms channel is the unit of the noise


class MetasurfaceCavity(Programmable):
    """A chaotic cavity between antennas, tuned by the elements of a metasurface.

    Everything is a two-dimensional scalar dipole (PhysFad, Faqiri et al. 2023): antennas, the
    fence of the walls, and the elements. With the interaction matrix W of `simulators.dipoles`,

        H = [diag(W) W^-1]_(receivers, transmitters)

    An element's state x moves its resonance: a bit (0 or 1) to `off_frequency` or `on_frequency`,
    a continuous state to ``on_frequency + (1 - x) tuning``. The answers are |H|, or H: all pairs
    of antennas at the first frequency (pair r n_transmitters + t is receiver r and transmitter
    t), then at the second and so on; the last frequency may have fewer. They are not linear in
    the states, as waves meet several elements in turn.

    All that no drive changes is eliminated once; see `simulators.dipole_reduction`. Frequencies
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
        defaults = SETTINGS[one_of(me, "setting", setting, tuple(SETTINGS))]

        def chosen(name: str, value: float | None, low: float = 0.0, **ends: bool) -> float:
            return number(me, name, defaults[name] if value is None else value, low, **ends)

        whole(me, "n_inputs", n_inputs, 1)
        whole(me, "n_programmable", n_programmable, 0)
        one_of(me, "encoding", encoding, ("bits", "continuous"))
        self._complex = flag(me, "complex_answers", complex_answers)
        one_of(me, "precision", precision, ("single", "double"))
        self._dtype = np.dtype(np.complex64 if precision == "single" else np.complex128)
        number(me, "on_frequency", on_frequency, 0.0, above=True)
        number(me, "off_frequency", off_frequency, 0.0, above=True)
        number(me, "tuning", tuning, -on_frequency, above=True)
        for name, step in (("off_frequency", off_frequency - on_frequency), ("tuning", tuning)):
            if step == 0:
                raise ValueError(
                    f"{me}: {name}={on_frequency if name != 'tuning' else 0.0} makes all states "
                    f"of an element the same; it must not be {on_frequency if name != 'tuning' else 0:g}"
                )
        self._resonance = on_frequency
        self._reach = off_frequency - on_frequency if encoding == "bits" else float(tuning)
        self._tuning = float(tuning)
        self._element = (number(me, "chi", chi, 0.0, above=True), chosen("element_loss", element_loss))
        self._wall = (
            chosen("wall_frequency", wall_frequency, above=True),
            _WALL_CHI,
            chosen("wall_absorption", wall_absorption),
        )
        self._noise = chosen("noise", noise) * (not flag(me, "ideal", ideal))
        self._binary = encoding == "bits"
        whole(me, "seed", seed, 0)
        geometry, reference, noise_seed = np.random.SeedSequence(seed).spawn(3)
        self._layout = Layout(
            me, transmitters, receivers, walls, elements, n_inputs + n_programmable, geometry
        )
        ...
