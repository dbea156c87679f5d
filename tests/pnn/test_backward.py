"""What carries an error back: gradients against finite differences, parts, costs, restoring."""

import numpy as np
import pytest
import torch
from black_boxes import Box, GlassBox, box_for, digits, slope

from pnn import PhysicalClassifier, PhysicalRegressor
from pnn.encoders import make_encoder
from pnn.layer import PhysicalLayer, PhysicalNetwork
from pnn.leaves import Leaves
from pnn.passage import drives_of
from pnn.rules import RULES, BackwardRule, RuleClass, make_rule
from pnn.training import Rows, Session, Training, Watch

DATA = digits()
N_CLASSES, N_TRAIN, N_TEST = 3, 120, 30
BACKWARD = [name for name, rule in RULES.items() if issubclass(rule, BackwardRule)]

pytestmark = pytest.mark.filterwarnings(
    "ignore::pnn.encoders.WidthWarning", "ignore::pnn.rules.feedback.ScramblingWarning"
)


def session(layers, *, parts=(), targets=None, n_classes=N_CLASSES):
    """A training that has not begun."""
    targets = DATA.y[:N_TRAIN] if targets is None else targets
    rows = Rows(
        DATA.X[:N_TRAIN], torch.from_numpy(targets), np.empty((0, 16)), torch.empty(0), n_classes
    )
    settings = Training(train=parts)
    generator = torch.Generator().manual_seed(0)
    return Session(PhysicalNetwork(layers), rows, settings, generator, Watch())


def started(rule, layers, **options):
    """The loss as a function of the leaves, and the leaves."""
    this = session(layers, **options)
    for device in this.network.devices:
        device.open()
    rule._start_network(this)
    for layer in layers:  # away from the ends of the drives' range, where gradients are cut
        for name, (gain, offset) in {"A": (0.4, 0.0), "c": (0.4, 0.3)}.items():
            if layer.encoder.trained:
                layer.encoder.trained[name] *= gain
                layer.encoder.trained[name] += offset
    rule.prepare(this)
    leaves = Leaves(layers, rule.parts(this.settings), rule.trained, rule.encoder_rate)
    everything = torch.arange(N_TRAIN)
    z = torch.from_numpy(this.rows.inputs).repeat(rule.copies, 1)

    def loss():
        said = rule._forward(leaves, z, None)
        return rule.loss(said, rule._targets(this, everything).repeat(rule.copies))

    return loss, leaves


def derivative(loss, leaf, direction, step=2e-3, before=lambda: None):
    """The derivative along a direction by central differences."""
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            leaf += sign * step * direction
        before()
        values.append(float(loss().detach()))
        with torch.no_grad():
            leaf -= sign * step * direction
    before()
    return (values[0] - values[1]) / (2 * step)


def two(**options):
    """Two layers around boxes of different widths."""
    masks, skip = options.pop("masks", 1), options.pop("skip", False)
    boxes = [GlassBox(20, 24, **options), GlassBox(12, 16, seed=1, **options)]
    return [
        PhysicalLayer(box, width=12, masks=masks, skip=skip, scaling=scaling, seed=i)
        for i, (box, scaling) in enumerate(zip(boxes, ("feature", "sigma"), strict=True))
    ]


# -- the true gradient -------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [("encoder", "readout"), ("readout",), ("parameters",)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"masks": 2},
        {"output_dtype": "complex128"},
        {"skip": True},
        {"domain": "phase", "low": -1.0, "high": 2.0},
        {"domain": "tones", "low": 0.5, "high": tuple(np.linspace(1, 3, 12))},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_ideal_backpropagation_is_the_derivative_of_the_measured_loss(options, parts):
    layers = two(**options) if options.get("domain") != "tones" else two(**options | {"high": 3.0})
    loss, leaves = started(make_rule("ideal-backprop"), layers, parts=parts)
    loss().backward()
    rng = torch.Generator().manual_seed(1)
    checked = 0
    trained = [(leaf, lambda: None) for own in leaves.of for leaf in own.values()]
    trained += [(inside.unit, inside.program) for inside in leaves.inside.values()]
    for leaf, before in trained:
        direction = torch.randn(leaf.shape, generator=rng, dtype=leaf.dtype)
        found = float((leaf.grad * direction).sum())
        expected = derivative(loss, leaf, direction, before=before)
        assert found == pytest.approx(expected, rel=0.05, abs=2e-3)
        checked += abs(expected) > 5e-3
    assert checked >= len(trained) / 2


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"domain": "phase", "high": 6.0},
        {"domain": "bits"},
        {"domain": "codes", "low": -8, "high": 7},
        {"domain": "tones", "low": 0.1, "high": 2.0},
        {"output_dtype": "complex64"},
    ],
    ids=lambda spec: "-".join(spec) or "plain",
)
@pytest.mark.parametrize("parts", [("encoder", "readout"), ("readout",)])
@pytest.mark.parametrize("masks", [1, 2])
def test_what_is_differentiated_is_what_is_measured(spec, parts, masks):
    layers = two(masks=masks, skip=True, **spec)
    rule = make_rule("ideal-backprop")
    this = session(layers, parts=parts)
    network, z = this.network, torch.from_numpy(this.rows.inputs)
    for device in network.devices:
        device.open()
    rule._start_network(this)
    said = rule._forward(Leaves(layers, parts, rule.trained, 0.1), z, None)[-1]
    scores = rule.predict(network, this.rows.inputs, N_CLASSES, "probe")
    # Bits and codes may jump where a number is rounded another way.
    assert (said.detach() - scores).abs().median() < 1e-5


def test_no_gradient_pushes_a_drive_further_out_of_its_range():
    layer = PhysicalLayer(Box(3, 4)).fit_encoder(np.random.default_rng(0).random((20, 3)))
    A, c = torch.eye(3), torch.tensor([-0.5, 0.0, 1.5], requires_grad=True)
    for sign, kept in ((1.0, [False, True, True]), (-1.0, [True, True, False])):
        c.grad = None
        inputs = torch.full((1, 3), 0.4, dtype=torch.float64)
        drives_of(layer.encoder, inputs, {"A": A, "c": c}).sum().mul(sign).backward()
        assert (c.grad != 0).tolist() == kept


@pytest.mark.parametrize("masks", [1, 2])
def test_a_thermometer_code_is_the_map_that_is_trained(masks):
    encoder = make_encoder("bits", Box(40, 4, domain="bits").spec, masks=masks, seed=1)
    features = np.random.default_rng(0).random((50, 12))
    before = encoder.fit(features, Box(40, 4, domain="bits").spec).encode(features)
    A, c = encoder.linear_map()
    encoder.trained = {"A": A, "c": c}
    assert (encoder.encode(features) != before).mean() < 0.01
    assert before.mean(axis=0).std() > 0.1  # levels differ


# -- estimates of it ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("ends", [False, True], ids=["inside", "ends"])
@pytest.mark.parametrize(("name", "wanted"), [("node-perturbation", 0.97), ("ffzero", 0.9)])
def test_directional_derivatives_are_right_on_the_average(name, wanted, ends, dtype):
    layer = PhysicalLayer(GlassBox(6, 10, low=-1.0, high=2.0, output_dtype=dtype), seed=0)
    rng = np.random.default_rng(0)
    drives = rng.uniform(-0.5, 1.5, (400, 6))
    if ends:  # two of three drives are at an end of their range
        drives = rng.uniform(-4, 5, (400, 6)).clip(-1, 2)
    with layer.device as device:
        answers = device.measure(drives)
        grad = torch.from_numpy(rng.standard_normal(answers.shape))
        if dtype == "complex128":
            grad = grad + 1j * torch.from_numpy(rng.standard_normal(answers.shape))
        rule = make_rule(name, step=0.02)
        rule.prepare(session([layer]))
        found = sum(rule.vjp(0, layer, drives, answers, grad)[0] for _ in range(300)) / 300
        expected, _ = make_rule("ideal-backprop").vjp(0, layer, drives, answers, grad)
    slope = float((found * expected).sum() / expected.square().sum())
    assert torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > wanted
    assert slope == pytest.approx(1, abs=0.1)


def kept(by_drives):
    """Keep what a rule says of each layer's drives."""
    seen = {}

    def vjp(index, layer, drives, *arguments):
        by, inside = by_drives(index, layer, drives, *arguments)
        seen[index] = by, drives
        return by, inside

    return seen, vjp


@pytest.mark.parametrize("name", ["forward-gradient", "likelihood-ratio"])
def test_losses_under_disturbances_give_the_gradient_at_the_ends_of_the_range_too(name):
    rule, layers, times = make_rule(name, step=0.02), two(), 400
    loss, leaves = started(rule, layers)
    spread = torch.Generator().manual_seed(3)
    for own in leaves.of:
        with torch.no_grad():
            own["c"] += 1.2 * (torch.rand(own["c"].shape, generator=spread) - 0.5)
    seen, rule.vjp = kept(rule.vjp)
    found = 0.0
    for _ in range(times):
        loss().backward()
        found = found + sum(seen[1][0].chunk(rule.copies)) / times
    exact, z = make_rule("ideal-backprop"), torch.from_numpy(DATA.X[:N_TRAIN])
    seen, exact.vjp = kept(exact.vjp)
    exact.loss(exact._forward(leaves, z, None), torch.from_numpy(DATA.y[:N_TRAIN])).backward()
    true, drives = seen[1]
    low, high = layers[1].device.spec.limits
    at_end = torch.from_numpy((drives <= low) | (drives >= high))
    assert 0.2 < at_end.double().mean() < 0.8
    for chosen in (at_end, ~at_end):
        slope = (found[chosen] @ true[chosen]) / true[chosen].square().sum()
        assert float(slope) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("masks", [1, 2])
@pytest.mark.parametrize("name", ["forward-gradient", "likelihood-ratio"])
def test_losses_under_disturbances_give_the_gradient_of_the_whole_network(name, masks):
    rule, layers = make_rule(name, step=0.02), two(masks=masks)
    loss, leaves = started(rule, layers)
    times = 400
    for _ in range(times):
        loss().backward()
    found = [own["A"].grad / times for own in leaves.of]
    for own in leaves.of:
        own["A"].grad = None
    exact, z = make_rule("ideal-backprop"), torch.from_numpy(DATA.X[:N_TRAIN])
    exact.loss(exact._forward(leaves, z, None), torch.from_numpy(DATA.y[:N_TRAIN])).backward()
    for estimate, own in zip(found, leaves.of, strict=True):
        true = own["A"].grad.flatten()
        assert torch.cosine_similarity(estimate.flatten(), true, dim=0) > 0.85
        assert float((estimate.flatten() @ true) / true.square().sum()) == pytest.approx(1, abs=0.2)


def test_guesses_of_local_losses_give_the_part_of_the_gradient_along_them():
    rule, layers = make_rule("guided-forward-gradient", step=0.005), two()
    targets = torch.from_numpy(DATA.y[:N_TRAIN])
    rule.targets = targets.repeat(3)
    loss, leaves = started(rule, layers)
    exact, found, times = make_rule("ideal-backprop"), 0.0, 300
    exact.read = rule.read
    seen, rule.vjp = kept(rule.vjp)
    for _ in range(times):
        loss().backward()
        found = found + seen[1][0][:N_TRAIN].numpy() * 3 / times  # the mean is over three copies
    seen, exact.vjp = kept(exact.vjp)
    z = torch.from_numpy(DATA.X[:N_TRAIN])
    exact.loss(exact._forward(leaves, z, None), targets).backward()
    low, high = layers[1].device.spec.limits
    true, along = seen[1][0].numpy() * (high - low), rule.injected[1]
    n = along.shape[1]
    expected = (true * along).sum(axis=1, keepdims=True) * along / n / (high - low)
    slope = (found * expected).sum() / (expected**2).sum()
    assert slope == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose((along**2).mean(axis=1), 1, rtol=0.2)


# -- parts -------------------------------------------------------------------------------------


def fitted(device, rule, *, y=DATA.y[:N_TRAIN], **parameters):
    settings = {"width": 16, "epochs": 3, "batch_size": 32, "validation": 0, "random_state": 0}
    estimator = PhysicalClassifier(device, rule, **settings | parameters)
    return estimator.fit(DATA.X[:N_TRAIN], y)


@pytest.mark.parametrize("name", BACKWARD)
def test_with_the_readout_alone_nothing_else_changes(name):
    box = box_for(name, 19, 24)
    layers = fitted(box, name, layers=2, train=["readout"]).network_.layers
    assert not any(layer.encoder.trained for layer in layers)
    assert not any(layer.trains_parameters for layer in layers)


@pytest.mark.parametrize("name", BACKWARD)
def test_with_the_encoder_alone_the_readout_stays_as_it_began(name):
    layers = {
        epochs: fitted(box_for(name, 19, 24), name, train=["encoder"], epochs=epochs)
        .network_.layers[0]
        .snapshot()
        for epochs in (1, 3)
    }
    for key, values in layers[1].items():
        same = np.array_equal(values, layers[3][key])
        assert same == (not key.startswith("encoder")), key


def test_parameters_are_trained_inside_their_limits_and_kept():
    box = GlassBox(19, 24)
    start = box.parameters
    estimator = fitted(box, "ideal-backprop", train=["parameters"], layers=2, learning_rate=3.0)
    assert np.abs(box.parameters - start).max() > 0.1
    assert (box.parameters == box.parameter_low).any() or (
        box.parameters == box.parameter_high
    ).any()
    first, second = (layer.state()["parameters"] for layer in estimator.network_.layers)
    np.testing.assert_array_equal(first, second)  # one device, one set of parameters
    np.testing.assert_array_equal(first, box.parameters)


@pytest.mark.parametrize("name", BACKWARD)
def test_what_a_rule_cannot_train_is_refused_before_the_first_query(name):
    box = Box(19, 24)
    if RULES[name].rule_class is RuleClass.GRADIENT and name != "digital-backprop":
        with pytest.raises(ValueError, match=f"'{name}' needs derivatives, and box offers none"):
            fitted(box, name)
        return
    if RULES[name].rule_class is RuleClass.SPECIAL:
        with pytest.raises(ValueError, match=f"'{name}' needs a device .*, which box is not; take"):
            fitted(box, name)
        return
    if name != "digital-backprop":
        with pytest.raises(ValueError, match=f"'{name}' cannot train the parameters"):
            fitted(box, name, train=["parameters"])
    assert box.ledger.total == 0


def test_parameters_of_a_device_without_any_are_refused():
    class Clear(Box):
        def forward(self, drives):
            return drives

    box = Clear(19, 24)
    with pytest.raises(ValueError, match="box has no parameters inside that could be trained"):
        fitted(box, "ideal-backprop", train=["parameters"])
    assert box.ledger.total == 0


@pytest.mark.parametrize("domain", ["bits", "codes"])
def test_small_changes_of_drives_that_have_none_are_refused(domain):
    perturbing = [n for n in BACKWARD if RULES[n].rule_class is RuleClass.PERTURB]
    for name in perturbing:
        box = Box(19, 24, domain=domain)
        with pytest.raises(ValueError, match=f"changes drives a little, .*domain is '{domain}'"):
            fitted(box, name)
        assert box.ledger.total == 0


# -- learning ----------------------------------------------------------------------------------


def accuracy(device, rule, **parameters):
    settings = {"width": 32, "epochs": 15, "batch_size": 32, "random_state": 0, "threads": 1}
    estimator = PhysicalClassifier(device, rule, **settings | parameters)
    estimator.fit(DATA.X[:360], DATA.y[:360])
    return estimator.score(DATA.X[360:], DATA.y[360:]), estimator


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", BACKWARD)
def test_rules_learn_with_what_their_class_offers(name, layers):
    box = box_for(name, 19, 32)
    found, _ = accuracy(box, name, layers=layers)
    assert found > 0.8
    assert not box.is_open


@pytest.mark.parametrize("name", BACKWARD)
def test_rules_learn_from_complex_answers_with_masks_and_skip(name):
    special = RULES[name].rule_class is RuleClass.SPECIAL  # states of rest are real
    box = box_for(name, 19, 12, **({} if special else {"output_dtype": "complex64"}))
    assert accuracy(box, name, masks=2, skip=True)[0] > 0.8


@pytest.mark.parametrize("name", [n for n in BACKWARD if "regression" in RULES[n].tasks])
def test_numbers_are_learned_too(name):
    data = slope()
    settings = {"width": 16, "epochs": 40, "batch_size": 16, "random_state": 0}
    estimator = PhysicalRegressor(box_for(name, 6, 32), name, **settings)
    estimator.fit(data.X[:90], data.y[:90])
    assert estimator.score(data.X[90:], data.y[90:]) > 0.75


def test_a_trained_encoder_beats_one_that_is_not():
    found = [
        accuracy(GlassBox(19, 6), "ideal-backprop", train=train, epochs=30)[0]
        for train in (["readout"], ["encoder", "readout"], ["parameters", "readout"])
    ]
    assert found[1] > found[0] + 0.02
    assert found[2] > found[0]


def test_training_keeps_the_best_state_and_stops():
    y = DATA.y[:N_TRAIN].copy()
    y[::2] = np.random.default_rng(0).permutation(y[::2])
    options = {"validation": 0.3, "check_every": 1, "patience": 3, "epochs": 60}
    estimator = fitted(GlassBox(19, 24), "ideal-backprop", y=y, learning_rate=0.1, **options)
    losses = [row["validation_loss"] for row in estimator.history_]
    assert len(losses) == np.argmin(losses) + 4 < 60


def test_a_training_that_explodes_says_which_setting_to_lower():
    with pytest.raises(FloatingPointError, match=r"'dfa': the loss is (nan|inf); use a l"):
        PhysicalRegressor(GlassBox(6, 24), "dfa", learning_rate=1e30).fit(slope().X, slope().y)


# -- cost, keeping -----------------------------------------------------------------------------


@pytest.mark.parametrize("train", [(), ("readout",), ("encoder",)])
@pytest.mark.parametrize("name", BACKWARD)
def test_the_estimate_is_what_is_spent_unless_training_stops_early(name, train):
    box = box_for(name, 19, 24)
    options = {"validation": 0.2, "check_every": 2, "patience": 100, "masks": 2, "train": train}
    estimator = fitted(box, name, layers=3, **options)
    estimator.predict(DATA.X[:N_TEST])
    expected = estimator.rule_.estimate(
        estimator.network_,
        estimator.settings(),
        n_train=estimator.n_train_,
        n_validation=estimator.n_validation_,
        n_test=N_TEST,
        n_classes=N_CLASSES,
    )
    assert expected == {p: box.ledger.queries[p] for p in ("train", "validation", "test")}
    assert estimator.multiply_adds_ > 0


@pytest.mark.parametrize("name", BACKWARD)
def test_what_was_learned_is_restored(name):
    options = {"layers": 2, "masks": 2}
    estimator = fitted(box_for(name, 19, 24), name, **options)
    before = estimator.decision_function(DATA.X[:N_TEST])
    state = {key: np.array(values) for key, values in estimator.state().items()}
    again = PhysicalClassifier(box_for(name, 19, 24), name, random_state=0, width=16, **options)
    again.classes_ = estimator.classes_
    again.restore(state, 16, N_CLASSES)
    np.testing.assert_array_equal(again.decision_function(DATA.X[:N_TEST]), before)
