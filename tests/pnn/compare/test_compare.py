"""Rules, devices and seeds under one budget: planned, trained, resumed, told."""

import json
import re

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from pnn.cli.main import app
from pnn.compare import CompareConfig, compare, plan_comparison, read_comparison, resume
from pnn.compare.plan import with_enough_seeds
from pnn.compare.table import Comparison, Line, table_text
from pnn.config import ConfigError
from pnn.data import Dataset
from pnn.rules import RULES, RuleClass

ROWS = 150


def corners():
    """Points of a square, told apart by the sign of x y: hopeless for anything linear."""
    X = np.random.default_rng(0).uniform(-1, 1, (ROWS, 2))
    return Dataset(
        name="corners", X=X, y=(X[:, 0] * X[:, 1] > 0).astype(int), classes=("unlike", "alike")
    )


def table(tmp_path, **changes):
    content = {
        "name": "small",
        "data": str(tmp_path / "corners.npz"),
        "rules": ["readout", {"name": "mono-forward", "label": "mono", "training": {"epochs": 3}}],
        "devices": [{"name": "sim:random-features", "n_outputs": 24, "label": "relu"}],
        "budgets": [150, 1000],
        "training": {"epochs": 4, "check_every": 1},
        "network": {"width": 8},
        "run": {"seeds": 2, "jobs": 1, "out": str(tmp_path / "compare.h5")},
    }
    return content | changes


def config(tmp_path, **changes):
    return CompareConfig.model_validate(table(tmp_path, **changes))


@pytest.fixture
def data(tmp_path):
    dataset = corners()
    np.savez(tmp_path / "corners.npz", X=dataset.X, y=dataset.y)
    return dataset


def merits(path):
    """Merits by cell, whatever the order in which they were trained."""
    with h5py.File(path) as file:
        order = np.argsort(file["results/cell"][()])
        return file["results/cell"][()][order], file["results/merit"][()][order]


def test_every_cell_stays_within_its_budget_and_spends_what_was_planned(tmp_path, data):
    settings = config(tmp_path, training={"epochs": 4, "check_every": 1, "patience": 99})
    plan = plan_comparison(settings, data)
    assert len(plan.cells) == 2 * 2 * 2
    assert all(cell.queries <= settings.budgets[cell.budget] for cell in plan.cells)
    path = compare(settings, data, plan)
    with h5py.File(path) as file:
        results = file["results"]
        spent = results["train"][()] + results["validation"][()]
        cells = results["cell"][()]
    assert [plan.cells[i].queries for i in cells] == spent.tolist()


def test_a_small_budget_means_fewer_looks_then_fewer_rows(tmp_path, data):
    rich, poor = (
        plan_comparison(config(tmp_path, rules=["mono-forward"], budgets=[budget]), data).cells[0]
        for budget in (10_000, 80)
    )
    assert (rich.check_every, rich.rows) == (1, 120)
    assert poor.check_every == 4
    assert poor.rows < 120


@pytest.mark.parametrize("rule", ["readout", "ideal-backprop", "particle-swarm"])
def test_a_budget_that_is_too_small_is_told_the_smallest_that_is_not(tmp_path, data, rule):
    def plan(budget):
        changes = {"rules": [rule], "budgets": [budget], "training": {"epochs": 60}}
        return plan_comparison(config(tmp_path, **changes), data)

    with pytest.raises(ValueError, match=f"budget=3 is too small for rule '{rule}'") as caught:
        plan(3)
    least = int(re.search(r"needs (\d+) queries at the least: 10 training", str(caught.value))[1])
    assert plan(least).cells[0].queries <= least
    with pytest.raises(ValueError, match=f"needs {least} queries at the least"):
        plan(least - 1)


def test_what_a_rule_cannot_do_on_a_device_is_said_and_the_rest_goes_on(tmp_path, data):
    settings = config(
        tmp_path,
        rules=["readout", "ideal-backprop"],
        devices=["sim:acoustic-cavity"],
        budgets=[500],
    )
    plan = plan_comparison(settings, data)
    assert {cell.rule for cell in plan.cells} == {0}
    assert "offers none" in plan.refused[1, 0, 0]
    with pytest.raises(ValueError, match=r"no rule can be trained on any device:\n.*offers none"):
        plan_comparison(settings.model_copy(update={"rules": settings.rules[1:]}), data)


def test_a_typing_error_is_no_rule_that_does_not_apply(tmp_path, data):
    rules = ["readout", {"name": "mono-forward", "thta": 4}, {"name": "phyl"}]
    with pytest.raises(ConfigError) as caught:
        plan_comparison(config(tmp_path, rules=rules), data)
    option, name = str(caught.value).splitlines()
    assert option.startswith("small: rules.1 = {'name': 'mono-forward', 'thta': 4}: rule 'mono-f")
    assert name.startswith("small: rules.2 = {'name': 'phyl'}: rule='phyl' is not one of ")
    rules = ["readout", {"name": "mono-forward", "training": {"epocs": 4}}]
    with pytest.raises(ConfigError, match=r"mono-forward on relu: there is no key training\.epocs"):
        plan_comparison(config(tmp_path, rules=rules), data)


def test_a_budget_that_is_too_small_for_a_rule_leaves_the_larger_ones(tmp_path, data):
    settings = config(tmp_path, rules=["readout", "equilibrium-propagation"], budgets=[3, 500])
    path = compare(settings, data)
    lines = read_comparison(path).lines
    for device in {line.device for line in lines}:
        few, enough, *other = (line for line in lines if line.device == device)
        assert few.seeds == 0
        assert "budget=3 is too small" in few.error
        assert enough.seeds > 0
        assert all(line.error.startswith("does not apply: ") for line in other)
    assert table_text(read_comparison(path)).count("  does not apply") == len(lines) / 2


def test_rules_are_compared_with_the_reference_pair_by_pair(tmp_path, data):
    path = compare(config(tmp_path, reference="readout", budgets=[1000]), data)
    readout, mono = read_comparison(path).lines
    assert readout.difference is None
    pairs = [mono.scores[seed] - readout.scores[seed] for seed in (0, 1)]
    assert mono.difference.mean == pytest.approx(np.mean(pairs))
    text = table_text(read_comparison(path), markdown=True)
    assert "| against readout |" in text
    assert RULES["mono-forward"].reported in text
    with pytest.raises(ValueError, match="reference='phyll' is none of the rules"):
        config(tmp_path, reference="phyll")


def test_an_interrupted_comparison_is_resumed_to_what_it_would_have_been(tmp_path, data):
    whole = compare(config(tmp_path), data)
    other = config(tmp_path, run={"seeds": 2, "jobs": 1, "out": str(tmp_path / "broken.h5")})

    def stop(done, total, cell):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(other, data, progress=stop)
    broken = tmp_path / "broken.h5"
    assert read_comparison(broken).missing == 5
    assert "5 trainings are not done yet" in table_text(read_comparison(broken))
    resume(broken, lambda _: data)
    for found, expected in zip(merits(broken), merits(whole), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert read_comparison(broken).missing == 0
    wrong = Dataset(name="other", X=data.X[::-1], y=data.y[::-1], classes=data.classes)
    with pytest.raises(ValueError, match="the data are not those of the file"):
        resume(broken, lambda _: wrong)


@pytest.mark.slow
def test_processes_side_by_side_give_the_same_as_one(tmp_path, data):
    alone = compare(config(tmp_path), data)
    run = {"seeds": 2, "jobs": 2, "out": str(tmp_path / "two.h5")}
    together = compare(config(tmp_path, run=run), data)
    for found, expected in zip(merits(together), merits(alone), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_device_that_fails_leaves_a_line_with_the_reason(tmp_path, data, monkeypatch):
    (tmp_path / "dying.py").write_text(
        "def answer(drives):\n    raise OSError('the lamp is out')\n"
    )
    device = {"name": "function", "function": f"{tmp_path / 'dying.py'}:answer", "label": "lamp"}
    device |= {"n_inputs": 2, "n_outputs": 3}
    settings = config(tmp_path, devices=[device], rules=["readout"], budgets=[500])
    line = read_comparison(compare(settings, data)).lines[0]
    assert line.seeds == 0
    assert "the lamp is out" in line.error


def test_the_errors_of_every_budget_are_told_each_once(tmp_path, data):
    lines = [
        Line("readout", "OUTPUTS", "lamp", 100, seeds=2, score=0.9),
        Line("readout", "OUTPUTS", "lamp", 500, error="DeviceError: the lamp is out"),
        *(Line("dfa", "LAW", "lamp", b, error="does not apply: no law") for b in (100, 500)),
    ]
    text = table_text(Comparison("c", "d", "r2", tuple(lines), 0.5, None, 0, tmp_path))
    assert "joules" not in text
    assert text.count("readout on lamp at budget 500: DeviceError: the lamp is out") == 1
    assert text.count("dfa on lamp: does not apply: no law") == 1
    path = compare(config(tmp_path, rules=["readout"], budgets=[3, 5, 500]), data)
    told = table_text(read_comparison(path))
    assert "readout on relu: budget=3 is too small" in told
    assert "readout on relu: budget=5 is too small" in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rules": []}, "rules"),
        (
            {"rules": ["readout", "readout"]},
            r"^small.toml: \['readout'\] stand for several entries",
        ),
        ({"rules": [{"theta": 1}]}, "needs a name"),
        ({"budgets": [5, 2]}, "in rising order"),
        ({"run": {"sedes": 3}}, "sedes"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(tmp_path, changes, message):
    from pnn.config import validated

    with pytest.raises(ConfigError, match=message):
        validated(CompareConfig, table(tmp_path, **changes), "small.toml")


def test_the_command_line_compares_shows_and_estimates(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(
        'data = "corners.npz"\nrules = ["readout", "cafo"]\nbudgets = [500]\n'
        'devices = [{ name = "sim:random-features", n_outputs = 24, label = "relu" }]\n'
        '[run]\nseeds = 2\njobs = 1\nout = "small.h5"\njoules_per_multiply_add = 1e-11\n'
    )
    runner = CliRunner()
    estimated = runner.invoke(app, ["estimate", "small.toml"])
    assert "2 rules x 1 devices x 1 budgets x 2 seeds: 4 trainings" in estimated.stdout
    assert "J of the digital part" in estimated.stdout
    done = runner.invoke(app, ["compare", "small.toml", "--json"])
    assert done.exit_code == 0, done.stderr
    content = json.loads(done.stdout)
    readout = next(line for line in content["lines"] if line["rule"] == "readout")
    assert readout["score"] > 0.8 > content["linear"]
    assert readout["joules"]["digital training"] == pytest.approx(1e-11 * readout["multiply_adds"])
    assert all((tmp_path / plot).stat().st_size > 5000 for plot in content["plots"])
    shown = runner.invoke(app, ["compare", "--show", "small.h5", "--markdown", "--no-plots"])
    assert "| readout | OUTPUTS | relu | 500 |" in shown.stdout
    joules = 1e-11 * readout["multiply_adds"]
    assert "| multiply-adds | joules | reported by its source |" in shown.stdout
    assert f"| {joules:.3g} |" in shown.stdout
    again = runner.invoke(app, ["compare", "small.toml"])
    assert again.exit_code == 4
    assert "exists already" in again.stderr


def test_few_test_rows_are_split_ten_times_unless_seeds_are_named(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        'data = "corners.npz"\nrules = ["readout"]\nbudgets = [500]\n'
        'devices = [{ name = "sim:random-features", n_outputs = 24, label = "relu" }]\n'
    )
    (tmp_path / "small.toml").write_text(text)
    (tmp_path / "named.toml").write_text(text + "[run]\nseeds = 2\n")
    for arguments, seeds in (
        (("estimate", "small.toml"), 10),
        (("compare", "small.toml", "--dry-run", "--jobs", "1"), 10),
        (("compare", "small.toml", "--dry-run", "--seeds", "4"), 4),
        (("estimate", "named.toml"), 2),
    ):
        assert f" x {seeds} seeds: {seeds} trainings" in CliRunner().invoke(app, arguments).output
    X, y = np.tile(data.X, (7, 1)), np.tile(data.y, 7)
    many = Dataset(name="many", X=X, y=y, classes=data.classes)
    settings = config(tmp_path, run={})
    assert with_enough_seeds(settings, many) is settings
    assert with_enough_seeds(settings, data).run.seeds == 10
    (tmp_path / "bench.py").write_text("def answer(drives):\n    return drives\n")
    bench = {"name": "function", "function": f"{tmp_path / 'bench.py'}:answer"}
    settings = config(tmp_path, run={}, devices=[bench | {"n_inputs": 2, "n_outputs": 2}])
    assert with_enough_seeds(settings, data) is settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "some.toml", "--seeds", "0"), "--seeds"),
        (("compare", "some.toml", "--jobs", "0"), "--jobs"),
        (("rules", "--classes", "0"), "--classes"),
        (("compare", "digits-optical"), "'digits-optical' is a preset of one run"),
        (("compare", "digits-optical"), "examples/compare"),
    ],
)
def test_wrong_usage_is_said_in_words(arguments, message):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert message in re.sub(r"\x1b\[[\d;]*m", "", done.stderr)
    assert "pydantic" not in done.stderr


def test_the_rules_are_listed_with_class_and_cost():
    listed = json.loads(CliRunner().invoke(app, ["rules", "--classes", "7", "--json"]).stdout)
    by_name = {row["rule"]: row for row in listed}
    assert by_name.keys() == RULES.keys()
    assert by_name["phyll"]["queries_per_prediction"] == 7
    assert by_name["node-perturbation"]["queries_per_update"] == 3
    assert {row["class"] for row in listed} <= {one.name for one in RuleClass}
