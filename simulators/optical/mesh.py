"""A Mach-Zehnder mesh: fields of N ports in, detected light out, phases as parameters."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices import DeviceSpec, Programmable
from devices.checks import flag, number, one_of, whole
from simulators._arrays import namespace
from simulators._settings import settle
from simulators._tensors import constant, differentiable
from simulators.optical.detection import SaturableAbsorber
from simulators.optical.mesh_chip import MeshChip
from simulators.optical.mesh_circuit import MeshCircuit
from simulators.optical.mesh_settings import SETTINGS
from simulators.picture import Picture

__all__ = ["InterferometerMesh"]

Array = NDArray[Any]

_BLOCK = 2**13  # fields of a block, 128 KB
_SECONDS_PER_CELL = 2e-7  # with phase noise, on one core; measured within a factor of two
_SECONDS_PER_PRODUCT = 1e-9


class InterferometerMesh(Programmable):
    """A chip of Mach-Zehnder cells between modulators and detectors, with its phases inside.

    The rectangle of N (N - 1) / 2 cells and N output phases realises any unitary matrix
    (Clements et al., Optica 3, 1460, 2016); see `simulators.optical.clements` and, for the
    imperfections, `simulators.optical.mesh_chip`. With ``layout="layer"`` the light goes through a
    rectangle V, an attenuator in each of min(n_inputs, n_outputs) ports, and a rectangle U: any
    matrix ``U S V`` whose singular values are at most 1 (Shen et al., Nature Photonics 11, 441,
    2017). Behind it there may be a saturable absorber in each port (as in Guo et al., Photonics
    Research 9, B71, 2021), see `detection.py`. Powers are in units of a port's at full
    drive.

    Parameters
    ----------
    n_inputs : int
    n_outputs : int or None
        None: as many as inputs. Different from n_inputs with ``layout="layer"`` only.
    setting : {"measured-like", "rich"}
        Where the arguments left at None get their values from: amplitudes into detectors, or
        phases and saturable absorbers.
    layout : {"unitary", "layer"}
    encoding : {"amplitude", "phase"} or None
        The field of a port is u, from 0 to 1, or exp(i u), u from 0 to `phase_range` rad.
    phase_range : float or None
        Highest legal phase in rad, at most 2 pi.
    detection : {"intensity", "complex"}
        Answers are powers, or the fields themselves (homodyne detection).
    absorption : float or None
        Optical depth of the absorbers for weak light; 0: none.
    saturation_power : float
        Power at which the depth has fallen to half.
    splitting_error : float or None
        Standard deviation of the couplers' angle from pi / 4, in rad: 0.01 is a power splitting
        of 50 +- 1 %.
    phase_noise : float or None
        Standard deviation of each phase, new in each row, in rad; benches have 0.5 to 5 mrad.
    crosstalk : float or None
        Share of a phase that leaks to the heater one pitch away; at most 0.5.
    loss_db : float or None
        Loss of a cell in dB.
    noise : float or None
        Standard deviation of the detectors' noise; for "complex" that of the modulus of circular
        noise.
    matrix : array_like or None
        What to realise at first, see `program_matrix`; None draws from the seed: a Haar-random
        unitary for each rectangle, with open attenuators.
    seed : int
        Of the matrix, the couplers and, each apart, of the noise.
    ideal : bool
        True switches off uneven couplers, cross-talk, loss and all noise.

    Attributes
    ----------
    circuit : MeshCircuit
        The rectangles of cells.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    The parameters are, for each rectangle, all inner phases, all outer phases and the output
    phases, from 0 to 2 pi; those of V, then the attenuators' amplitudes from 0 to 1, then those
    of U. ``spec.seconds_per_query`` estimates the time that one core computes for a row. The mesh
    is `devices.Differentiable`, in its drives and its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> with InterferometerMesh(n_inputs=4, matrix=np.eye(4), ideal=True) as mesh:
    ...     mesh.measure([[1.0, 0.5, 0.0, 0.0]]).round(6)
    array([[1.  , 0.25, 0.  , 0.  ]])
    """

    reproducible = True

    def __init__(
        self,
        *,
        n_inputs: int = 64,
        n_outputs: int | None = None,
        setting: Literal["measured-like", "rich"] = "measured-like",
        layout: Literal["unitary", "layer"] = "unitary",
        encoding: Literal["amplitude", "phase"] | None = None,
        phase_range: float | None = None,
        detection: Literal["intensity", "complex"] = "intensity",
        absorption: float | None = None,
        saturation_power: float = 1.0,
        splitting_error: float | None = None,
        phase_noise: float | None = None,
        crosstalk: float | None = None,
        loss_db: float | None = None,
        noise: float | None = None,
        matrix: ArrayLike | None = None,
        seed: int = 0,
        ideal: bool = False,
    ) -> None:
        me = self._me = type(self).__name__
        chosen = settle(
            me,
            setting,
            SETTINGS,
            encoding=encoding,
            phase_range=phase_range,
            absorption=absorption,
            splitting_error=splitting_error,
            phase_noise=phase_noise,
            crosstalk=crosstalk,
            loss_db=loss_db,
            noise=noise,
        )
        whole(me, "n_inputs", n_inputs, 1)
        n_outputs = n_inputs if n_outputs is None else whole(me, "n_outputs", n_outputs, 1)
        layer = one_of(me, "layout", layout, ("unitary", "layer")) == "layer"
        if not layer and n_outputs != n_inputs:
            raise ValueError(
                f"{me}: n_outputs={n_outputs} must be n_inputs={n_inputs} with layout='unitary'; "
                "layout='layer' has both free"
            )
        self._phases = one_of(me, "encoding", chosen["encoding"], ("amplitude", "phase")) == "phase"
        reach = number(me, "phase_range", chosen["phase_range"], 0.0, 2 * math.pi, above=True)
        self._complex = one_of(me, "detection", detection, ("intensity", "complex")) == "complex"
        self._absorber = SaturableAbsorber(
            optical_depth=number(me, "absorption", chosen["absorption"], 0.0),
            saturation_intensity=number(me, "saturation_power", saturation_power, 0.0, above=True),
        )
        real = not flag(me, "ideal", ideal)
        spread = real * number(me, "splitting_error", chosen["splitting_error"], 0.0)
        self._phase_noise = real * number(me, "phase_noise", chosen["phase_noise"], 0.0)
        leak = real * number(me, "crosstalk", chosen["crosstalk"], 0.0, 0.5)
        loss = real * number(me, "loss_db", chosen["loss_db"], 0.0)
        self._noise = real * number(me, "noise", chosen["noise"], 0.0)
        whole(me, "seed", seed, 0)
        drawn, made, heaters, detectors = np.random.SeedSequence(seed).spawn(4)
        # Apart, so that a row's noise does not depend on how rows are batched.
        self._heaters, self._detectors = (np.random.default_rng(s) for s in (heaters, detectors))
        rng = np.random.default_rng(made)
        chips = []
        for n in [n_inputs, n_outputs] if layer else [n_inputs]:
            errors = spread * rng.standard_normal((2, n * (n - 1) // 2))
            chips.append(MeshChip(n, errors, leak, 10 ** (-loss / 20)))
        self.circuit = MeshCircuit(chips, me)
        n_cells = sum(chip.n_cells for chip in chips)
        self.spec = DeviceSpec(
            name="interferometer-mesh",
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            high=reach if self._phases else 1.0,
            domain="phase" if self._phases else "amplitude",
            input_unit="rad" if self._phases else "1",
            output_dtype="complex128" if self._complex else "float64",
            seconds_per_query=n_cells * _SECONDS_PER_CELL
            if self._phase_noise
            else n_inputs * n_outputs * _SECONDS_PER_PRODUCT,
        )
        if matrix is None:
            values = self.circuit.random(np.random.default_rng(drawn))
        else:
            values = self.circuit.realise(matrix)[0]
        self._start_parameters(0.0, self.circuit.high, values)
        self._program(values)

    # -- public --------------------------------------------------------------------------------

    @property
    def matrix(self) -> Array:
        """The transfer matrix from fields to fields, (n_outputs, n_inputs), without phase noise."""
        return self._matrix.copy()

    def program_matrix(self, matrix: ArrayLike) -> float:
        """Set the phases that realise a matrix on a perfect chip.

        Parameters
        ----------
        matrix : array_like of shape (n_outputs, n_inputs), complex
            Unitary, or any with ``layout="layer"``.

        Returns
        -------
        float
            What the matrix was multiplied with: 1, or less where its largest singular value is
            above 1, as a passive chip cannot amplify.

        Raises
        ------
        ValueError
            If the matrix has another shape, or is not unitary where it must be.
        """
        values, scale = self.circuit.realise(matrix)
        self.program(values)
        return scale

    def forward(self, drives: Any, parameters: Any = None) -> Any:
        """Return the noiseless answers, differentiable by torch.

        Parameters
        ----------
        drives : torch tensor of shape (batch, n_inputs)
        parameters : torch tensor of shape (n_parameters,) or None
            None takes the values that are programmed.

        Raises
        ------
        ValueError
            If an argument is not a tensor of that shape. Limits are not checked.
        """
        drives = differentiable(self._me, "drives", drives, self.spec.n_inputs, 2)
        if parameters is None:
            matrix = constant(self._matrix, drives)
        else:
            n = len(self._parameters)
            matrix = self.circuit.matrix(differentiable(self._me, "parameters", parameters, n, 1))
        return self._detected(self._modulated(drives) @ matrix.T)

    def picture(self, drive: ArrayLike | None = None) -> Picture:
        """Return the power in each port before each column of cells, for one drive.

        Parameters
        ----------
        drive : array_like of shape (n_inputs,) or None
            Legal; None drives the middle port alone, or all phases with 0.
        """
        if drive is None:
            drive = np.zeros(self.spec.n_inputs)
            drive[self.spec.n_inputs // 2] = not self._phases
        fields = self._modulated(self.spec.check_drives(np.asarray(drive)[None]))
        kept: list[Array] = []
        self.circuit.through(fields, self._effective, kept)
        side = max(self.circuit.n_inputs, self.circuit.n_outputs)
        values = np.zeros((side, len(kept)))
        for column, field in enumerate(kept):
            values[: field.shape[1], column] = np.abs(field[0]) ** 2
        return Picture(
            title="Light in the mesh",
            values=values,
            x=np.arange(len(kept)),
            y=np.arange(side),
            label="power (of a port at full drive)",
            x_label="column of cells",
            y_label="port",
        )

    # -- hooks ---------------------------------------------------------------------------------

    def _program(self, values: Array) -> None:
        self._effective: Array = self.circuit.effective(values)
        self._matrix: Array = self.circuit.matrix(values)

    def _measure(self, drives: Array) -> Array:
        fields = self._modulated(drives)
        if self._phase_noise:
            size = max(1, _BLOCK // max(self.spec.n_inputs, self.spec.n_outputs))
            seen = [
                self.circuit.noisy(
                    fields[k : k + size], self._effective, self._phase_noise, self._heaters
                )
                for k in range(0, len(fields), size)
            ]
            fields = np.concatenate([np.empty((0, self.spec.n_outputs), complex), *seen])
        else:
            fields = fields @ self._matrix.T
        answers: Array = self._detected(fields)
        if self._noise and self._complex:
            noise = self._detectors.standard_normal((*answers.shape, 2)).view(complex)[..., 0]
            answers = answers + self._noise / math.sqrt(2) * noise
        elif self._noise:
            answers = answers + self._noise * self._detectors.standard_normal(answers.shape)
        return answers

    def _modulated(self, drives: Any) -> Any:
        """Return the complex fields in the input ports."""
        return namespace(drives).exp(1j * drives) if self._phases else drives + 0j

    def _detected(self, fields: Any) -> Any:
        """Return what noiseless detectors behind the absorbers read."""
        power = fields.real**2 + fields.imag**2
        if self._absorber.optical_depth:
            transmittance = self._absorber.transmittance(power)
            return fields * transmittance**0.5 if self._complex else power * transmittance
        return fields if self._complex else power
