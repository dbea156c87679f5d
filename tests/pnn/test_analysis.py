"""Sparsity, ensembles and per-layer accuracy of trained networks."""

import json

import numpy as np
import pytest
from black_boxes import BlackBox, box_for, digits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

from pnn import PhysicalClassifier
from pnn.analysis import analyse, ensembles, hoyer
from pnn.cli.main import app
from pnn.rules import RULES, BackwardRule, Readout, RuleClass, SearchRule, make_rule

DATA = digits()


def test_hoyer_is_one_for_a_single_unit_and_zero_for_even_rows():
    np.testing.assert_allclose(hoyer([[0, 3, 0], [2, -2, 2], [0, 0, 0]]), [1, 0, 0], atol=1e-12)
    assert hoyer([[3.0, 4.0]])[0] == pytest.approx((2**0.5 - 7 / 5) / (2**0.5 - 1))


# Numbers that scaling cannot round to zero.
ELEMENTS = st.floats(-1e3, 1e3).map(lambda a: a if abs(a) > 1e-300 else 0.0)


@given(arrays(float, (3, 5), elements=ELEMENTS), st.floats(1e-3, 1e3))
def test_hoyer_stays_in_its_range_and_does_not_feel_the_scale(rows, factor):
    found = hoyer(rows)
    assert ((found >= -1e-9) & (found <= 1 + 1e-9)).all()
    np.testing.assert_allclose(hoyer(factor * rows), found, atol=1e-6)


def test_ensembles_find_the_units_that_were_made_for_a_class():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 100)
    activity = rng.standard_normal((300, 6))
    activity[labels == 1, 2] += 2
    activity[labels == 2, 4:] += 2
    found = ensembles(activity, labels)
    assert [np.flatnonzero(row).tolist() for row in found] == [[], [2], [4, 5]]
    assert not ensembles(activity, rng.permutation(labels)).any()


@pytest.mark.parametrize("rule", ["phyll", "mono-forward", "readout"])
@pytest.mark.filterwarnings("ignore::pnn.encoders.WidthWarning")
def test_layers_of_a_trained_network_are_described(rule):
    estimator = PhysicalClassifier(
        BlackBox(19, 48), rule, layers=2, width=32, epochs=12, random_state=0
    ).fit(DATA.X[:300], DATA.y[:300])
    estimator.classes_ = np.array(["one", "three", "two"])
    y = estimator.classes_[DATA.y[300:]]
    first, second = analyse(estimator, DATA.X[300:], y)
    assert second.accuracy_up_to == pytest.approx(
        np.mean(estimator.predict(DATA.X[300:]) == y), abs=0.02
    )
    assert first.selective > 2 * first.selective_by_chance
    assert 0 < first.sparsity < 1
    assert len(first.ensemble_sizes) == 3


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.filterwarnings("ignore")
def test_every_rule_is_described_layer_by_layer(rule):
    options = {"layers": 2, "width": 16, "epochs": 2, "random_state": 0, "threads": 1}
    few = {"twin_rows": 0} if RULES[rule].rule_class is RuleClass.TWIN else {}
    estimator = PhysicalClassifier(box_for(rule, 22, 24), make_rule(rule, **few), **options)
    estimator.fit(DATA.X[:60], DATA.y[:60])
    rows = slice(300, 360)
    first, second = analyse(estimator, DATA.X[rows], DATA.y[rows], shuffles=2)
    for layer in (first, second):
        assert 0 <= layer.accuracy <= 1
        assert 0 <= layer.accuracy_up_to <= 1
        assert 0 <= layer.sparsity <= 1
    assert second.accuracy_up_to == np.mean(estimator.predict(DATA.X[rows]) == DATA.y[rows])
    own = ("cafo", "noprop", "ffzero", "node-perturbation", "guided-forward-gradient")
    without = issubclass(RULES[rule], (BackwardRule, Readout, SearchRule)) and rule not in own
    assert (first.probed, second.probed) == (without, False)


def test_a_probe_reads_what_a_layer_without_scores_hands_on():
    estimator = PhysicalClassifier(BlackBox(48, 48), "readout", layers=2, random_state=0)
    estimator.fit(DATA.X[:300], DATA.y[:300])
    first, _ = analyse(estimator, DATA.X[300:], DATA.y[300:], shuffles=1)
    assert first.probed
    assert first.accuracy == first.accuracy_up_to > 0.8
    few, _ = analyse(estimator, DATA.X[300:303], DATA.y[300:303], shuffles=1)
    assert np.isnan(few.accuracy)


def test_the_command_describes_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    options = ["--device", "sim:random-features?n_outputs=64", "--epochs", "4", "--no-controls"]
    trained = runner.invoke(app, ["train", "digits-optical", *options, "--out", "run.h5"])
    assert trained.exit_code == 0, trained.stderr
    found = runner.invoke(app, ["analyse", "run.h5", "--json"])
    assert found.exit_code == 0, found.stderr
    (layer,) = json.loads(found.stdout)["layers"]
    assert layer["accuracy"] == layer["accuracy_up_to"] > 0.5
    assert not layer["probed"]
    said = runner.invoke(app, ["analyse", "run.h5"]).stdout
    assert "sparsity" in said
    assert "*" not in said


def test_the_command_marks_probes_and_prints_valid_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    (tmp_path / "two.toml").write_text(
        'data = "digits"\nrule = "readout"\n[device]\nname = "sim:random-features"\n'
        "n_outputs = 64\n[network]\nlayers = 2\n"
    )
    trained = runner.invoke(app, ["train", "two.toml", "--no-controls", "--out", "run.h5"])
    assert trained.exit_code == 0, trained.stderr
    monkeypatch.setattr("pnn.analysis._overlap", lambda members: float("nan"))
    printed = runner.invoke(app, ["analyse", "run.h5", "--json"]).stdout
    first, second = json.loads(printed, parse_constant=pytest.fail)["layers"]
    assert first["probed"]
    assert not second["probed"]
    assert first["overlap"] is None
    said = runner.invoke(app, ["analyse", "run.h5"]).stdout
    assert f"{100 * first['accuracy']:.2f} %*" in said
    assert "*: the layer has no class scores of its own" in said
