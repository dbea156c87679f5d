"""What a run says at its end: intervals, the verdict, the numbers for programs."""

import json
from pathlib import Path

import numpy as np
import pytest
from black_boxes import corners, digits, slope
from scipy.stats import ttest_rel

from pnn.config import Config
from pnn.controls import CONTROLS
from pnn.experiment import plan, resume, run
from pnn.gain import Gain, gain
from pnn.reading import open_run
from pnn.report import plan_text, result_text, summary, verdict
from pnn.result import Plan

README = Path(__file__).parents[2] / "README.md"


def made(device, dataset, tmp_path, *, rule="readout", seeds=3, **run_table):
    """Run a small experiment and return its result."""
    config = Config.model_validate(
        {
            "data": "digits",
            "device": device,
            "rule": rule,
            "network": {"width": 24},
            "training": {"epochs": 6},
            "run": {"seeds": seeds, "threads": 1, "out": str(tmp_path / "run.h5")} | run_table,
        }
    )
    return run(config, dataset)


# -- gains -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5, 40])
def test_the_interval_of_a_gain_is_that_of_a_paired_t_test(n):
    rng = np.random.default_rng(n)
    device, control = rng.random(n), rng.random(n)
    found = gain(device, control, "seeds")
    expected = ttest_rel(device, control)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == pytest.approx((device - control).mean())


def test_equal_scores_are_a_gain_of_nothing():
    assert gain(np.ones(4), np.ones(4), "seeds") == Gain(0, 0, 0, "seeds")


# -- the verdict -------------------------------------------------------------------------------


def gains(**bounds):
    return {
        name: Gain((low + high) / 2, low, high, "seeds") for name, (low, high) in bounds.items()
    }


GOOD, NONE, BAD = (0.01, 0.03), (-0.01, 0.02), (-0.05, -0.01)


def test_a_device_that_beats_all_controls_adds_to_all():
    text = verdict(gains(linear=GOOD, bypassed=GOOD, affine=GOOD, matched_digital=GOOD))
    assert text.startswith("The device adds ")
    assert "nothing" not in text
    assert text.count("+2.00 points") == 4
    assert "+1.00 to +3.00" in text


@pytest.mark.parametrize(
    ("rest", "word"), [(NONE, "adds nothing measurable over"), (BAD, "is worse than")]
)
def test_what_it_does_not_add_to_is_said_in_the_same_sentence(rest, word):
    text = verdict(gains(linear=GOOD, bypassed=GOOD, affine=GOOD, matched_digital=rest))
    adds, nothing = text.split(f"; it {word} ")
    assert adds.startswith("The device adds ")
    assert "a linear model on the raw input" in adds
    assert "random digital features of the same width" in nothing
    assert "linear" not in nothing


@pytest.mark.parametrize("substitute", ["bypassed", "affine"])
@pytest.mark.parametrize(("rest", "word"), [(NONE, "adds nothing"), (BAD, "is worse than")])
def test_where_something_simple_does_as_well_in_its_place_it_adds_nothing(substitute, rest, word):
    found = gains(linear=GOOD, bypassed=GOOD, affine=GOOD, matched_digital=GOOD)
    text = verdict(found | gains(**{substitute: rest}))
    assert text.startswith(f"The device {word}")


def test_a_device_that_is_worse_is_said_to_be_and_by_how_much():
    assert verdict(gains(linear=BAD)) == (
        "The device is worse than a linear model on the raw input by 3.00 points (-5.00 to -1.00)."
    )
    text = verdict(gains(linear=BAD, matched_digital=NONE))
    assert " (-5.00 to -1.00) and adds nothing measurable over random digital features" in text


def test_where_it_beats_no_control_it_adds_nothing():
    assert verdict(gains(linear=NONE)).startswith("The device adds nothing")


def test_without_controls_nothing_is_claimed():
    assert verdict({}).startswith("No controls were run")


def test_for_numbers_gains_are_in_r2():
    text = verdict(gains(linear=GOOD), "in R2")
    assert "+0.02 in R2" in text
    assert "points" not in text


@pytest.mark.parametrize("device", ["test:identity", "test:noise", "test:affine"])
@pytest.mark.parametrize("rule", ["readout", "phyll", "mono-forward"])
@pytest.mark.usefixtures("named_devices")
def test_a_device_without_benefit_is_said_to_add_nothing(device, rule, tmp_path):
    content = summary(made(device, digits(rows=240), tmp_path, rule=rule))
    nothing = ("The device adds nothing", "The device is worse than")
    assert content["verdict"].startswith(nothing), content["verdict"]
    if device == "test:identity":
        assert content["gains"]["bypassed"]["mean"] == 0


@pytest.mark.usefixtures("named_devices")
def test_a_device_of_benefit_is_said_to_add_what_it_adds(tmp_path):
    content = summary(made("test:waves", corners(400), tmp_path, seeds=4))
    for control in ("linear", "bypassed", "affine"):
        assert content["gains"][control]["low"] > 0.1
    assert content["verdict"].startswith("The device adds +")
    # A few lines of NumPy can do this task as well, and the sentence says so.
    nothing = content["verdict"].partition("nothing")[2]
    assert "random digital features" in nothing


@pytest.mark.usefixtures("named_devices")
def test_with_one_seed_the_interval_is_over_test_rows(tmp_path):
    content = summary(made("test:waves", corners(), tmp_path, seeds=1))
    assert {g["paired_over"] for g in content["gains"].values()} == {"test rows"}
    assert content["gains"]["linear"]["low"] > 0
    assert content["accuracy_std"] is None
    assert "Intervals are paired over test rows" in result_text(content)


# -- numbers for programs ----------------------------------------------------------------------

KEYS = {
    "accuracy",
    "accuracy_std",
    "accuracy_by_seed",
    "seeds",
    "controls",
    "gains",
    "verdict",
    "chance",
    "doubts",
    "energy",
    "queries",
    "queries_by_seed",
    "estimate",
    "arms",
    "rule",
    "device",
    "dataset",
    "rows",
    "encoders",
    "notes",
    "seconds",
    "device_seconds",
    "joules",
    "alignment",
    "retries",
    "flags",
    "run",
}


@pytest.fixture(scope="module")
def result(named_devices, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return made("test:box?n_inputs=24&watts=2.5", digits(rows=240), folder, rule="phyll", seeds=2)


def test_the_summary_has_the_keys_that_programs_rely_on(result):
    content = json.loads(json.dumps(summary(result), allow_nan=False))
    assert set(content) == KEYS
    table = README.read_text(encoding="utf-8").partition("## The result as JSON")[2]
    assert all(f"`{key}`" in table for key in KEYS)
    assert list(content["controls"]) == list(content["gains"]) == list(CONTROLS)
    for entry in content["gains"].values():
        assert entry["low"] <= entry["mean"] <= entry["high"]
    assert content["accuracy"] == pytest.approx(np.mean(content["accuracy_by_seed"]))
    assert content["accuracy_std"] == pytest.approx(np.std(content["accuracy_by_seed"], ddof=1))
    assert content["seeds"] == [0, 1]


def test_the_alignment_of_feedback_is_reported(result, tmp_path):
    assert summary(result)["alignment"] is None
    assert "true gradient" not in result_text(summary(result))
    device = {"name": "sim:scattering-medium", "n_outputs": 32}
    found = made(device, digits(rows=240), tmp_path, rule="dfa", seeds=2, controls=())
    content = summary(found)
    ends = [
        open_run(found.path).dataset(f"seed_{i}/metrics")["alignment"].values[-1] for i in (0, 1)
    ]
    assert content["alignment"] == pytest.approx(np.mean(ends))
    assert f"{content['alignment']:.2f} (cosine of the feedback and the true" in result_text(
        content
    )


def test_queries_are_those_of_one_seed_by_purpose(result):
    content = summary(result)
    queries = content["queries"]
    assert queries["total"] == sum(v for k, v in queries.items() if k != "total")
    rows = content["rows"]
    assert rows["train"] + rows["validation"] + rows["test"] == 240
    assert queries["train"] == rows["train"] * 3
    assert queries["test"] == rows["test"] * 3
    assert queries["total"] <= content["estimate"]["total"]
    assert queries["control"] == 0  # stand-ins are no devices
    assert content["joules"] == pytest.approx(2.5 * content["device_seconds"])


def test_arms_are_as_wide_and_as_heavy_as_the_device(result):
    arms = summary(result)["arms"]
    device = arms["device"]
    for control in ("bypassed", "affine", "matched_digital"):
        assert arms[control]["width"] == device["width"] == 32
        assert arms[control]["parameters"] == device["parameters"] == 24 * (32 + 1)
    digital = 3 * 32 * 24  # hypotheses x features x readout
    assert device["multiply_adds"] == arms["bypassed"]["multiply_adds"] == digital
    for control in ("affine", "matched_digital"):
        assert arms[control]["multiply_adds"] == digital + 3 * 24 * 32
    sizes = {"width": 16, "parameters": 17 * 3, "multiply_adds": 48}
    assert arms["linear"] | sizes == arms["linear"]
    assert device["training_multiply_adds"] > digital


def test_the_block_for_people_has_every_number(result):
    content = summary(result)
    text = result_text(content)
    for arm in ("device", *CONTROLS):
        assert f"  {arm} " in text
    assert f"{100 * content['accuracy']:.2f} %" in text
    assert content["verdict"] in text
    assert content["run"] in text
    assert "over 2 seeds" in text
    assert "Intervals are paired over test rows" not in text


@pytest.mark.usefixtures("named_devices")
def test_numbers_are_reported_as_r2(tmp_path):
    content = summary(made("test:box?n_inputs=6&n_outputs=64", slope(), tmp_path))
    assert content["r2"] > 0.9
    assert "accuracy" not in content
    assert content["gains"]["linear"]["low"] > 0
    assert "in R2" in content["verdict"]
    text = result_text(content)
    assert "r2 " in text
    assert "%" not in text.replace("95 %", "")


# -- before a run ------------------------------------------------------------------------------


def planned(device_seconds):
    return Plan(
        rule="phyll",
        rule_class="OUTPUTS",
        device="Box(16)",
        rows={"train": 90, "validation": 10, "test": 25},
        queries={"train": 900, "validation": 100, "test": 250, "total": 1250},
        device_seconds=device_seconds,
        encoders=["PhaseEncoder, padded 10 -> 16", "PhaseEncoder"],
        notes=["mind the gap"],
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "the device does not state its seconds per query"),
        (0.02, "about 20 ms on the device"),
        (65.0, "about 65.0 s"),
        (1800.0, "about 30 min"),
        (9000.0, "about 2 h 30 min"),
    ],
)
def test_the_plan_says_rule_class_queries_and_time(seconds, text):
    said = plan_text(planned(seconds), 3)
    assert text in said
    for part in (
        "phyll (class OUTPUTS)",
        "at most 1250 (900 train, 100 validation, 250 test) x 3 seeds",
        "90 train, 10 validation, 25 test",
        "PhaseEncoder, padded 10 -> 16; then PhaseEncoder",
        "mind the gap",
    ):
        assert part in said
    assert "seeds" not in plan_text(planned(seconds), 1)


@pytest.mark.usefixtures("named_devices")
def test_the_plan_of_a_run_is_what_it_says_it_was():
    config = Config.model_validate(
        {
            "data": "digits",
            "device": "test:box?n_inputs=8&seconds_per_query=0.5",
            "rule": "phyll",
            "run": {"seeds": 2},
        }
    )
    intended = plan(config, digits(rows=240))
    assert intended.device_seconds == pytest.approx(0.5 * intended.queries["total"] * 2)
    assert intended.encoders == ["AmplitudeEncoder, projected at random 19 -> 8"]
    assert len(intended.notes) == 1
    assert "information is lost" in intended.notes[0]


@pytest.mark.usefixtures("named_devices")
def test_saturated_rows_are_said_and_counted_also_after_a_resume(tmp_path):
    box, data = "test:box?n_inputs=24&max_batch=1&saturation=4", digits(rows=240)
    whole = summary(made(box, data, tmp_path, seeds=2, controls=()))
    count, rows = whole["flags"]["saturated"], 2 * whole["queries"]["total"]
    assert 0 < count < rows
    assert whole["doubts"][0].startswith(f"{count} of {rows:.0f} rows were saturated")
    text = result_text(whole)
    assert f"Beware: {count} of" in text
    assert f"faults   {count} saturated rows" in text

    def stop(seed, arm, share, what):
        if seed == 1 and what.startswith("measure (train)"):
            raise KeyboardInterrupt

    config = Config.model_validate(open_run(whole["run"]).config)
    config = config.with_(run={"out": str(tmp_path / "broken.h5")})
    with pytest.raises(KeyboardInterrupt):
        run(config, data, stop)
    resumed = summary(resume(config.run.out, data))
    assert resumed["flags"] == whole["flags"]


def test_learning_around_the_device_is_said(tmp_path):
    data = digits()
    honest = made({"name": "sim:random-features", "n_outputs": 32}, data, tmp_path, seeds=2)
    assert summary(honest)["doubts"] == []
    assert summary(honest)["chance"] == pytest.approx(np.bincount(data.y).max() / len(data.y))
    config = honest.config.with_(network={"skip": True}, run={"out": str(tmp_path / "skip.h5")})
    content = summary(run(config, data))
    assert len(content["doubts"]) == 2
    assert "something is learned around the device" in result_text(content)
