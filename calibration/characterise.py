"""Know a device before training: one set of measurements, or a recording alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.consistency import consistency
from calibration.dimensionality import participation_ratio
from calibration.laws import NonlinearityResult, explained_share, nonlinearity
from calibration.magnitude_law import MagnitudeLaw
from calibration.noise import signal_to_noise
from calibration.nonlinearity import uniform_drives
from calibration.recording import Recording
from calibration.repeats import measure_passes, no_memory
from calibration.signal_dimensions import SignalDimensions, signal_dimensions
from calibration.structure import Structure, find_structure, products_rows
from calibration.wave_law import find_wave_law, structure_by_law
from devices import Device, DeviceError, DeviceSpec
from devices.checks import whole

__all__ = ["Characterisation", "characterise", "characterise_recording", "characterise_rows"]

Array = NDArray[Any]
#: What is done, how much of it, and how much there is.
Progress = Callable[[str, int, int], None]


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
    phasor_share : float
        Share that an affine law in ``exp(i x)`` explains where drives are phases; else nan.
    magnitude : MagnitudeLaw or None
        Of magnitudes or intensities, over the blocks of the structure; None where it cannot be
        fitted.
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
    phasor_share: float
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
        If the device has memory, or `rows` is too small for an affine fit, 3 per input and at
        least 20.
    """
    no_memory("characterise", spec)
    if rows is None:
        return max(1000, 4 * spec.n_inputs)
    return whole("characterise", "rows", rows, max(20, 3 * (spec.n_inputs + 1)))


def characterise(
    device: Device,
    rows: int | None = None,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> Characterisation:
    """Drive random rows twice each, in random orders, and evaluate the answers.

    Parameters
    ----------
    device : Device
        Open, without memory. It costs ``2 * characterise_rows(device.spec, rows)`` queries.
    rows : int, optional
        Different drives.
    seed : int
        Of drives, orders and splits.
    progress : callable
        Is given what goes on, how much of it is done, and how much there is.

    Raises
    ------
    ValueError
        If the device has memory, or the rows are too few; nothing was driven.
    DeviceError
        What the device raises; or if no output moves.
    """
    count = characterise_rows(device.spec, rows)
    drives = uniform_drives(device, count, seed)
    told = partial(progress, "measure rows")
    passes = measure_passes(device, drives, 2, seed + 1, progress=told)
    if (passes == passes[0, 0]).all():
        raise DeviceError(
            f"{device.spec.name}: no output moves: {2 * count} rows between the limits of its "
            "inputs have the same answer; see that its source is on, its cables are in place and "
            "its detector is not saturated"
        )
    first = Recording.of(device.spec, drives, passes[0])
    return _evaluate(first, passes, 2 * count, [], seed, progress)


def characterise_recording(
    recording: Recording,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> Characterisation:
    """Evaluate rows that were measured before.

    If at least 20 drives occur twice, they tell the noise; else it stays unknown.

    Raises
    ------
    ValueError
        If the rows are too few, or no output moves.
    """
    notes = []
    drives, answers = recording.drives, recording.answers
    if recording.memory:
        notes.append("the device has memory: what earlier rows leave behind counts as noise here")
    moving = drives[:, drives.std(axis=0) > 0]
    if moving.shape[1] > 1:
        correlation = np.abs(np.corrcoef(moving, rowvar=False) - np.eye(moving.shape[1])).max()
        if correlation > 0.3:
            notes.append(
                f"inputs of this recording are correlated (up to {correlation:.2f}): dead inputs "
                "and blocks are uncertain; random drives would tell"
            )
    repeats = recording.repeats()
    pairs = np.array([group[:2] for group in repeats])
    if len(pairs) < 20:
        notes.append("no drive is repeated: noise, consistency and drift are not known")
        return _evaluate(recording, None, 0, notes, seed, progress)
    shuffled = np.random.default_rng(seed).permutation(pairs)
    again = np.stack([answers[shuffled[:, 0]], answers[shuffled[:, 1]]])
    first = np.setdiff1d(np.arange(len(drives)), np.concatenate([g[1:] for g in repeats]))
    once = replace(recording, drives=drives[first], answers=answers[first])
    return _evaluate(once, again, 0, notes, seed, progress)


def _evaluate(
    rows: Recording,
    again: Array | None,
    queries: int,
    notes: Sequence[str],
    seed: int,
    progress: Progress,
) -> Characterisation:
    """Evaluate rows; `again`, (2, rows, n_outputs), holds repeats, of these drives or of others."""
    drives, answers, phases = rows.drives, rows.answers, rows.domain == "phase"
    noise = None
    if again is not None:
        signal, noise = signal_to_noise(np.swapaxes(again, 0, 1))
    structure = find_structure(drives, answers, noise_variance=noise, phases=phases)
    loud = np.flatnonzero(structure.loud)
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
    magnitude = find_wave_law(
        drives, answers, structure, phases=phases, seed=seed,
        progress=partial(progress, "fit waves"),
    )  # fmt: skip
    if magnitude is not None:
        structure = structure_by_law(structure, magnitude, drives)
    waves = np.nan
    if phases:
        phasors = np.hstack([np.cos(drives), np.sin(drives)])
        with contextlib.suppress(ValueError):  # too few rows
            waves = explained_share(phasors, answers, "affine", seed=seed)[0]
    shares = [laws.affine_share, laws.quadratic_share, waves]
    shares += [magnitude.pooled_r2] if magnitude is not None else []
    best = float(np.nanmax(shares))
    bound = 10 * np.log10(best / (1 - best)) if 0.5 < best < 1 - 1e-12 else np.nan
    if still := structure.still_inputs:
        notes = [*notes, f"{len(still)} inputs were never moved: nothing is known of them"]
    if untold := structure.untold_outputs:
        notes = [*notes, _untold(len(untold), drives.shape[1], structure, phases)]
    return Characterisation(
        name=rows.name,
        rows=len(drives),
        queries=queries,
        drives=drives,
        answers=answers,
        structure=structure,
        laws=laws,
        phasor_share=waves,
        magnitude=magnitude,
        participation=participation_ratio(answers, standardised=False)
        if dimensions is None
        else dimensions.participation_ratio,
        participation_standardised=participation_ratio(answers)
        if dimensions is None
        else dimensions.participation_ratio_standardised,
        dimensions=dimensions,
        snr_db=ratio,
        least_snr_db=float(bound),
        consistency=same,
        input_unit=rows.input_unit,
        output_unit=rows.output_unit,
        notes=tuple(notes),
    )


def _untold(outputs: int, n_inputs: int, structure: Structure, phases: bool) -> str:
    """Say that links are not known, and what would tell them."""
    text = (
        f"what drives {outputs} of the {structure.loud.sum()} moving outputs is not known: a law "
        f"of degree {structure.degree} explains less than half of them"
    )
    if structure.degree == 1:
        text += f"; {products_rows(n_inputs, phases)} rows would allow products of inputs"
    return text
