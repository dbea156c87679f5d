"""The metasurface cavity as physics and as a device."""

import copy
import pickle

import numpy as np
import pytest
import torch

from devices import Cached, Differentiable, LimitError, idealised, imperfections_on
from simulators.microwave.dipoles import channel
from simulators.microwave.metasurface_cavity import MetasurfaceCavity

SMALL = {"n_inputs": 8, "n_outputs": 12, "walls": 80, "receivers": 2}


def drives_for(cavity, rows, seed=0):
    drives = np.random.default_rng(seed).uniform(0, 1, (rows, cavity.spec.n_inputs))
    return np.round(drives) if cavity.spec.domain == "bits" else drives


def measured(cavity, drives):
    with cavity:
        return cavity.measure(drives)


def affine_r2(drives, answers):
    """Held out, pooled over the outputs."""
    n = int(0.7 * len(drives))
    design = np.column_stack([drives, np.ones(len(drives))])
    fit = np.linalg.lstsq(design[:n], answers[:n], rcond=None)[0]
    rest = answers[n:]
    return 1 - ((rest - design[n:] @ fit) ** 2).sum() / ((rest - rest.mean(axis=0)) ** 2).sum()


def participation(answers):
    spectrum = np.linalg.eigvalsh(np.corrcoef(answers.T))
    return spectrum.sum() ** 2 / (spectrum**2).sum()


# -- the physics -------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["bits", "continuous"])
@pytest.mark.parametrize("setting", ["measured-like", "rich"])
def test_equals_the_whole_system(encoding, setting):
    cavity = MetasurfaceCavity(
        encoding=encoding, setting=setting, n_programmable=5, frequencies=[0.93, 1.0]
    )
    drives = drives_for(cavity, 4)
    drives[0], drives[1] = 0.0, 1.0
    cavity.program([0.0, 0.3, 0.6, 0.9, 1.0])
    fast = cavity.channels(drives)
    assert fast.shape == (4, 2, 4, 2)
    for row, drive in enumerate(drives):
        for f, frequency in enumerate(cavity.frequencies):
            matrix = cavity.matrix(drive, frequency)
            assert matrix.shape == (275, 275)
            naive = channel(matrix, [2, 3, 4, 5], [0, 1])
            assert np.abs(fast[row, f] - naive).max() < 1e-10 * np.abs(naive).max()


def test_single_precision_is_single_precision():
    for encoding in ("bits", "continuous"):
        single, double = (
            MetasurfaceCavity(setting="rich", encoding=encoding, precision=p, ideal=True)
            for p in ("single", "double")
        )
        drives = drives_for(single, 20)
        got = measured(single, drives)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, measured(double, drives), atol=2e-6)


def test_matrix_is_symmetric_and_passive():
    cavity = MetasurfaceCavity(walls=100, setting="rich")
    for frequency in (0.9, 1.1):
        matrix = cavity.matrix(drives_for(cavity, 1)[0], frequency)
        np.testing.assert_array_equal(matrix, matrix.T)
        # Dense walls radiate like one: their J0 matrix is nearly singular, never negative.
        assert np.linalg.eigvalsh(matrix.imag).min() > -1e-12


def test_reciprocity():
    there = MetasurfaceCavity(**SMALL)
    back = MetasurfaceCavity(**SMALL | {
        "walls": there.walls, "elements": there.elements,
        "transmitters": there.receivers, "receivers": there.transmitters,
    })  # fmt: skip
    drives = drives_for(there, 5)
    np.testing.assert_allclose(
        there.channels(drives), back.channels(drives).transpose(0, 1, 3, 2), rtol=1e-10
    )


def test_bits_turn_the_channel_by_half_of_itself():
    # |H| of a fully stirred channel is Rayleigh distributed: std / mean = 0.52.
    cavity = MetasurfaceCavity(
        walls=140, setting="rich", receivers=4, transmitters=4, frequencies=[1.0], ideal=True
    )
    drives = drives_for(cavity, 1500)
    answers = measured(cavity, drives)
    depth = answers.std(axis=0) / answers.mean(axis=0)
    assert 0.5 < depth.mean() < 0.66  # 0.55
    assert affine_r2(drives, answers) < 0.27  # 0.23
    # The elements are narrow-band: far from f = 1 they do less.
    off = MetasurfaceCavity(walls=140, setting="rich", frequencies=[0.8], ideal=True)
    answers = measured(off, drives)
    assert (answers.std(axis=0) / answers.mean(axis=0)).mean() < 0.5 * depth.mean()


def delay_spread(**walls):
    """Root mean square width of the impulse response, in periods, over several channels."""
    frequencies = np.linspace(0.9, 1.1, 101)
    spreads = []
    for seed in range(2):
        cavity = MetasurfaceCavity(
            n_inputs=4, frequencies=frequencies, seed=seed, element_loss=0.0, **walls
        )
        answers = cavity.channels(np.zeros((1, 4)))[0].reshape(101, -1)
        power = np.abs(np.fft.ifft(answers * np.hanning(101)[:, None], axis=0))[:60] ** 2
        delay = (np.arange(60) / (101 * 0.002))[:, None]
        mean = (power * delay).sum(axis=0) / power.sum(axis=0)
        width = (power * (delay - mean) ** 2).sum(axis=0) / power.sum(axis=0)
        spreads.append(np.sqrt(width).mean())
    return np.mean(spreads)


def test_leakage_and_absorption_shorten_the_reverberation():
    leaky = [delay_spread(wall_frequency=f, wall_absorption=100.0) for f in (2.0, 10.0, 20.0, 45.0)]
    assert (np.diff(leaky) < 0).all()  # 40, 32, 19, 7 periods
    assert leaky[0] > 4 * leaky[-1]
    assert delay_spread(wall_frequency=10.0, wall_absorption=3000.0) < 0.6 * leaky[1]


def test_the_answer_is_not_linear_and_the_sum_of_two_bits_is_not_that_of_each():
    cavity = MetasurfaceCavity(**SMALL, setting="rich")
    none, one, other, both = cavity.channels(
        [[0] * 8, [1] + [0] * 7, [0, 1] + [0] * 6, [1, 1] + [0] * 6]
    )
    mixed = np.abs(both - one - other + none).mean()
    assert mixed > 0.05 * np.abs(both - none).mean()


@pytest.mark.parametrize(
    ("encoding", "setting", "low", "high"),
    [
        ("bits", "measured-like", 0.85, 0.95),  # 0.91
        ("continuous", "measured-like", 0.80, 0.95),  # 0.87
        ("bits", "rich", 0.0, 0.80),  # 0.36, participation 66 of 128
        ("continuous", "rich", 0.0, 0.80),  # 0.35, participation 64
    ],
)
def test_settings(encoding, setting, low, high):
    cavity = MetasurfaceCavity(encoding=encoding, setting=setting)
    drives = drives_for(cavity, 800)
    answers = measured(cavity, drives)
    assert low < affine_r2(drives, answers) < high
    if setting == "rich":
        assert participation(answers) > cavity.spec.n_outputs / 4


# -- the device --------------------------------------------------------------------------------


def test_outputs_are_frequencies_of_pairs():
    cavity = MetasurfaceCavity(**SMALL, complex_answers=True, ideal=True)
    drives = drives_for(cavity, 3)
    answers = measured(cavity, drives)
    assert answers.dtype == np.complex128
    channels = cavity.channels(drives)
    assert channels.shape == (3, 3, 2, 2)
    for k, (f, (r, t)) in enumerate(
        zip(cavity.output_frequencies, cavity.output_pairs, strict=True)
    ):
        at = list(cavity.frequencies).index(f)
        np.testing.assert_array_equal(answers[:, k], channels[:, at, r, t])
    magnitudes = measured(MetasurfaceCavity(**SMALL, ideal=True), drives)
    np.testing.assert_allclose(magnitudes, np.abs(answers))


def test_widths_follow_from_what_is_given():
    assert MetasurfaceCavity().spec.n_outputs == 128
    assert MetasurfaceCavity(frequencies=[1.0, 1.01]).spec.n_outputs == 16
    few = MetasurfaceCavity(n_outputs=9)
    assert len(few.frequencies) == 2
    assert few.output_frequencies[-1] == pytest.approx(1.1)
    assert MetasurfaceCavity(n_outputs=3).frequencies == pytest.approx([1.0])
    assert MetasurfaceCavity(encoding="continuous").spec.domain == "amplitude"
    assert MetasurfaceCavity(precision="single", complex_answers=True).spec.output_dtype == (
        "complex64"
    )


def test_noise_has_its_level_and_only_the_magnitude_is_seen():
    cavity = MetasurfaceCavity(**SMALL, noise=0.05, complex_answers=True)
    drives = np.zeros((3000, 8))
    error = measured(cavity, drives) - cavity.channels(drives[:1]).reshape(1, -1)
    sigma = 0.05 * cavity.reference_level
    assert np.sqrt((np.abs(error) ** 2).mean()) == pytest.approx(sigma, rel=0.02)
    assert np.abs((error**2).mean()) < 0.05 * sigma**2  # circular
    many = drives_for(cavity, 200)
    rms = np.sqrt((np.abs(cavity.channels(many)) ** 2).mean())
    assert cavity.reference_level == pytest.approx(rms, rel=0.1)


def test_ideal_and_seeds():
    drives = drives_for(MetasurfaceCavity(**SMALL), 4)
    first, again, other = (measured(MetasurfaceCavity(**SMALL, seed=s), drives) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.1 * first.mean()
    noisy = MetasurfaceCavity(**SMALL)
    assert imperfections_on(noisy)
    off = idealised(noisy)
    assert "ideal=True" in repr(off)
    assert not imperfections_on(off)
    with off:
        np.testing.assert_array_equal(off.measure(drives), off.measure(drives))


def test_a_batch_is_the_same_as_its_rows_one_by_one():
    for encoding in ("bits", "continuous"):
        whole, single = (MetasurfaceCavity(**SMALL, encoding=encoding) for _ in range(2))
        drives = drives_for(whole, 9)
        with whole, single:
            rows = np.concatenate([single.measure(row[None]) for row in drives])
            np.testing.assert_allclose(whole.measure(drives), rows, rtol=1e-12)
            assert whole.measure(drives[:0]).shape == (0, 12)


def test_more_receivers_only_add():
    few, many = (MetasurfaceCavity(n_inputs=8, receivers=r) for r in (2, 4))
    np.testing.assert_array_equal(few.receivers, many.receivers[:2])
    np.testing.assert_array_equal(few.transmitters, many.transmitters)
    drives = np.zeros((1, 8))
    # All receivers are dipoles of the cavity, so that others change what one hears.
    assert not np.allclose(few.channels(drives)[0, 0], many.channels(drives)[0, 0, :2])


def test_programmable_elements():
    cavity = MetasurfaceCavity(**SMALL, n_programmable=3, ideal=True, setting="rich")
    drives = drives_for(cavity, 3)
    before, state = measured(cavity, drives), cavity.state_id
    np.testing.assert_array_equal(cavity.parameters, [0.5, 0.5, 0.5])
    cavity.program([1.0, 0.0, 0.5])
    assert cavity.state_id != state
    after = measured(cavity, drives)
    assert np.abs(after - before).mean() > 0.01 * before.mean()
    np.testing.assert_allclose(cavity.resonances(drives)[:, 8:], [[1.0, 1.1, 1.05]] * 3)
    for twin in (copy.copy(cavity), pickle.loads(pickle.dumps(cavity))):
        np.testing.assert_array_equal(measured(twin, drives), after)
    with pytest.raises(LimitError, match=r"parameter 1 = 1\.5 is outside \[0, 1\]"):
        cavity.program([0.5, 1.5, 0.5])
    with Cached(cavity) as cached:
        cached.measure(drives, purpose="train")
        cavity.program([0.5, 0.5, 0.5])
        np.testing.assert_allclose(cached.measure(drives, purpose="train"), before, rtol=1e-12)


@pytest.mark.parametrize("encoding", ["bits", "continuous"])
@pytest.mark.parametrize("complex_answers", [False, True])
def test_derivatives(encoding, complex_answers):
    cavity = MetasurfaceCavity(
        **SMALL,
        encoding=encoding,
        complex_answers=complex_answers,
        n_programmable=2,
        ideal=True,
        setting="rich",
    )
    assert isinstance(cavity, Differentiable)
    drives = drives_for(cavity, 3)
    answers = cavity.forward(torch.tensor(drives))
    np.testing.assert_allclose(answers.numpy(), measured(cavity, drives), rtol=1e-9)
    inside = torch.rand(2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inside = 0.1 + 0.8 * inside
    inner = torch.tensor([0.2, 0.7], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        cavity.forward, (inside.requires_grad_(), inner.requires_grad_())
    )


def test_pictures():
    cavity = MetasurfaceCavity(**SMALL, frequencies=[0.95, 1.0, 1.05])
    drives = drives_for(cavity, 2)
    curves = cavity.picture(drives=drives, points=11)
    assert curves.values.shape == (2, 11)
    assert curves.y is None
    channels = np.abs(cavity.channels(drives))[:, :, 0, 0]
    np.testing.assert_allclose(curves.values[:, [0, 5, 10]], channels, rtol=1e-9)
    field = cavity.picture("field", drives, points=40)
    assert max(field.values.shape) == 40
    assert field.values.shape == (len(field.y), len(field.x))
    assert set(field.marks) == {"walls", "elements", "transmitters", "receivers"}
    assert np.isfinite(field.values).all()
    # The walls hold the field back: there is less of it outside than inside.
    outside = np.concatenate([field.values[0], field.values[-1]])
    middle = field.values[len(field.y) // 3 : -len(field.y) // 3]
    assert outside.mean() < 0.5 * middle[:, len(field.x) // 3 : -len(field.x) // 3].mean()
    one = MetasurfaceCavity(**SMALL | {"n_outputs": 3}).picture(points=3)
    np.testing.assert_allclose(one.x, [0.9, 1.0, 1.1])


def test_free_space_and_given_places():
    # No walls: one element between two antennas, by hand.
    cavity = MetasurfaceCavity(
        n_inputs=1, walls=[], elements=[[0.5, 0.5]], transmitters=[[0, 0]], receivers=[[1, 0]],
        frequencies=[1.0], ideal=True, setting="rich", complex_answers=True,
    )  # fmt: skip
    off, on = measured(cavity, [[0], [1]])[:, 0]
    assert off == pytest.approx(-0.194498 - 0.247757j, rel=1e-2)  # nearly the two dipoles alone
    assert abs(on - off) > 0.1 * abs(off)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_inputs": 0}, "n_inputs=0"),
        ({"n_outputs": 0}, "n_outputs=0"),
        ({"n_programmable": -1}, "n_programmable=-1"),
        ({"encoding": "phase"}, "encoding='phase' is not one of bits, continuous"),
        ({"setting": "poor"}, "setting='poor' is not one of measured-like, rich"),
        ({"precision": "half"}, "precision='half'"),
        ({"complex_answers": 1}, "complex_answers=1"),
        ({"ideal": "no"}, "ideal='no'"),
        ({"seed": -1}, "seed=-1"),
        ({"walls": 10}, "walls=10 must be a whole number of at least 40"),
        ({"walls": "stone"}, "walls='stone'"),
        ({"walls": [[0.0, 0.0]]}, r"elements=None must be positions of shape \(8, 2\)"),
        ({"walls": [], "elements": np.eye(8, 2) * 9}, "transmitters=2 must be positions"),
        ({"elements": [[0.0, 0.0]]}, "elements has 1 positions; .* ask for 8"),
        ({"elements": [0.0, 1.0]}, "elements="),
        ({"transmitters": 0}, "transmitters=0 must be a whole number of at least 1"),
        ({"receivers": [[0.0, np.nan]]}, "receivers=.* finite positions"),
        ({"receivers": 200}, "receivers=200 do not fit into a cavity of walls=80"),
        ({"n_inputs": 400}, r"two dipoles are 0\.0\d+ apart; at least 0\.05"),
        ({"transmitters": [[0, 0]], "receivers": [[0, 0]]}, "two dipoles are 0 apart"),
        ({"frequencies": [1.0, -1.0]}, "frequencies="),
        ({"frequencies": []}, "frequencies="),
        ({"frequencies": [1.0]}, "n_outputs=12 must be 1 to 4, for 1 frequencies of 4"),
        ({"band": (1.1, 0.9)}, r"band=\(1\.1, 0\.9\)"),
        ({"band": 1.0}, r"band=1\.0 must be two frequencies"),
        ({"on_frequency": 0.0}, r"on_frequency=0\.0"),
        ({"off_frequency": 1.0}, r"off_frequency=1\.0 must differ from on_frequency=1\.0"),
        ({"tuning": 0.0}, r"tuning=0\.0 from 0"),
        ({"tuning": -1.0}, r"tuning=-1\.0"),
        ({"chi": 0.0}, r"chi=0\.0"),
        ({"element_loss": -0.1}, r"element_loss=-0\.1"),
        ({"wall_frequency": 0.0}, r"wall_frequency=0\.0"),
        ({"wall_absorption": -1.0}, r"wall_absorption=-1\.0"),
        ({"noise": np.nan}, "noise=nan"),
    ],
)
def test_bad_arguments_are_named(change, named):
    with pytest.raises(ValueError, match=named):
        MetasurfaceCavity(**SMALL | change)


def test_bad_requests_are_named():
    cavity = MetasurfaceCavity(**SMALL)
    with pytest.raises(LimitError, match="neither 0 nor 1"):
        cavity.channels([[0.5] * 8])
    with pytest.raises(ValueError, match=r"frequency=-1\.0"):
        cavity.matrix(np.zeros(8), -1.0)
    for arguments, named in (
        ({"kind": "heat"}, "kind='heat' is not one of channel, field"),
        ({"points": 1}, "points=1"),
        ({"kind": "field", "frequency": 0.0}, r"frequency=0\.0"),
    ):
        with pytest.raises(ValueError, match=named):
            cavity.picture(**arguments)
