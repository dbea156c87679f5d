import math
import pickle

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from devices import DeviceError, LimitError
from simulators import AcousticCavity

# Four modes (191, 245, 310, 381 Hz), for tests that need no more.
SMALL = {"n_inputs": 3, "n_outputs": 6, "top_frequency": 390.0, "band": (200.0, 380.0)}


def random_drives(cavity, rows, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (rows, cavity.spec.n_inputs))


# -- the physics -------------------------------------------------------------------------------


def test_mode_frequencies_of_the_box():
    # c / (2 Lx) = 171.5 Hz and c / (2 Ly) = 343 Hz for a box of 1 m by 0.5 m; up to 550 Hz these
    # are all there is, and (2, 0) and (0, 1) coincide.
    cavity = AcousticCavity(
        length_x=1.0, length_y=0.5, top_frequency=550.0, band=(200.0, 500.0), n_inputs=4
    )
    expected = {
        (1, 0): 171.5,
        (2, 0): 343.0,
        (0, 1): 343.0,
        (1, 1): 171.5 * math.sqrt(5),
        (2, 1): 171.5 * math.sqrt(8),
        (3, 0): 514.5,
    }
    found = dict(
        zip(map(tuple, cavity.mode_numbers.tolist()), cavity.mode_frequencies, strict=True)
    )
    assert found == pytest.approx(expected)
    assert (np.diff(cavity.mode_frequencies) >= 0).all()


def test_mode_shapes_are_orthonormal_and_rigid_at_the_walls():
    cavity = AcousticCavity(n_inputs=4, n_outputs=4)
    # Midpoints of a 20 by 20 grid: sums of cosines up to order 39 are exact there.
    grid = (np.arange(20) + 0.5) / 20
    points = np.stack(np.meshgrid(0.9 * grid, 0.7 * grid), axis=-1).reshape(-1, 2)
    shapes = cavity.mode_shapes(points)
    np.testing.assert_allclose(shapes.T @ shapes / 400, np.eye(shapes.shape[1]), atol=1e-12)
    # No velocity through the wall x = 0: the shape is even there.
    step = 1e-4
    slope = np.diff(cavity.mode_shapes([[0.0, 0.2], [step, 0.2]]), axis=0) / step
    assert np.abs(slope).max() < 0.2  # against m pi / Lx = 3.5 to 24 inside the box


def reference(cavity, drive, quality, quadratic, cubic, times):
    """Solve the equations of the docstring with SciPy, from the cavity's public numbers only."""
    w = 2 * np.pi * cavity.mode_frequencies
    n = len(drive)
    phase = np.pi * np.arange(n) ** 2 / n
    at_speaker = cavity.mode_shapes(cavity.speakers)[0]
    at_scatterers = cavity.mode_shapes(cavity.scatterers)
    p0 = cavity.reference_pressure

    def slope(t, state):
        q, v = np.split(state, 2)
        played = np.sum(drive * np.cos(2 * np.pi * cavity.tone_frequencies * t + phase))
        p = at_scatterers @ q
        back = at_scatterers.T @ (quadratic * p**2 / p0 + cubic * p**3 / p0**2)
        force = cavity.gain * at_speaker * played - cavity.coupling * back
        return np.concatenate([v, force - w / quality * v - w**2 * q])

    solved = solve_ivp(
        slope, (0, times[-1]), np.zeros(2 * len(w)), "DOP853", times, rtol=1e-10, atol=1e-10
    )
    return cavity.mode_shapes(cavity.microphones) @ solved.y[: len(w)]


def test_agrees_with_scipy_and_is_of_second_order_in_the_step():
    drive, strength = np.array([1.0, 0.7, 0.9]), {"quadratic": 0.5, "cubic": 1.0, "quality": 15.0}
    steps, errors = 320, []
    for finer in (1, 2, 4):
        cavity = AcousticCavity(
            **SMALL, **strength, sample_rate=16_000.0 * finer, n_window=1024 * finer, ideal=True
        )
        played = cavity.waveforms(drive[None])[..., : steps * finer]
        found = cavity.simulate(played)[0, :, ::finer]
        if finer == 1:
            exact = reference(cavity, drive, times=np.arange(steps) / 16_000, **strength)
            assert np.std(exact) > 1  # the row is loud: the scatterers take part
            linear = AcousticCavity(**SMALL, quality=15.0, quadratic=0.0, cubic=0.0, ideal=True)
            assert np.std(linear.simulate(played)[0] - exact) > 0.05 * np.std(exact)
        errors.append(np.std(found - exact) / np.std(exact))
    assert errors[0] < 1e-3
    # Halving the step quarters the error; higher orders change the ratio by a few per cent.
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_amplitude_decays_to_1_over_e_in_quality_periods_over_pi():
    # One mode, at 190.6 Hz, rung by one sample. The peaks are found to the nearest of 84 samples
    # per period, at which a cosine is at least 0.9993.
    quality = 30.0
    cavity = AcousticCavity(
        n_inputs=1,
        n_outputs=1,
        top_frequency=200.0,
        band=(180.0, 200.0),
        quality=quality,
        ideal=True,
    )
    (f,) = cavity.mode_frequencies
    assert f == pytest.approx(343 / 1.8)
    impulse = np.zeros((1, 1, 4000))
    impulse[..., 0] = 1
    p = np.abs(cavity.simulate(impulse)[0, 0])
    peaks = 1 + np.flatnonzero((p[1:-1] > p[:-2]) & (p[1:-1] >= p[2:]))
    rate, _ = np.polyfit(peaks / 16_000, np.log(p[peaks]), 1)
    assert -1 / rate == pytest.approx(quality / (math.pi * f), rel=5e-3)


def test_superposition_holds_without_scatterers_and_fails_with_them():
    for cubic, holds in ((0.0, True), (0.5, False)):
        cavity = AcousticCavity(**SMALL, quadratic=0.0, cubic=cubic)
        a, b = cavity.waveforms([[1.0, 0.2, 0.0], [0.0, 0.5, 1.0]])[:, None]
        together, apart = cavity.simulate(a + b), cavity.simulate(a) + cavity.simulate(b)
        error = np.std(together - apart) / np.std(together)
        assert (error < 1e-12) if holds else (error > 0.01)


def test_reciprocity_holds_without_scatterers_and_fails_with_them():
    here, there = [[0.1, 0.15]], [[0.62, 0.4]]
    for cubic, holds in ((0.0, True), (0.5, False)):
        kinds = SMALL | {"n_outputs": 3, "quadratic": 0.0, "cubic": cubic}
        forth = AcousticCavity(**kinds, speakers=here, microphones=there)
        back = AcousticCavity(**kinds, speakers=there, microphones=here)
        played = forth.waveforms([[1.0, 1.0, 1.0]])
        heard = forth.simulate(played)
        error = np.std(heard - back.simulate(played)) / np.std(heard)
        assert (error < 1e-12) if holds else (error > 0.01)


@pytest.mark.parametrize(
    ("strength", "order"),
    [({"quadratic": 0.0, "cubic": 0.1}, 3), ({"quadratic": 0.1, "cubic": 0.0}, 2)],
)
def test_harmonics_grow_with_their_power_of_the_drive(strength, order):
    # The next order adds a share that grows with the square of the drive: 1.5 % from 0.05 to 0.1
    # was seen, so 0.06 % from 0.01 to 0.02. 16,384 samples at Q = 20 are 30 decay times of the
    # lowest mode, which leave nothing of the transient.
    cavity = AcousticCavity(
        n_inputs=1,
        n_outputs=1,
        band=(200.0, 1200.0),
        quality=20.0,
        n_settle=16_384,
        ideal=True,
        **strength,
    )
    heard = cavity.simulate(cavity.waveforms([[0.01], [0.02]]))[:, 0, 16_384:]
    spectrum = np.abs(np.fft.rfft(heard)) * 2 / cavity.n_window
    tone = round(cavity.tone_frequencies[0] * cavity.n_window / cavity.sample_rate)
    soft, loud = spectrum[:, order * tone]
    assert soft > 1e3 * spectrum[0].min()  # it stands out of the rounding
    assert loud / soft == pytest.approx(2**order, rel=2e-3)
    assert spectrum[1, tone] / spectrum[0, tone] == pytest.approx(2, rel=2e-3)


def test_answers_are_of_order_one():
    # Over a grid of places, which is exact for these modes, the mean square of the answers to
    # full tones is 3: uniform amplitudes have a mean square of 1/3. What is left is the error of
    # the step, and what has not settled after 8,192 samples.
    x, y = 0.9 * (np.arange(3) + 0.5) / 3, 0.7 * (np.arange(3) + 0.5) / 3
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    power = []
    for place in places:
        kinds = SMALL | {"n_outputs": 27, "quadratic": 0.0, "cubic": 0.0, "n_settle": 8192}
        with AcousticCavity(**kinds, speakers=[place], microphones=places, ideal=True) as cavity:
            power.append(np.mean(cavity.measure(np.ones((1, 3))) ** 2))
    assert np.mean(power) == pytest.approx(3, rel=0.01)


def test_the_default_cavity_is_weakly_nonlinear():
    def affine_r2(**strength):
        with AcousticCavity(ideal=True, **strength) as cavity:
            drives = random_drives(cavity, 480)
            answers = cavity.measure(drives)
        table = np.column_stack([drives, np.ones(480)])
        fit = np.linalg.lstsq(table[:360], answers[:360], rcond=None)[0]
        left = answers[360:] - table[360:] @ fit
        return 1 - np.sum(left**2) / np.sum((answers[360:] - answers[:360].mean(axis=0)) ** 2)

    linear, default, rich = (
        affine_r2(quadratic=0.0, cubic=0.0),
        affine_r2(),
        affine_r2(quadratic=1.0, cubic=1.0),
    )
    # Not quite 1 for the linear cavity: magnitudes, of tones that have not quite settled.
    assert linear > 0.995
    assert 0.9 < default < linear - 0.005
    assert rich < default - 0.05


def test_newman_phases_keep_the_crest_low():
    # Twenty equal tones: 6.3 times the rms at zero phases, below 2 at Newman's.
    cavity = AcousticCavity(n_inputs=20, n_outputs=20, band=(203.0, 501.0))
    assert np.diff(cavity.tone_frequencies) == pytest.approx(15.625)
    (wave,) = cavity.waveforms(np.ones((1, 20)))[:, 0]
    assert np.abs(wave).max() / wave.std() < 2


# -- failing loudly ----------------------------------------------------------------------------


def test_a_row_that_diverges_is_an_error_with_the_rows_before_it():
    # A softening scatterer pulls harder than the box pushes back once the pressure is high.
    with AcousticCavity(**SMALL, quadratic=0.0, cubic=-20.0, ideal=True) as cavity:
        drives = np.array([[0.0, 0.0, 0.0], [0.01, 0.02, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
        with pytest.raises(
            DeviceError, match=r"cubic=-20.* Lower the drive.*row 2 failed"
        ) as caught:
            cavity.measure(drives)
        assert caught.value.failed_row == 2
        np.testing.assert_array_equal(caught.value.rows, cavity.measure(drives[:2]))
        assert cavity.ledger.total == 4  # the two kept rows, and the two measured after that
        with pytest.raises(DeviceError, match="grew beyond"):
            cavity.simulate(cavity.waveforms(drives[2:3]))


def test_a_divergence_in_a_later_block_keeps_the_earlier_ones():
    with AcousticCavity(quadratic=0.0, cubic=-20.0, ideal=True, n_settle=512) as cavity:
        drives = np.zeros((300, 64))
        drives[290:] = 1.0
        with pytest.raises(DeviceError, match="row 290 failed") as caught:
            cavity.measure(drives)
        assert caught.value.rows.shape == (290, 128)
        assert (caught.value.rows == 0).all()


def test_a_step_too_long_is_refused_with_both_numbers():
    with pytest.raises(
        ValueError, match=r"sample_rate=6000 .* 4\.62 samples per period .*=1300 Hz; at least 6 are"
    ):
        AcousticCavity(sample_rate=6000.0)


def test_tones_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"n_inputs=65 tones .* has 64 bins of 15\.6"):
        AcousticCavity(n_inputs=65, n_window=1024)


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n_inputs": 0}, "at least 1"),
        ({"n_outputs": 1.5}, "at least 1"),
        ({"quadratic": float("nan")}, "finite"),
        ({"cubic": float("inf")}, "finite"),
        ({"quality": 0.5}, "above 0.5"),
        ({"length_x": 0.0}, "above 0"),
        ({"length_y": -1.0}, "above 0"),
        ({"speed_of_sound": 0}, "above 0"),
        ({"top_frequency": -1.0}, "above 0"),
        ({"band": 200.0}, "two frequencies"),
        ({"band": (500.0, 300.0)}, "lowest < highest"),
        ({"n_window": 2}, "at least 4"),
        ({"n_settle": -1}, "at least 0"),
        ({"speakers": 0}, "at least 1"),
        ({"scatterers": "four"}, r"shape \(count, 2\)"),
        ({"noise": -0.1}, "at least 0"),
        ({"seed": True}, "at least 0"),
        ({"ideal": "no"}, "True or False"),
    ],
)
def test_bad_arguments_are_named_with_value_and_range(argument, allowed):
    ((name, value),) = argument.items()
    shown = repr(value).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"AcousticCavity: {name}={shown} .*{allowed}"):
        AcousticCavity(**argument)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"top_frequency": 150.0}, r"top_frequency=150 .* lowest mode, 190\.556 Hz"),
        ({"band": (200.0, 1400.0)}, "above top_frequency=1300 Hz"),
        ({"scatterers": [[0.2, 0.8]]}, r"scatterers has a position \[0.2, 0.8\] m outside"),
        ({"microphones": [[0.2, 0.3]]}, "microphones has 1 positions; .* need 2"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        AcousticCavity(**argument)


def test_waveforms_are_checked():
    cavity = AcousticCavity(**SMALL)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 10\), expected \(batch, 1, n_samples\)"):
        cavity.simulate(np.zeros((1, 2, 10)))
    with pytest.raises(ValueError, match="finite"):
        cavity.simulate(np.full((1, 1, 10), np.nan))
    with pytest.raises(LimitError, match="nothing was driven"):
        cavity.waveforms([[0.0, 0.5, 1.5]])


# -- as a device -------------------------------------------------------------------------------


def test_answers_are_the_tones_in_the_pressure_at_the_microphones():
    kinds = {"n_inputs": 4, "n_outputs": 10, "ideal": True}
    with AcousticCavity(**kinds) as cavity:
        drives = random_drives(cavity, 3)
        answers = cavity.measure(drives)
    heard = cavity.simulate(cavity.waveforms(drives))
    assert heard.shape == (3, 3, cavity.n_settle + cavity.n_window)
    time = np.arange(cavity.n_window) / cavity.sample_rate
    for k, (f, mic) in enumerate(
        zip(cavity.output_frequencies, cavity.output_microphones, strict=True)
    ):
        tone = heard[:, mic, cavity.n_settle :] @ np.exp(-2j * np.pi * f * time)
        np.testing.assert_allclose(answers[:, k], np.abs(tone) * 2 / cavity.n_window, rtol=1e-9)
    # All tones of two microphones, and the outer two tones of a third.
    first, *_, last = tones = cavity.tone_frequencies
    np.testing.assert_array_equal(cavity.output_frequencies, [*tones, *tones, first, last])
    assert cavity.output_microphones.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(("n", "n_window"), [(1, 1024), (20, 1024), (64, 1024), (65, 2048)])
def test_tones_lie_on_bins_of_a_window_that_is_long_enough(n, n_window):
    cavity = AcousticCavity(n_inputs=n, n_outputs=1)
    assert cavity.n_window == n_window
    bins = cavity.tone_frequencies * n_window / 16_000
    np.testing.assert_allclose(bins, np.round(bins), atol=1e-9)
    assert len(np.unique(np.round(bins))) == n
    assert cavity.tone_frequencies.min() >= 200
    assert cavity.tone_frequencies.max() <= 1200
    assert cavity.spec.seconds_per_query == pytest.approx((1024 + n_window) / 16_000)


def test_loudspeakers_share_the_tones():
    cavity = AcousticCavity(n_inputs=4, n_outputs=4, speakers=2)
    played = cavity.waveforms(np.eye(4))
    loud = np.abs(played).max(axis=2)
    np.testing.assert_allclose(loud, [[1, 0], [0, 1], [1, 0], [0, 1]], atol=0.01)


def test_a_batch_is_the_same_as_single_rows():
    # 300 rows are more than one block.
    with AcousticCavity(ideal=True, n_settle=256) as cavity:
        drives = random_drives(cavity, 300)
        batch = cavity.measure(drives)
        for row in (0, 239, 240, 299):
            np.testing.assert_allclose(
                batch[row], cavity.measure(drives[row : row + 1])[0], rtol=1e-9, atol=1e-9
            )
        assert cavity.measure(drives[:0]).shape == (0, 128)


def test_more_outputs_only_add_microphones():
    with AcousticCavity(**SMALL, ideal=True) as few:
        drives = random_drives(few, 2)
        answers = few.measure(drives)
    with AcousticCavity(**SMALL | {"n_outputs": 15}, ideal=True) as many:
        np.testing.assert_allclose(many.measure(drives)[:, :6], answers, rtol=1e-9)


def test_noise_of_the_microphones():
    # A silent row reads |complex normal| with noise sqrt(2 / n_window) in each quadrature; the
    # mean square of 18,000 answers is known to 1 / sqrt(18,000) = 0.75 %.
    with AcousticCavity(**SMALL, noise=0.5, n_settle=0) as cavity:
        quiet = cavity.measure(np.zeros((3000, 3)))
    assert np.mean(quiet**2) == pytest.approx(2 * 0.5**2 * 2 / 1024, rel=0.04)
    with AcousticCavity(**SMALL, noise=0.5, n_settle=0, ideal=True) as cavity:
        assert (cavity.measure(np.zeros((3, 3))) == 0).all()


def test_same_seed_same_answers_but_noise_is_new_in_each_measurement():
    def answers(seed):
        with AcousticCavity(**SMALL, seed=seed) as cavity:
            drives = random_drives(cavity, 4)
            return np.stack([cavity.measure(drives), cavity.measure(drives)])

    once = answers(1)
    np.testing.assert_array_equal(once, answers(1))
    sigma = 0.1 * math.sqrt(2 / 1024)
    assert 0 < np.abs(once[0] - once[1]).max() < 10 * sigma
    assert np.abs(once - answers(2)).max() > 20 * sigma  # another cavity


def test_a_pickled_cavity_is_the_same_cavity():
    cavity = AcousticCavity(**SMALL, speakers=[[0.1, 0.2]], scatterers=np.full((1, 2), 0.3), seed=4)
    copy = pickle.loads(pickle.dumps(cavity))
    drives = random_drives(cavity, 2)
    with cavity, copy:
        np.testing.assert_array_equal(copy.measure(drives), cavity.measure(drives))
