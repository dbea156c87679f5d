"""The contract: every rule takes a few steps on every kind of device, and spends its plan."""

import functools

import numpy as np
import pytest
from black_boxes import digits

from devices import Device, build_device, differentiable_of, nudgeable_of, programmable_of
from pnn import PhysicalClassifier, PhysicalRegressor
from pnn.rules import RULES, Rule, RuleClass
from pnn.rules.nudging import NudgingRule
from pnn.rules.perturbing import PerturbingRule

DATA = digits(3)
N_CLASSES, N_TRAIN, N_TEST = 3, 30, 4

#: Each physics, domain and kind of answer, small; 20 inputs have room for 16 pixels and 3 labels.
KINDS = {
    "random-features": "sim:random-features?n_outputs=24",
    "scattering-phase": "sim:scattering-medium?n_outputs=24",
    "scattering-amplitude": "sim:scattering-medium?n_outputs=24&encoding=amplitude",
    "scattering-bits": "sim:scattering-medium?n_outputs=24&encoding=binary",
    "multimode-fibre": "sim:multimode-fibre?n_outputs=24",
    "diffractive-stack": "sim:diffractive-stack?n_outputs=16&n_grid=16&layer_pixels=8&n_layers=1",
    "mesh-amplitude": "sim:interferometer-mesh?",
    "mesh-complex": "sim:interferometer-mesh?detection=complex",
    "mesh-phase": "sim:interferometer-mesh?encoding=phase",
    "kerr-fibre": "sim:kerr-fibre?n_outputs=16",
    "cavity-tones": "sim:acoustic-cavity?n_outputs=24&n_settle=100&n_window=512",
    "cavity-waveform": "sim:acoustic-cavity?n_outputs=24&input=waveform",
    "acoustic-grid": "sim:acoustic-grid?n_outputs=24&spacing=0.05&n_settle=0&n_window=512"
    "&sample_rate=12000",
    "metasurface-bits": "sim:metasurface?walls=80",
    "metasurface-complex": "sim:metasurface?walls=80&encoding=continuous&complex_answers=true",
    "metasurface-programmable": "sim:metasurface?walls=80&n_programmable=4",
    "delay-line": "sim:delay-line?n_outputs=16",
    "duffing-network": "sim:duffing-network?n_outputs=16",
    "pendulum-network": "sim:pendulum-network?n_outputs=16",
    "energy-network": "sim:energy-network?n_outputs=16&hidden=8",
    "dyadic-network": "sim:dyadic-network?n_outputs=16&hidden=8",
}
#: What makes rules quick where a few steps are enough.
QUICK = {name: {"twin_rows": 20, "kind": "affine"} for name in ("physics-aware", "in-silico")}

pytestmark = pytest.mark.filterwarnings(
    "ignore::pnn.encoders.WidthWarning", "ignore::pnn.rules.feedback.ScramblingWarning"
)


@functools.cache
def device_of(kind: str) -> Device:
    recipe = KINDS[kind]
    return build_device(f"{recipe}{'' if recipe.endswith('?') else '&'}n_inputs=20")


def refusal(rule: type[Rule], device: Device) -> str:
    """What a rule says of a device that is not for its class; nothing where it is."""
    if issubclass(rule, PerturbingRule) and device.spec.domain in ("bits", "codes"):
        return "changes drives a little"
    if rule.name == "ideal-backprop" and differentiable_of(device) is None:
        return "needs derivatives"
    nudgeable = nudgeable_of(device)
    if issubclass(rule, NudgingRule) and (nudgeable is None or nudgeable.dyadic != rule.dyadic):
        return "needs a device"
    return ""


def fitted(device, rule, **parameters):
    settings = {
        "width": 8,
        "epochs": 1,
        "batch_size": 8,
        "validation": 0.2,
        "random_state": 0,
        "rule_options": QUICK.get(rule, {}),
    } | parameters
    estimator = PhysicalClassifier(device, rule, **settings)
    return estimator.fit(DATA.X[:N_TRAIN], DATA.y[:N_TRAIN])


def check_steps(device, rule, **parameters):
    """Train for a few steps, test, and compare what was spent with what was planned."""
    before = dict(device.ledger.queries)
    estimator = fitted(device, rule, **parameters)
    scores = estimator.decision_function(DATA.X[-N_TEST:])
    assert np.isfinite(scores).all()
    intended = estimator.rule_.estimate(
        estimator.network_,
        estimator.settings(),
        n_train=estimator.n_train_,
        n_validation=estimator.n_validation_,
        n_test=N_TEST,
        n_classes=N_CLASSES,
    )
    spent = {p: device.ledger.queries[p] - before.get(p, 0) for p in intended}
    assert spent == intended
    assert not device.is_open
    return estimator


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_takes_a_few_steps_on_every_kind_of_device_of_its_class(kind, rule):
    device = device_of(kind)
    message = refusal(RULES[rule], device)
    if message:
        before = device.ledger.total
        with pytest.raises(ValueError, match=f"'{rule}'.* {message}"):
            fitted(device, rule)
        assert device.ledger.total == before
    else:
        check_steps(device, rule)


PROGRAMMABLE = (
    "diffractive-stack",
    "mesh-amplitude",
    "mesh-complex",
    "metasurface-programmable",
    "delay-line",
    "duffing-network",
    "pendulum-network",
    "energy-network",
    "dyadic-network",
)


@pytest.mark.parametrize("rule", [n for n, r in RULES.items() if "parameters" in r.can_train])
@pytest.mark.parametrize("kind", PROGRAMMABLE)
def test_every_rule_that_can_trains_the_parameters_inside_every_device_that_has_some(kind, rule):
    device = device_of(kind)
    if refusal(RULES[rule], device):
        pytest.skip("not for this device")
    inside = programmable_of(device)
    before = inside.parameters
    check_steps(device, rule, train=["readout", "parameters"], learning_rate=0.1)
    assert ((inside.parameters >= inside.parameter_low) & (before <= inside.parameter_high)).all()
    # One puts a digital layer in the device's place, the other may find nothing that is better.
    if rule not in ("digital-backprop", "particle-swarm"):
        assert not np.array_equal(inside.parameters, before)
    inside.program(before)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["delay-line", "pendulum-network"])
def test_devices_with_memory_are_followed_through_sequences_by_rules_that_ask_once(kind, rule):
    observe = "&drive=torque&observe=angle" if kind == "pendulum-network" else ""
    device = build_device(f"sim:{kind}?n_inputs=1&n_outputs=8&memory=true{observe}")
    x = np.random.default_rng(0).uniform(-1, 1, (60, 1))
    made = RULES[rule]()
    numbers = "classification" not in made.tasks
    target = np.roll(x[:, 0], 1) if numbers else (np.roll(x[:, 0], 1) > 0).astype(int)
    estimator = (PhysicalRegressor if numbers else PhysicalClassifier)(
        device, rule, width=8, epochs=2, washout=5, random_state=0
    )
    if made.measures_once and made.views(2, True) == 1:
        scores = estimator.fit(x, target).predict(x)
        assert len(scores) == 60
        assert device.ledger.total >= 2 * 60  # all steps, and once more for the prediction
    else:
        with pytest.raises(ValueError, match="cannot follow a sequence"):
            estimator.fit(x, target)
        assert device.ledger.total == 0


@pytest.mark.parametrize("rule", RULES)
def test_what_a_rule_cannot_train_is_an_error_before_the_first_query(rule):
    """Before the device the encoder, after it the readout, inside it the parameters."""
    kind = "dyadic-network" if getattr(RULES[rule], "dyadic", False) else "energy-network"
    device = device_of(kind)
    before = device.ledger.total
    can_train = RULES[rule].can_train
    for part in ("encoder", "readout", "parameters"):
        if part in can_train:
            continue
        with pytest.raises(ValueError, match=f"'{rule}' cannot train the {part}.*it can train"):
            fitted(device, rule, train=[*can_train, part])
    assert RULES[rule].rule_class is not RuleClass.OUTPUTS or can_train == ("readout",)
    assert device.ledger.total == before
