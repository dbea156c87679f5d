"""Twins: a law fitted to recorded rows, picked and judged on rows that it has not seen."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calibration.features import held_out_r2
from devices import DeviceSpec
from devices.checks import number, one_of, table, whole
from devices.recorded_rows import digest, spec_of_rows
from pnn.training import limit_threads
from pnn.twin_choice import choose_law
from pnn.twin_laws import EPOCHS, HIDDEN, fit_law
from pnn.twin_report import TwinFit, TwinReport
from simulators.twins import LAWS, Law, Range, Twin, TwinModel

__all__ = ["Kind", "TwinFit", "TwinReport", "fit_twin"]

Array = NDArray[Any]
Kind = Literal["auto", "affine", "magnitude", "quadratic", "network"]


@limit_threads(1)  # the products are small, and the bits the same on any machine
def fit_twin(
    drives: Array,
    answers: Array,
    *,
    spec: DeviceSpec | None = None,
    kind: Kind = "auto",
    seed: int = 0,
    holdout: float = 0.2,
    start: TwinFit | None = None,
    outside: Literal["warn", "refuse", "allow"] = "warn",
    hidden: int = HIDDEN,
    epochs: int = EPOCHS,
) -> TwinFit:
    """Fit a stand-in for a device to rows that went through it.

    The rows are shuffled; the share `holdout` is test rows, which nothing but the report sees.
    With ``kind="auto"`` every law is fitted to 80 % of the others and judged on the rest of them;
    the simplest law (affine, magnitude, quadratic, network) wins whose mean squared error there is
    within one standard error of the best one's (the standard error of the difference row by row).
    It is then fitted again to all rows but the test rows.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
        Complex answers are fitted as real and imaginary parts.
    spec : DeviceSpec, optional
        Of the recorded device: name, limits, domain and units. None: limits as wide as the rows.
    kind : {"auto", "affine", "magnitude", "quadratic", "network"}
    seed : int
        Of the split and of the network.
    holdout : float
        From 0 (no test rows, and no judgement) to 0.5.
    start : TwinFit, optional
        An earlier fit, to go on from: ``"auto"`` then keeps its law, a network trains for a tenth
        of the epochs from its weights, and a magnitude law needs few rows. For fits again and
        again while rows come in.
    outside : {"warn", "refuse", "allow"}
        Of the `Twin`.
    hidden, epochs : int
        Width of the network, and passes over the rows.

    Raises
    ------
    ValueError
        If an argument is out of its range, a row is not finite, the rows are too few for the law
        (`UnfitError`), or the device has memory: no law here knows earlier rows.

    Examples
    --------
    >>> import numpy as np
    >>> drives = np.random.default_rng(0).random((300, 2))
    >>> fit = fit_twin(drives, np.abs(drives @ [[1, 1j], [1j, 1]] + 0.5))
    >>> fit.report.kind, round(fit.report.r2, 3)
    ('magnitude', 1.0)
    """
    me = "fit_twin"
    drives = np.asarray(table(me, "drives", drives, rows=8), float)
    answers = table(me, "answers", answers, rows=8)
    if len(drives) != len(answers):
        raise ValueError(f"{me}: {len(drives)} drives, but {len(answers)} answers")
    one_of(me, "kind", kind, ("auto", *LAWS))
    number(me, "holdout", holdout, 0.0, 0.5)
    options = {
        "seed": whole(me, "seed", seed, 0),
        "hidden": whole(me, "hidden", hidden, 1),
        "epochs": whole(me, "epochs", epochs, 1),
    }
    spec = _twin_spec(spec or spec_of_rows(drives, answers), drives, answers)
    channels = np.hstack([answers.real, answers.imag]) if spec.is_complex else answers
    channels = np.asarray(channels, float)

    order = np.random.default_rng(seed).permutation(len(drives))
    n_test = round(holdout * len(drives))
    test, known = order[:n_test], order[n_test:]
    validation: dict[str, float] = {}
    left_out: dict[str, str] = {}
    chosen, begin, spent = str(kind), None, 0
    if start is not None:
        chosen, begin = _start(start, kind, spec)
    elif kind == "auto":
        chosen, validation, left_out, spent = choose_law(drives[known], channels[known], options)
    law, cost = fit_law(chosen, drives[known], channels[known], start=begin, **options)
    spent += cost

    def judge(law: Law) -> tuple[float, Array]:
        if len(test) < 2:
            return np.nan, np.full(spec.n_outputs, np.nan)
        return held_out_r2(answers[test], _joined(law(drives[test]), spec))

    r2, r2_by_output = affine_share, _ = judge(law)
    if chosen != "affine" and len(test):
        affine, cost = fit_law("affine", drives[known], channels[known])
        affine_share, _ = judge(affine)
        spent += cost
    missed = (channels - law(drives))[test if len(test) else known]
    report = TwinReport(
        kind=chosen,
        r2=r2,
        r2_by_output=r2_by_output,
        affine_share=affine_share,
        validation_r2=validation,
        left_out=left_out,
        rows=len(known),
        test_rows=len(test),
        residual=np.sqrt(np.mean(missed**2, axis=0)),
        noise=_noise(drives, channels),
        low=drives.min(axis=0),
        high=drives.max(axis=0),
        multiply_adds_fit=spent,
        multiply_adds=law.multiply_adds,
    )
    model = TwinModel(law=law, spec=spec, range=Range.of(drives), spread=report.spread)
    twin = Twin(model, outside=outside)
    return TwinFit(device=twin, report=report, digest=digest(drives, answers), test=test)


def _twin_spec(spec: DeviceSpec, drives: Array, answers: Array) -> DeviceSpec:
    """Return the spec of a twin of a device: its face, and nothing of its hardware."""
    if spec.memory:
        raise ValueError(
            f"fit_twin: {spec.name} has memory, and an answer depends on earlier rows; no law here "
            "knows them"
        )
    widths = drives.shape[1], answers.shape[1]
    if (spec.n_inputs, spec.n_outputs) != widths:
        raise ValueError(
            f"fit_twin: {spec.name} has {spec.n_inputs} inputs and {spec.n_outputs} outputs, the "
            f"rows have {widths[0]} and {widths[1]}"
        )
    return DeviceSpec(
        name=f"twin of {spec.name.removeprefix('twin of ')}",
        n_inputs=spec.n_inputs,
        n_outputs=spec.n_outputs,
        low=spec.low,
        high=spec.high,
        domain=spec.domain,
        input_unit=spec.input_unit,
        output_unit=spec.output_unit,
        output_dtype="complex128" if np.iscomplexobj(answers) else "float64",
    )


def _start(start: TwinFit, kind: Kind, spec: DeviceSpec) -> tuple[str, Law]:
    """Return the kind to fit and the law to begin with."""
    before = start.device.spec
    if (before.n_inputs, before.n_outputs) != (spec.n_inputs, spec.n_outputs):
        raise ValueError(
            f"fit_twin: start has {before.n_inputs} inputs and {before.n_outputs} outputs, the "
            f"rows have {spec.n_inputs} and {spec.n_outputs}"
        )
    return (start.law.kind if kind == "auto" else kind), start.law


def _joined(channels: Array, spec: DeviceSpec) -> Array:
    """Return answers for channels: complex ones from real and imaginary parts."""
    n = spec.n_outputs
    return channels[:, :n] + 1j * channels[:, n:] if spec.is_complex else channels


def _noise(drives: Array, channels: Array) -> Array | None:
    """Return the standard deviation of each channel between repeats of the same drive."""
    _, which, counts = np.unique(drives, axis=0, return_inverse=True, return_counts=True)
    free = len(drives) - len(counts)  # degrees of freedom
    if free < max(8, len(drives) // 100):
        return None
    total = np.zeros((len(counts), channels.shape[1]))
    np.add.at(total, which.ravel(), channels)
    apart = channels - (total / counts[:, None])[which.ravel()]
    spread: Array = np.sqrt(np.sum(apart**2, axis=0) / free)
    return spread
