"""Fitting twins: the right law is found, and what is said of it is true."""

from pathlib import Path

import numpy as np
import pytest
import torch

import pnn
from devices import DeviceSpec
from pnn.importing import import_rows
from pnn.twin import fit_twin
from pnn.twin_laws import UnfitError
from pnn.twin_splits import fit_twin_on_splits
from simulators.twins import read_twin

CAVITY = Path(pnn.__file__).parents[2] / "shared" / "data" / "acoustic_cavity"


def rows_of(law, n=400, inputs=3, noise=0.01, seed=0):
    random = np.random.default_rng(seed)
    drives = random.random((n, inputs))
    wires = np.random.default_rng(99).normal(size=(2, inputs, 4))
    x, y = drives @ wires[0], drives @ wires[1]
    answers = {
        "affine": x + 2,
        "magnitude": np.abs(x + 1j * y + 0.3),
        "quadratic": x**2 - y * x + 1,
        "network": np.sin(2 * x),
    }[law]
    return drives, answers + noise * random.normal(size=answers.shape)


@pytest.mark.parametrize("law", ["affine", "magnitude", "quadratic", "network"])
def test_the_law_is_found_and_judged_on_rows_that_it_has_not_seen(law):
    drives, answers = rows_of(law, n=1000)
    box = DeviceSpec(name="box", n_inputs=3, n_outputs=4)
    fit = fit_twin(drives, answers, spec=box)
    assert fit.report.kind == law == fit.law.kind
    assert fit.report.r2 > (0.95 if law == "network" else 0.995)
    fresh, truth = rows_of(law, seed=1)
    with fit.device as twin:
        missed = twin.measure(fresh) - truth
    told = np.sqrt(np.mean(fit.report.residual**2))
    assert np.sqrt(np.mean(missed**2)) == pytest.approx(told, rel=0.25)
    assert len(fit.report.r2_by_output) == 4
    assert (fit.report.rows, fit.report.test_rows) == (800, 200)
    assert 0 < fit.report.multiply_adds < 2000 < fit.multiply_adds_fit


def test_the_affine_share_is_the_r2_of_the_best_affine_map():
    drives, answers = rows_of("quadratic")
    share = fit_twin(drives, answers).report.affine_share
    assert share == fit_twin(drives, answers, kind="affine").report.r2
    assert share < 0.98


def test_laws_that_cannot_be_are_left_out_with_the_reason():
    drives, answers = rows_of("affine", n=60, inputs=10)
    report = fit_twin(drives, answers - 9).report
    assert set(report.validation_r2) == {"affine", "network"}
    assert "132" in report.left_out["quadratic"]  # rows, two for each of 66 terms
    assert "negative" in report.left_out["magnitude"]
    with pytest.raises(UnfitError, match="too few for the quadratic law"):
        fit_twin(drives, answers, kind="quadratic")
    with pytest.raises(UnfitError, match="too few for the affine law"):
        fit_twin(drives[:12], answers[:12])


def test_complex_answers():
    drives, answers = rows_of("affine")
    fit = fit_twin(drives, answers[:, :2] + 1j * answers[:, 2:])
    assert fit.report.r2 > 0.995
    assert fit.report.kind == "affine"
    with fit.device as twin:
        assert twin.measure(drives[:3]).dtype == np.complex128
        assert len(fit.report.residual) == 4


def test_limits_and_units_are_those_of_the_device():
    drives, answers = rows_of("affine")
    spec = DeviceSpec(name="box", n_inputs=3, n_outputs=4, high=2.0, input_unit="V", watts=5.0)
    twin = fit_twin(drives, answers, spec=spec).device.spec
    assert (twin.name, twin.high, twin.input_unit, twin.watts) == ("twin of box", 2.0, "V", None)
    memory = DeviceSpec(name="line", n_inputs=3, n_outputs=4, memory=True)
    with pytest.raises(ValueError, match="line has memory"):
        fit_twin(drives, answers, spec=memory)
    with pytest.raises(ValueError, match="has 2 inputs"):
        fit_twin(drives, answers, spec=DeviceSpec(name="box", n_inputs=2, n_outputs=4))


def test_repeats_tell_the_noise():
    drives, _ = rows_of("affine", n=100)
    drives = np.repeat(drives, 4, axis=0)
    noise = 0.2 * np.random.default_rng(5).normal(size=(400, 4))
    report = fit_twin(drives, np.sin(3 * drives @ np.ones((3, 4))) + noise, kind="affine").report
    assert report.noise == pytest.approx(np.full(4, 0.2), rel=0.15)
    assert (report.residual > 1.5 * report.noise).all()


@pytest.mark.parametrize("law", ["magnitude", "network"])
def test_an_earlier_fit_is_a_start(law):
    drives, answers = rows_of(law, n=800)
    first = fit_twin(drives[:400], answers[:400], kind=law, holdout=0.0)
    then = fit_twin(drives, answers, start=first)
    assert then.report.kind == law
    if law == "network":
        cold = fit_twin(drives, answers, kind=law)
        assert then.multiply_adds_fit < 0.2 * cold.multiply_adds_fit
    assert then.report.r2 > 0.9
    with pytest.raises(ValueError, match="start has 3 inputs"):
        fit_twin(drives[:, :2], answers, start=first)


def test_the_same_seed_gives_the_same_bits_and_leaves_torch_alone():
    drives, answers = rows_of("network")
    state = torch.random.get_rng_state()
    one, two = (fit_twin(drives, answers, seed=3, epochs=5, kind="network") for _ in range(2))
    assert (one.law.inner == two.law.inner).all()
    assert (torch.random.get_rng_state() == state).all()


def test_a_twin_of_all_rows_says_what_the_splits_said(tmp_path):
    drives, answers = rows_of("quadratic")
    judged = fit_twin_on_splits(drives, answers, splits=3)
    report = judged.fit.report
    assert report.rows == 400
    assert report.r2 == pytest.approx(judged.r2_by_split.mean())
    assert len(judged.splits) == 3
    assert len({tuple(split.test) for split in judged.splits}) == 3
    kept = read_twin(judged.fit.save(tmp_path / "twin.h5"))
    assert kept.report["r2"] == report.r2
    assert kept.spread == pytest.approx(report.residual)
    assert (kept.report["r2_by_output"] == report.r2_by_output).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cubic"}, "kind='cubic' is not one of auto, affine"),
        ({"holdout": 0.7}, "holdout=0.7"),
        ({"seed": -1}, "seed=-1"),
        ({"answers": np.zeros((3, 4))}, "8 rows"),
        ({"answers": np.full((400, 4), np.nan)}, "nan at row 0"),
    ],
)
def test_bad_arguments(changes, message):
    drives, answers = rows_of("affine")
    with pytest.raises(ValueError, match=message):
        fit_twin(**{"drives": drives, "answers": answers} | changes)


@pytest.mark.skipif(not CAVITY.is_dir(), reason="the recording is not here")
def test_the_recorded_cavity_is_a_magnitude():
    rows = import_rows([CAVITY / "drives.csv", CAVITY / "answers.csv"], domain="tones")
    report = fit_twin(rows.drives, rows.answers, spec=rows.spec, kind="magnitude").report
    assert report.r2 >= 0.985
    assert report.affine_share == pytest.approx(0.95, abs=0.01)


@pytest.mark.slow
@pytest.mark.skipif(not CAVITY.is_dir(), reason="the recording is not here")
def test_the_recorded_cavity_on_five_splits():
    rows = import_rows([CAVITY / "drives.csv", CAVITY / "answers.csv"], domain="tones")
    judged = fit_twin_on_splits(rows.drives, rows.answers, spec=rows.spec)
    report = judged.fit.report
    assert report.kind == "magnitude"
    assert report.r2 >= 0.985
    assert report.affine_share == pytest.approx(0.95, abs=0.01)
