"""Know a device before training: one set of measurements, or a recording alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.consistency import consistency
from calibration.dimensionality import participation_ratio
from calibration.laws import NonlinearityResult, nonlinearity
from calibration.magnitude_law import MagnitudeLaw, could_be_magnitudes, fit_magnitude_law
from calibration.noise import signal_to_noise
from calibration.nonlinearity import uniform_drives
from calibration.recording import Recording
from calibration.repeats import measure_passes, no_memory
from calibration.signal_dimensions import SignalDimensions, signal_dimensions
from calibration.structure import Block, Structure, find_structure
from devices import Device, DeviceSpec
from devices.checks import whole

__all__ = ["Characterisation", "characterise", "characterise_recording", "characterise_rows"]

Array = NDArray[Any]

# The magnitude law is looked for where a block is small enough for a fit of a second per output.
_MOST_INPUTS = 24
_MOST_OUTPUTS = 24


@dataclass(frozen=True, kw_only=True)
class Characterisation:
    """What is known of a device from its answers to random drives.

    Attributes
    ----------
    name : str
    rows : int
        Different drives.
    queries : int
        Rows that were driven for this; 0 for a recording.
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
        Of the first pass.
    structure : Structure
    laws : NonlinearityResult
    magnitude : MagnitudeLaw or None
        Over the blocks of the structure; None where it cannot be fitted.
    participation : float
        Effective dimensions of the answers as they are; without noise where that is known.
    participation_standardised : float
        The same with every output at unit variance.
    dimensions : SignalDimensions or None
        Where there are repeats.
    snr_db : float
        Median over the loud outputs; nan where no repeats tell.
    least_snr_db : float
        What the best law leaves unexplained bounds the noise from above: the ratio is at least
        this; nan if the laws are poor.
    consistency : float
        Mean over the loud outputs; nan without repeats.
    input_unit, output_unit : str
    notes : tuple of str
        What to keep in mind.
    """

    name: str
    rows: int
    queries: int
    drives: Array
    answers: Array
    structure: Structure
    laws: NonlinearityResult
    magnitude: MagnitudeLaw | None
    participation: float
    participation_standardised: float
    dimensions: SignalDimensions | None
    snr_db: float
    least_snr_db: float
    consistency: float
    input_unit: str = "1"
    output_unit: str = "1"
    notes: tuple[str, ...] = field(default=())


def characterise_rows(spec: DeviceSpec, rows: int | None = None) -> int:
    """Return how many different drives are measured, each twice: by default 1000, or 4 per input.

    Raises
    ------
    ValueError
        If `rows` is too small for an affine fit, 3 per input and at least 20.
    """
    if rows is None:
        return max(1000, 4 * spec.n_inputs)
    return whole("characterise", "rows", rows, max(20, 3 * (spec.n_inputs + 1)))


def characterise(device: Device, rows: int | None = None, seed: int = 0) -> Characterisation:
    """Drive random rows twice each, in random orders, and evaluate the answers.

    Parameters
    ----------
    device : Device
        Open, without memory. It costs ``2 * characterise_rows(device.spec, rows)`` queries.
    rows : int, optional
        Different drives.
    seed : int
        Of drives, orders and splits.

    Raises
    ------
    ValueError
        If the device has memory, the rows are too few, or no output moves.
    DeviceError
        What the device raises.
    """
    no_memory("characterise", device.spec)
    count = characterise_rows(device.spec, rows)
    drives = uniform_drives(device, count, seed)
    passes = measure_passes(device, drives, 2, seed + 1)
    spec = device.spec
    return _evaluate(
        drives,
        passes,
        name=spec.name,
        queries=2 * count,
        units=(spec.input_unit, spec.output_unit),
        notes=(),
        seed=seed,
    )


def characterise_recording(recording: Recording, seed: int = 0) -> Characterisation:
    """Evaluate rows that were measured before.

    If at least 20 drives occur twice, they tell the noise; else it stays unknown.

    Raises
    ------
    ValueError
        If the rows are too few, or no output moves.
    """
    notes = []
    drives, answers = recording.drives, recording.answers
    moving = drives[:, drives.std(axis=0) > 0]
    if moving.shape[1] > 1:
        correlation = np.abs(np.corrcoef(moving, rowvar=False) - np.eye(moving.shape[1])).max()
        if correlation > 0.3:
            notes.append(
                f"inputs of this recording are correlated (up to {correlation:.2f}): dead inputs "
                "and blocks are uncertain; random drives would tell"
            )
    repeats = recording.repeats()
    pairs = np.array([group[:2] for group in repeats if len(group) > 1])
    if len(pairs) < 20:
        notes.append("no drive is repeated: noise, consistency and drift are not known")
        passes = answers[None]
        return _evaluate(
            drives, passes, name=recording.name, queries=0,
            units=(recording.input_unit, recording.output_unit), notes=tuple(notes), seed=seed,
        )  # fmt: skip
    shuffled = np.random.default_rng(seed).permutation(len(pairs))
    again = np.stack([answers[pairs[shuffled, 0]], answers[pairs[shuffled, 1]]])
    first = np.setdiff1d(np.arange(len(drives)), np.concatenate([g[1:] for g in repeats]))
    return _evaluate(
        drives[first], answers[first][None], name=recording.name, queries=0, again=again,
        units=(recording.input_unit, recording.output_unit), notes=tuple(notes), seed=seed,
    )  # fmt: skip


def _evaluate(
    drives: Array,
    passes: Array,
    *,
    name: str,
    queries: int,
    units: tuple[str, str],
    notes: Sequence[str],
    seed: int,
    again: Array | None = None,
) -> Characterisation:
    """Evaluate passes, (passes, rows, n_outputs); `again` holds repeats of other rows."""
    answers = passes[0]
    if again is None and len(passes) > 1:
        again = passes
    noise = None
    if again is not None:
        signal, noise = signal_to_noise(np.swapaxes(again, 0, 1))
    structure = find_structure(drives, answers, noise_variance=noise)
    loud = np.setdiff1d(np.arange(answers.shape[1]), structure.quiet_outputs)
    ratio, same, dimensions, explainable = np.nan, np.nan, None, 1.0
    if again is not None and noise is not None:
        dimensions = signal_dimensions(again[0], again[1]) if len(again[0]) >= 8 else None
        total = np.var(answers, axis=0).sum()
        explainable = float(np.clip(1 - noise.sum() / total, 0.0, 1.0))
        chosen = loud if len(loud) else np.arange(answers.shape[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.sort(10 * np.log10(signal[chosen] / noise[chosen]))
        ratio = float(ratios[(len(ratios) - 1) // 2])
        same = float(np.mean(consistency(again).per_output[chosen]))
    laws = nonlinearity(drives, answers, explainable=explainable, seed=seed)
    magnitude = _magnitude(drives, answers, structure.blocks, seed)
    shares = [laws.affine_share, laws.quadratic_share]
    shares += [magnitude.pooled_r2] if magnitude is not None else []
    best = float(np.nanmax(shares))
    bound = 10 * np.log10(best / (1 - best)) if 0.5 < best < 1 - 1e-12 else np.nan
    return Characterisation(
        name=name,
        rows=len(drives),
        queries=queries,
        drives=drives,
        answers=answers,
        structure=structure,
        laws=laws,
        magnitude=magnitude,
        participation=dimensions.participation_ratio
        if dimensions
        else participation_ratio(answers, standardised=False),
        participation_standardised=dimensions.participation_ratio_standardised
        if dimensions
        else participation_ratio(answers),
        dimensions=dimensions,
        snr_db=ratio,
        least_snr_db=float(bound),
        consistency=same,
        input_unit=units[0],
        output_unit=units[1],
        notes=tuple(notes),
    )


def _magnitude(
    drives: Array, answers: Array, blocks: Sequence[Block], seed: int
) -> MagnitudeLaw | None:
    """Fit the magnitude law where answers can be magnitudes of sums over few inputs."""
    small = []
    for block in blocks:
        terms = (len(block.inputs) + 1) * (len(block.inputs) + 2) // 2
        if len(block.inputs) <= _MOST_INPUTS and len(drives) >= 3 * terms:
            small.append(Block(block.inputs, block.outputs[:_MOST_OUTPUTS]))
    outputs = [k for block in small for k in block.outputs]
    if not outputs or not could_be_magnitudes(answers[:, outputs]):
        return None
    return fit_magnitude_law(drives, answers, small, seed=seed)
