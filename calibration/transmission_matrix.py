"""The transmission matrix of a phase modulator and a camera, by stepping the phase."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibration.procedure import Procedure, quantity
from calibration.repeats import no_memory
from devices import Device, DeviceSpec
from devices.checks import whole

__all__ = ["TransmissionMatrix", "TransmissionMatrixResult"]

Array = NDArray[Any]

_REFINEMENTS = 10


@dataclass(frozen=True, kw_only=True)
class TransmissionMatrixResult:
    """Matrix and what it promises.

    Attributes
    ----------
    matrix : ndarray of shape (n_outputs, n_inputs), complex
        T, up to one phase factor for each output where the device answers with intensities.
    fidelity_noise : ndarray of shape (n_outputs,)
        Share of the matrix row's power that is not noise, from what the phase steps leave
        unexplained.
    fidelity_amplitude : ndarray of shape (n_outputs,)
        ``<|t|>^2 / <|t|^2>`` over the inputs: what is left if phases are conjugated and
        amplitudes are not; pi/4 for speckle.
    predicted_enhancement : ndarray of shape (n_outputs,)
        Of a focus by phase conjugation over the full circle, against random phases:
        ``1 + F_noise (N F_amplitude - 1)``.
    """

    matrix: Array = field(metadata=quantity("output", "input"))
    fidelity_noise: Array = field(metadata=quantity("output", residual=True))
    fidelity_amplitude: Array = field(metadata=quantity("output"))
    predicted_enhancement: Array = field(metadata=quantity("output"))


@dataclass(frozen=True, kw_only=True)
class TransmissionMatrix(Procedure[TransmissionMatrixResult]):
    """Hadamard patterns on one half of the inputs against the stepped other half, and swapped.

    (Popoff et al., Phys. Rev. Lett. 104, 100601 (2010).) While one half shows a pattern of phases
    0 and pi, the other is the reference and takes P phases. The intensities
    ``|R|^2 + |t|^2 + 2 Re(t R* exp(-i theta))`` give ``t R*`` by least squares. The two halves are
    joined by the power of the reference, which follows from ``|R|^2 + |t|^2`` and ``|t R*|`` over
    all the patterns, and the whole is refined on all rows; so every input has its column.
    Light that shows no phase (a zero order) stands in the pattern of equal signs, which no input
    takes. A device with complex answers needs no reference.

    Parameters
    ----------
    steps : int
        P, at least 4: three are unknown, the rest tells the noise. Phases are spread over the
        full circle where the limits allow it, else over pi. With complex answers: repeats.
    """

    kind: ClassVar[str] = "transmission-matrix"
    needs: ClassVar[tuple[str, ...]] = ("settling", "phase-table")
    steps: int = 4

    def __post_init__(self) -> None:
        whole("TransmissionMatrix", "steps", self.steps, 4)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse inputs that are no phases, a range below pi, and memory."""
        me = "TransmissionMatrix"
        no_memory(me, spec)
        low, high = spec.limits
        if spec.domain != "phase" or (high - low).min() < np.pi * (1 - 1e-9):
            raise ValueError(
                f"{me}: the inputs of {spec.name} are {spec.domain}, from {low.min():g} to "
                f"{high.max():g}; they must be phases in rad with a range of at least pi (see "
                "PhaseTable for a modulator of codes)"
            )
        whole(me, "n_inputs", spec.n_inputs, 2)

    def queries(self, spec: DeviceSpec) -> int:
        """Return the patterns of both halves times the steps."""
        halves = [np.arange(spec.n_inputs)] if spec.is_complex else _halves(spec.n_inputs)
        return self.steps * sum(_order(len(half)) for half in halves)

    def _run(self, device: Device) -> TransmissionMatrixResult:
        n = device.spec.n_inputs
        matrix, noise = (self._fields if device.spec.is_complex else self._intensities)(device)
        power = np.mean(np.abs(matrix) ** 2, axis=1)
        amplitude = _ratio(np.mean(np.abs(matrix), axis=1) ** 2, power)
        clean = _ratio(np.clip(power - noise, 0, None), power)
        return TransmissionMatrixResult(
            matrix=matrix,
            fidelity_noise=clean,
            fidelity_amplitude=amplitude,
            predicted_enhancement=1 + clean * (n * amplitude - 1),
        )

    def _intensities(self, device: Device) -> tuple[Array, Array]:
        """Return the matrix and the noise of its entries, per output, from intensities."""
        a, b = _halves(device.spec.n_inputs)
        first, noise_first, _, *rows_first = self._half(device, a, b)
        second, noise_second, power, *rows_second = self._half(device, b, a)
        # first = T R_b*, second = T R_a*, so that sum(first) = R_a R_b* = sum(second)*.
        joint = first[:, 1:].sum(axis=1) + second[:, 1:].sum(axis=1).conj()
        factor = _ratio(joint / 2, power)
        # The first column, of the pattern of equal signs, is the light that is not modulated.
        matrix = np.empty((len(first), device.spec.n_inputs + 1), complex)
        matrix[:, [-1, *a]], matrix[:, b] = first, second[:, 1:] * factor[:, None]
        noise = len(a) * noise_first + len(b) * np.abs(factor) ** 2 * noise_second
        drives, answers = (
            np.concatenate(pair) for pair in zip(rows_first, rows_second, strict=True)
        )
        refined = _refined(matrix, drives, answers)
        powers = (np.sum(np.abs(m[:, :-1]) ** 2, axis=1) for m in (refined, matrix))
        scale = _ratio(*powers)
        return refined[:, :-1], noise / device.spec.n_inputs * scale

    def _half(self, device: Device, active: Array, reference: Array) -> tuple[Array, ...]:
        """Return t R* of the background and the active inputs, its noise, |R|^2, and the rows."""
        spec = device.spec
        low, high = spec.limits
        circle = 2 * np.pi * np.arange(self.steps) / self.steps
        fits = (high - low).min() >= circle[-1] - 1e-9
        theta = circle if fits else np.linspace(0, np.pi, self.steps)
        patterns = _patterns(_order(len(active)))
        drives = np.tile(low, (len(patterns), self.steps, 1))
        drives[:, :, active] += np.pi * (patterns[:, None, 1 : len(active) + 1] < 0)
        drives[:, :, reference] += theta[None, :, None]
        drives = np.clip(drives.reshape(-1, spec.n_inputs), low, high)
        rows = device.measure(drives, purpose="calibration").astype(np.float64)
        answers = rows.reshape(len(patterns), self.steps, -1)
        design = np.stack([np.ones(self.steps), np.cos(theta), np.sin(theta)], axis=1)
        fit = np.einsum("fp,kpo->fko", np.linalg.pinv(design), answers)
        missed = answers - np.einsum("pf,fko->kpo", design, fit)
        product = (fit[1] + 1j * fit[2]) / 2
        entries = (patterns[:, : len(active) + 1].T @ product).T / len(patterns)
        variance = np.sum(missed**2, axis=(0, 1)) / (len(patterns) * (self.steps - 3))
        spread = np.linalg.inv(design.T @ design)
        noise = variance * (spread[1, 1] + spread[2, 2]) / 4 / len(patterns)
        power = _reference_power(fit[0], np.abs(product) ** 2)
        return entries, noise, power, drives, rows

    def _fields(self, device: Device) -> tuple[Array, Array]:
        n = device.spec.n_inputs
        patterns = _patterns(_order(n))
        low, high = device.spec.limits
        drives = np.clip(low + np.pi * (patterns[:, 1 : n + 1] < 0), low, high)
        drives = np.repeat(drives, self.steps, axis=0)
        fields = device.measure(drives, purpose="calibration").astype(complex)
        fields = fields.reshape(len(patterns), self.steps, -1)
        noise = np.var(fields, axis=1, ddof=1).mean(axis=0) / self.steps / len(patterns)
        matrix = (patterns[:, 1 : n + 1].T @ fields.mean(axis=1)).T / len(patterns)
        return matrix * np.exp(-1j * low), noise


def _refined(matrix: Array, drives: Array, answers: Array) -> Array:
    """Bring the fields behind all rows to the measured amplitudes, a few times.

    Keeps the phases that the matrix predicts and solves for the matrix again (Gerchberg and
    Saxton, Optik 35, 237 (1972)); it mends the joint of the halves where a reference is dark. The
    last column belongs to light that the modulator leaves alone.
    """
    phasors = np.hstack([np.exp(1j * drives), np.ones((len(drives), 1))])
    inverse = np.linalg.pinv(phasors)
    amplitudes = np.sqrt(np.clip(answers, 0, None))
    fields = phasors @ matrix.T
    for _ in range(_REFINEMENTS):
        size = np.abs(fields)
        unit = np.divide(fields, size, out=np.ones_like(fields), where=size > 0)
        columns = inverse @ (amplitudes * unit)
        fields = phasors @ columns
    refined: Array = columns.T
    return refined


def _ratio(part: Array, whole_: Array) -> Array:
    """Divide, with 0 where there is nothing to divide by."""
    return np.divide(part, whole_, out=np.zeros_like(part), where=whole_ > 0)


def _halves(n: int) -> tuple[Array, Array]:
    """Split the inputs into two interleaved halves: either sees the whole beam."""
    return np.arange(0, n, 2), np.arange(1, n, 2)


def _patterns(order: int) -> Array:
    from scipy.linalg import hadamard

    patterns: Array = hadamard(order)
    return patterns


def _order(n: int) -> int:
    """Return the order of the Hadamard matrix whose columns but the first serve n inputs."""
    return int(2 ** np.ceil(np.log2(n + 1)))


def _reference_power(sums: Array, products: Array) -> Array:
    """Return r = |R|^2 of each output from ``sums = r + products / r`` over the patterns.

    The mean over patterns leaves two roots, r and ``<|t|^2>``; the one that fits the patterns
    one by one starts a few Gauss-Newton steps.
    """
    mean, square = sums.mean(axis=0), products.mean(axis=0)
    root = np.sqrt(np.clip(mean**2 / 4 - square, 0, None))
    tiny = 1e-12 * np.maximum(mean, 1e-300)
    candidates = [np.maximum(mean / 2 + sign * root, tiny) for sign in (1, -1)]
    errors = [np.sum((sums - r - products / r) ** 2, axis=0) for r in candidates]
    r = np.where(errors[0] <= errors[1], *candidates)
    for _ in range(10):
        slope = 1 - products / r**2
        step = np.sum(slope * (sums - r - products / r), axis=0) / np.maximum(
            np.sum(slope**2, axis=0), 1e-300
        )
        r = np.clip(r + step, 0.5 * r, 2 * r)
    return r
