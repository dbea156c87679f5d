"""A fitted twin and what is known of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from simulators.twins import Law, Twin, write_twin

__all__ = ["TwinFit", "TwinReport"]

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class TwinReport:
    """What is known of a twin.

    Attributes
    ----------
    kind : str
        The law.
    r2 : float
        Share of the variance of the test rows that the law explains, pooled over the outputs:
        1 - sum of squared errors / sum of squared distances from the mean. Not a number
        without test rows.
    r2_by_output : ndarray of shape (n_outputs,)
    affine_share : float
        The same of the best affine map, fitted to the same rows.
    validation_r2 : dict of str to float
        The same of each law that was tried, on the validation rows that decided.
    left_out : dict of str to str
        Laws that were not tried, and why.
    rows, test_rows : int
        Rows that the law was fitted to, and rows that judged it.
    residual : ndarray of shape (channels,)
        Root mean square of what the law misses: in the test rows, if there are any.
    noise : ndarray of shape (channels,) or None
        Standard deviation of repeats of the same drive, where there are some.
    low, high : ndarray of shape (n_inputs,)
        The range of drives that was seen.
    multiply_adds_fit, multiply_adds : int
        Spent on all the fits, and in one prediction.
    """

    kind: str
    r2: float
    r2_by_output: Array
    affine_share: float
    validation_r2: dict[str, float]
    left_out: dict[str, str]
    rows: int
    test_rows: int
    residual: Array
    noise: Array | None
    low: Array
    high: Array
    multiply_adds_fit: int
    multiply_adds: int

    @property
    def spread(self) -> Array:
        """The noise that a twin may add: that of repeats, else what the law misses."""
        return self.residual if self.noise is None else self.noise


@dataclass(frozen=True, kw_only=True)
class TwinFit:
    """A twin and how good it is.

    Attributes
    ----------
    device : Twin
        A device like any other, closed; also `devices.Differentiable`.
    report : TwinReport
    digest : str
        SHA-256 of the drives and answers.
    test : ndarray of shape (test_rows,)
        Numbers of the rows that judged it.
    """

    device: Twin
    report: TwinReport
    digest: str
    test: Array

    @property
    def law(self) -> Law:
        """The fitted law."""
        return self.device.model.law

    @property
    def multiply_adds_fit(self) -> int:
        """Multiply-adds that the fit took: what a rule that fits twins adds to its costs."""
        return self.report.multiply_adds_fit

    def save(self, path: str | Path, **attributes: Any) -> Path:
        """Write the twin to an HDF5 file; open it by ``twin?path=FILE``.

        Raises
        ------
        FileExistsError
            If there is such a file.
        OSError
            If it cannot be written.
        """
        told = {key: value for key, value in asdict(self.report).items() if value is not None}
        del told["low"], told["high"]  # the range has them
        model = replace(self.device.model, report=told)
        return write_twin(model, path, recording_digest=self.digest, **attributes)
