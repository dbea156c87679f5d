"""How much of a device a simple law explains: affine, bilinear, quadratic, magnitude."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from calibration.features import Quadratic, folds_of, held_out_r2
from calibration.nonlinearity import uniform_drives
from calibration.procedure import Procedure, quantity
from calibration.repeats import measure_passes, no_memory
from devices import Device, DeviceSpec
from devices.checks import table, whole

__all__ = ["Nonlinearity", "NonlinearityResult", "explained_share", "nonlinearity"]

Array = NDArray[Any]
Law = Literal["affine", "bilinear", "quadratic"]


@dataclass(frozen=True, kw_only=True)
class NonlinearityResult:
    """Held-out shares of the variance that polynomial laws explain, pooled over outputs.

    Attributes
    ----------
    affine_share, bilinear_share, quadratic_share : float
        Of ``A u + b``; with all products of two different inputs; with the squares as well. nan
        where the rows are too few for a fair fit.
    affine_index, quadratic_index : float
        Non-linearity index, ``1 - share / explainable``: what such a law misses and noise does
        not account for.
    affine_by_output, quadratic_by_output : ndarray of shape (n_outputs,)
    explainable : float
        Share of the variance that is not noise; 1 where no repeats tell.
    rows : int
        Different drives, of which a part is held out.
    """

    affine_share: float = field(metadata=quantity())
    bilinear_share: float = field(metadata=quantity())
    quadratic_share: float = field(metadata=quantity())
    affine_index: float = field(metadata=quantity())
    quadratic_index: float = field(metadata=quantity())
    affine_by_output: Array = field(metadata=quantity("output"))
    quadratic_by_output: Array = field(metadata=quantity("output"))
    explainable: float = field(metadata=quantity())
    rows: int = field(metadata=quantity())


@dataclass(frozen=True, kw_only=True)
class Nonlinearity(Procedure[NonlinearityResult]):
    """Fit laws to the answers to random drives; each drive twice, to know the noise.

    Parameters
    ----------
    rows : int or None
        Different drives; None: four per term of a quadratic law, from 500 to 4000.
    folds : int
        Parts of the rows; each is judged by a fit to the others.
    seed : int
        Of the drives, their order, and the parts.
    """

    kind: ClassVar[str] = "nonlinearity"
    needs: ClassVar[tuple[str, ...]] = ("settling",)
    rows: int | None = None
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rows is not None:
            whole("Nonlinearity", "rows", self.rows, 20)
        whole("Nonlinearity", "folds", self.folds, 2)

    def check(self, spec: DeviceSpec) -> None:
        """Refuse a device with memory."""
        no_memory("Nonlinearity", spec)

    def queries(self, spec: DeviceSpec) -> int:
        """Two for every drive."""
        return 2 * self._rows(spec)

    def _rows(self, spec: DeviceSpec) -> int:
        terms = (spec.n_inputs + 1) * (spec.n_inputs + 2) // 2
        return self.rows or int(np.clip(4 * terms, 500, 4000))

    def _run(self, device: Device) -> NonlinearityResult:
        drives = uniform_drives(device, self._rows(device.spec), self.seed)
        first, second = measure_passes(device, drives, 2, self.seed + 1)
        noise = np.mean(np.abs(first - second) ** 2, axis=0).sum() / 2
        # The fits see the first pass alone, so that its noise counts in full.
        explainable = 1 - noise / np.var(first, axis=0).sum()
        return nonlinearity(
            drives, first, folds=self.folds, explainable=float(explainable), seed=self.seed
        )


def nonlinearity(
    drives: Array,
    answers: Array,
    *,
    folds: int = 5,
    explainable: float = 1.0,
    seed: int = 0,
) -> NonlinearityResult:
    """Return the shares that polynomial laws explain of rows held out at random.

    Parameters
    ----------
    drives : ndarray of shape (rows, n_inputs)
    answers : ndarray of shape (rows, n_outputs)
    folds : int
        Parts of the rows, drawn at random.
    explainable : float
        Share of the variance that is not noise.
    seed : int
        Of the parts.

    Raises
    ------
    ValueError
        If not even an affine law can be fitted: fewer rows than twice its terms.
    """
    shares = {}
    for law in ("affine", "bilinear", "quadratic"):
        try:
            shares[law] = explained_share(drives, answers, law, folds=folds, seed=seed)
        except ValueError:
            if law == "affine":
                raise
            shares[law] = np.nan, np.full(np.shape(answers)[1], np.nan)
    known = max(explainable, 1e-12)
    return NonlinearityResult(
        affine_share=shares["affine"][0],
        bilinear_share=shares["bilinear"][0],
        quadratic_share=shares["quadratic"][0],
        affine_index=float(max(0.0, 1 - shares["affine"][0] / known)),
        quadratic_index=float(np.fmax(0.0, 1 - shares["quadratic"][0] / known))
        if np.isfinite(shares["quadratic"][0])
        else np.nan,
        affine_by_output=shares["affine"][1],
        quadratic_by_output=shares["quadratic"][1],
        explainable=float(explainable),
        rows=len(drives),
    )


def explained_share(
    drives: Array, answers: Array, law: Law, *, folds: int = 5, seed: int = 0
) -> tuple[float, Array]:
    """Return the held-out R2 of a least-squares law, pooled, and of each output.

    Raises
    ------
    ValueError
        If the fit would have fewer than twice as many rows as terms, or the law is unknown.
    """
    me = "explained_share"
    if law not in ("affine", "bilinear", "quadratic"):
        raise ValueError(f"{me}: law={law!r} is not one of affine, bilinear, quadratic")
    drives = table(me, "drives", drives, rows=4)
    answers = table(me, "answers", answers, rows=4)
    n = drives.shape[1]
    terms = {"affine": n, "bilinear": n + n * (n - 1) // 2, "quadratic": n + n * (n + 1) // 2}[law]
    whole(me, "folds", folds, 2)
    least = int(np.ceil(2 * (terms + 1) * folds / (folds - 1)))
    if len(drives) < least:
        raise ValueError(
            f"{me}: {len(drives)} rows to fit the {terms + 1} terms of the {law} law are too few; "
            f"measure at least {least}"
        )
    predicted = np.empty_like(answers)
    for fitted, judged in folds_of(len(drives), folds, seed):
        features = Quadratic.learned(
            drives[fitted], 1 if law == "affine" else 2, squares=law == "quadratic"
        )
        weights, constant = features.fit(drives[fitted], answers[fitted])
        predicted[judged] = features(drives[judged]) @ weights + constant
    return held_out_r2(answers, predicted)
