import itertools
import math

import numpy as np
import pytest
from richness import figures

from devices import DeviceError, LimitError
from simulators import AcousticCavity
from simulators.acoustic.modes import ModalSolver
from simulators.acoustic.tones import newman_phases, tone_bins
from simulators.acoustic.transducers import Transducers

# Four modes (191, 245, 310, 381 Hz), for tests that need no more.
SMALL = {"n_inputs": 4, "n_outputs": 8, "top_frequency": 390.0, "band": (200.0, 380.0)}
LINEAR = {"quadratic": 0.0, "cubic": 0.0}


def random_drives(cavity, rows, seed=0):
    low, high = cavity.spec.limits
    return np.random.default_rng(seed).uniform(low, high, (rows, cavity.spec.n_inputs))


# -- tones -------------------------------------------------------------------------------------


def test_newman_phases_keep_the_crest_low():
    time, tones = np.arange(4096) / 4096, np.arange(30, 50)
    crest = {}
    for name, phases in (("zero", np.zeros(20)), ("newman", newman_phases(20))):
        wave = np.cos(2 * np.pi * np.outer(time, tones) + phases).sum(axis=1)
        crest[name] = np.abs(wave).max() / wave.std()
    assert crest["zero"] == pytest.approx(math.sqrt(40), rel=1e-3)  # 6.3
    assert crest["newman"] < 2


def products(bins, order):
    """Return all products of an order but those that cancel down to one of their own tones."""
    found = set()
    for some in itertools.combinations_with_replacement(bins, order):
        for signs in itertools.product((1, -1), repeat=order):
            left = [b for b, sign in zip(some, signs, strict=True) if sign > 0]
            for b, sign in zip(some, signs, strict=True):
                if sign < 0 and b in left:
                    left.remove(b)  # + b - b: the tone's own
                    break
            else:
                found.add(abs(sum(b * s for b, s in zip(some, signs, strict=True))))
    return found


def test_grids_keep_products_away_from_the_tones():
    uniform, odd, sparse = (
        tone_bins(10, 20, last, grid)
        for grid, last in (("uniform", 200), ("odd", 400), ("sparse", 400))
    )
    assert products(uniform, 2) & set(uniform.tolist())
    assert not products(odd, 2) & set(odd.tolist())
    assert products(odd, 3) & set(odd.tolist())
    assert not (products(sparse, 2) | products(sparse, 3)) & set(sparse.tolist())
    for bins in (uniform, odd, sparse):
        assert len(set(bins)) == 10
        assert 20 <= bins.min() < bins.max() <= 400
    assert tone_bins(10, 20, 30, "odd") is None
    assert tone_bins(10, 20, 60, "sparse") is None


def test_odd_tones_hear_nothing_of_a_quadratic_response():
    # Softly driven, so that the third order is small: what is left on driven tones is 1e-4.
    with AcousticCavity(
        n_inputs=6,
        n_outputs=6,
        grid="odd",
        quadratic=0.1,
        cubic=0.0,
        quality=20.0,
        n_settle=8192,
        n_window=2048,
        ideal=True,
    ) as odd:
        drive = np.full((1, 6), 0.02)
        heard = odd.simulate(odd.waveforms(drive))[0, 0, odd.n_settle :]
        spectrum = np.abs(np.fft.rfft(heard))
        np.testing.assert_allclose(odd.measure(2 * drive), 2 * odd.measure(drive), rtol=1e-3)
    tones = np.round(odd.tone_frequencies * odd.n_window / odd.sample_rate).astype(int)
    assert (tones % 2 == 1).all()
    even = spectrum[2:200:2]
    assert even.max() > 30 * np.delete(spectrum[1:200:2], tones // 2).max()


def test_products_are_read_between_the_tones():
    kinds = {"n_inputs": 8, "n_outputs": 16, "listen": "products", "n_settle": 8192, "ideal": True}
    answers = {}
    for name, strength in (("linear", LINEAR), ("nonlinear", {})):
        with AcousticCavity(**kinds, **strength) as cavity:
            answers[name] = cavity.measure(np.ones((1, 8)))
        assert not set(cavity.output_frequencies) & set(cavity.tone_frequencies)
    assert answers["linear"].max() < 1e-3
    assert answers["nonlinear"].max() > 1e-2


def test_tones_that_need_more_room_are_refused_or_get_a_longer_window():
    assert AcousticCavity(n_inputs=12, n_outputs=12, grid="sparse").n_window > 1024
    with pytest.raises(ValueError, match=r"n_inputs=12 tones .* 64 bins .*grid='sparse'"):
        AcousticCavity(n_inputs=12, n_outputs=12, grid="sparse", n_window=1024)


# -- samples and time bins ---------------------------------------------------------------------


def test_samples_are_held_and_answers_are_samples():
    kinds = SMALL | {"n_inputs": 10, "n_outputs": 14, "ideal": True}
    with AcousticCavity(**kinds, input="waveform", output="waveform") as cavity:
        assert cavity.spec.domain == "amplitude"
        drives = random_drives(cavity, 3)
        assert drives.min() < 0
        answers = cavity.measure(drives)
        with pytest.raises(LimitError, match="nothing was driven"):
            cavity.measure(np.full((1, 10), 1.5))
    # 16 kHz / (2 x 380 Hz): 21 steps for each sample, played once.
    assert (cavity.n_window, cavity.n_settle) == (210, 0)
    played = np.repeat(drives, 21, axis=1)[:, None]
    np.testing.assert_array_equal(cavity.waveforms(drives), played)
    heard = cavity.simulate(played)
    assert heard.shape[1] == 2
    np.testing.assert_allclose(answers[:, 6], heard[:, 0, 209], rtol=1e-9)
    np.testing.assert_allclose(answers[:, 7:], heard[:, 1, 29::30], rtol=1e-9)


def test_time_bins_are_amplitudes_and_energies():
    kinds = SMALL | {"n_inputs": 6, "ideal": True}
    with AcousticCavity(**kinds, input="bins", output="bins") as cavity:
        drives = random_drives(cavity, 2)
        answers = cavity.measure(drives)
    hold = cavity.n_window // 6
    assert hold == 80  # a period of 200 Hz
    wave = cavity.waveforms(drives)[:, 0].reshape(2, 6, hold)
    np.testing.assert_allclose(np.mean(wave**2, axis=2), drives**2 / 2)  # as a tone's
    power = cavity.simulate(cavity.waveforms(drives)) ** 2
    np.testing.assert_allclose(
        answers, power.reshape(2, 2, 4, -1).mean(axis=3).reshape(2, 8), rtol=1e-9
    )


@pytest.mark.parametrize("kind", ["waveform", "bins"])
def test_the_pressure_is_of_order_one(kind):
    # Over a grid of places the mean square is that of the modes. Of 150 rows it is known
    # to 10 %: few of the bins of so short a period meet a mode.
    x, y = 0.9 * (np.arange(3) + 0.5) / 3, 0.7 * (np.arange(3) + 0.5) / 3
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    kinds = SMALL | LINEAR | {"n_inputs": 12, "n_outputs": 9, "n_settle": 2048, "ideal": True}
    power = []
    for place in places:
        cavity = AcousticCavity(**kinds, input=kind, microphones=places, speakers=[place])
        heard = cavity.simulate(cavity.waveforms(random_drives(cavity, 150)))
        power.append(np.mean(heard[..., cavity.n_settle :] ** 2))
    assert np.mean(power) == pytest.approx(1, rel=0.25)


@pytest.mark.parametrize("output", ["tones", "waveform", "bins"])
@pytest.mark.parametrize("kind", ["tones", "waveform", "bins"])
def test_any_input_goes_with_any_output(kind, output):
    kinds = SMALL | {"n_inputs": 6, "n_outputs": 6, "speakers": 2, "microphones": 3}
    with AcousticCavity(**kinds, input=kind, output=output, n_window=1920) as cavity:
        drives = random_drives(cavity, 3)
        answers = cavity.measure(drives)
        assert answers.shape == (3, 6)
        assert cavity.output_microphones.tolist() == [0, 0, 1, 1, 2, 2]
        again = cavity.measure(drives)
    assert 0 < np.abs(answers - again).max() < 0.2 * np.abs(answers).max()  # noise


def test_microphones_share_the_outputs_and_read_different_tones():
    cavity = AcousticCavity(n_inputs=8, n_outputs=8, microphones=2)
    np.testing.assert_allclose(np.sort(cavity.output_frequencies), cavity.tone_frequencies)
    assert cavity.output_microphones.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


# -- loudspeakers and microphones --------------------------------------------------------------


def test_transducers_are_second_order_and_no_two_the_same():
    seed = np.random.SeedSequence(0)
    one = Transducers("x", "band", 3, (100.0, 3000.0), 0.0, 16_000.0, seed)
    at = np.array([10.0, 100.0, 600.0, 3000.0])
    np.testing.assert_allclose(
        np.abs(one.response(at))[0], [0.01, 0.5**0.5, 1, 0.5**0.5], rtol=0.02
    )
    np.testing.assert_allclose(one.response(at)[2], one.nominal(at))
    spread = Transducers("x", "band", 50, (100.0, 3000.0), 0.05, 16_000.0, seed)
    middle = spread.response(np.array([600.0]))[:, 0]
    assert 0.03 < np.std(np.abs(middle)) < 0.08
    assert np.std(np.angle(middle)) > 0.005
    # What the filters do to a tone in the long run is the response.
    time = np.arange(4096) / 16_000
    tone = np.cos(2 * np.pi * 250 * time)
    passed = spread.apply(np.repeat(tone[:, None, None], 50, axis=1))[2048:, :, 0]
    found = passed.T @ np.exp(-2j * np.pi * 250 * time[2048:]) / 1024
    np.testing.assert_allclose(found, spread.response(np.array([250.0]))[:, 0], rtol=1e-4)


def test_tones_pass_the_loudspeakers_and_the_microphones():
    # `simulate` filters what the microphones hear, tones get a factor: what has not settled makes
    # the difference, which is below the default noise of a tone, 4e-3.
    with AcousticCavity(**SMALL, noise=0.0, spread=0.2) as cavity:
        drives = random_drives(cavity, 3)
        answers = cavity.measure(drives)
    heard = cavity.simulate(cavity.waveforms(drives))[..., cavity.n_settle :]
    spectra = np.abs(np.fft.rfft(heard)) * 2 / cavity.n_window
    bins = np.round(cavity.tone_frequencies * cavity.n_window / cavity.sample_rate).astype(int)
    np.testing.assert_allclose(answers, spectra[:, :, bins].reshape(3, 8), rtol=0, atol=4e-3)
    with AcousticCavity(**SMALL, ideal=True) as ideal:
        assert np.abs(ideal.measure(drives) - answers).max() > 0.05
    flat = {"speaker_band": "flat", "microphone_band": "flat", "spread": 0.0, "noise": 0.0}
    with AcousticCavity(**SMALL, **flat) as same, AcousticCavity(**SMALL, ideal=True) as ideal:
        np.testing.assert_array_equal(same.measure(drives), ideal.measure(drives))


# -- playing a recording -----------------------------------------------------------------------


def test_a_recording_is_played_in():
    rate = 44_100
    time = np.arange(rate // 4) / rate
    sound = np.sin(2 * np.pi * 310 * time) * np.hanning(len(time))
    cavity = AcousticCavity(**SMALL, **LINEAR)
    heard = cavity.play(sound, rate)
    assert heard.shape == (2, len(time))
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.fft.rfftfreq(len(time), 1 / rate)[spectrum.argmax(axis=1)] == pytest.approx(
        310, abs=8
    )
    # At the simulator's own rate nothing is resampled: the same as `simulate`, and the noise.
    native = np.sin(2 * np.pi * 310 * np.arange(2000) / 16_000)
    noise = cavity.play(native, 16_000) - cavity.simulate(native[None, None])[0]
    assert np.std(noise) == pytest.approx(0.1, rel=0.05)
    # And what was resampled is the same sound.
    ideal = AcousticCavity(**SMALL, **LINEAR, ideal=True)
    at_48 = np.sin(2 * np.pi * 310 * np.arange(6000) / 48_000) * np.hanning(6000)
    there, here = ideal.play(at_48, 48_000)[:, ::3], ideal.play(at_48[::3], 16_000)
    assert np.std(there - here) < 0.01 * np.std(here)


@pytest.mark.parametrize(
    ("sound", "rate", "message"),
    [
        (
            np.zeros((3, 10)),
            16_000,
            r"shape \(3, 10\), expected \(n_samples,\) or \(1, n_samples\)",
        ),
        (np.array([0.0, np.nan]), 16_000, "finite"),
        (np.zeros(0), 16_000, "expected"),
        (np.zeros(5), 0, "sample_rate=0 .*above 0"),
    ],
)
def test_a_bad_recording_is_refused(sound, rate, message):
    with pytest.raises(ValueError, match=message):
        AcousticCavity(**SMALL).play(sound, rate)


# -- air and walls -----------------------------------------------------------------------------


def test_modes_move_with_the_temperature():
    cold, warm = AcousticCavity(quality=200.0), AcousticCavity(quality=200.0, temperature=294.15)
    shift = warm.mode_frequencies / cold.mode_frequencies - 1
    np.testing.assert_allclose(shift, 0.0017, rtol=0.01)
    # A third of a linewidth per kelvin; and the equipment stays as it was.
    assert shift[0] * 200 == pytest.approx(1 / 3, rel=0.05)
    assert (cold.gain, cold.coupling) == (warm.gain, warm.coupling)
    np.testing.assert_array_equal(cold.tone_frequencies, warm.tone_frequencies)


def test_quality_by_number_mode_law_and_reverberation_time():
    f = AcousticCavity(**SMALL).mode_frequencies
    qualities = {
        "number": ({"quality": 30.0}, np.full(4, 30.0)),
        "mode": ({"quality": [10.0, 20.0, 30.0, 40.0]}, [10.0, 20.0, 30.0, 40.0]),
        "law": ({"quality": np.sqrt}, np.sqrt(f)),
        "rt60": ({"rt60": 0.2}, f * 0.2 / 2.2),
    }
    for given, expected in qualities.values():
        np.testing.assert_allclose(
            AcousticCavity(**SMALL, **given).mode_qualities, expected, rtol=1e-3
        )


def test_energy_falls_by_60_db_in_rt60():
    cavity = AcousticCavity(**SMALL, **LINEAR, rt60=0.1, ideal=True)
    kick = np.zeros((1, 1, 2000))
    kick[..., 0] = 1.0
    heard = cavity.simulate(kick)[0, 0]
    power = np.mean(heard[:1920].reshape(12, 160) ** 2, axis=1)  # of every 10 ms
    slope, _ = np.polyfit(np.arange(12) * 0.01, 10 * np.log10(power), 1)
    assert slope * 0.1 == pytest.approx(-60, abs=2)  # beats between modes remain


# -- stability ---------------------------------------------------------------------------------


def test_the_highest_stiffness_is_where_the_recursion_leaves_the_unit_circle():
    random, f, h = np.random.default_rng(0), np.array([191.0, 245.0, 310.0, 900.0]), 1 / 8000
    react = random.standard_normal((2, 4))
    solver = ModalSolver(
        f, 1e9, h, drive=np.zeros((4, 1)), react=react, hear=np.eye(4), strength=3e5,
        quadratic=0.0, cubic=1.0,
    )  # fmt: skip
    w = 2 * np.pi * f
    for share, stable in ((0.999, True), (1.001, False)):
        stiffness = 3e5 * share * solver.highest_stiffness * react.T @ react
        step = 2 * np.diag(np.cos(w * h)) - np.diag(h * np.sin(w * h) / w) @ stiffness
        companion = np.block([[step, -np.eye(4)], [np.eye(4), np.zeros((4, 4))]])
        radius = np.abs(np.linalg.eigvals(companion)).max()
        assert (radius < 1 + 1e-6) if stable else (radius > 1 + 1e-3)


def test_a_step_too_long_for_the_scatterers_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"stable up to a pressure of 8\.973 .* reach 16\.97"):
        AcousticCavity(cubic=30.0)
    AcousticCavity(cubic=30.0, sample_rate=40_000.0)


def test_a_row_that_leaves_the_stable_range_is_an_error_with_both_numbers():
    cavity = AcousticCavity(**SMALL, cubic=10.0, ideal=True)
    loud = 1e4 * cavity.waveforms(np.ones((2, 4)))
    loud[0] *= 1e-4
    with pytest.raises(DeviceError, match=r"reached \S+, .*stable up to [\d.]+; .*row 1 failed"):
        cavity.simulate(loud)
    with pytest.raises(DeviceError, match="stable up to"):
        cavity.play(1e4 * np.sin(np.arange(4000) * 0.12), 16_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"setting": "loud"}, "setting='loud' is not one of measured-like, rich"),
        ({"input": "video"}, "input='video' is not one of tones, waveform, bins"),
        ({"output": "video"}, "output='video' is not one of"),
        ({"grid": "even"}, "grid='even' is not one of uniform, odd, sparse"),
        ({"listen": "none"}, "listen='none' is not one of"),
        ({"listen": "driven", "input": "bins"}, "listen='driven' is not one of all"),
        ({"listen": "products"}, "no bin is left to listen to"),
        ({"temperature": 0.0}, "temperature=0.0 .*above 0"),
        ({"quality": [10.0, 20.0]}, r"quality has shape \(2,\); one number for each of the 34"),
        ({"quality": lambda f: 0.0 * f}, "the function '<lambda>', is 0 for mode 0 at 190.556 Hz"),
        ({"quality": 30.0, "rt60": 0.1}, "say the same; give one of them"),
        ({"rt60": 1e-3}, "rt60=0.001 s makes Q = 0.0867 at 190.556 Hz"),
        ({"spread": 0.6}, "spread=0.6 .*at most 0.5"),
        ({"speaker_band": (100.0, 8000.0)}, r"speaker_band=\(100.0, 8000.0\) Hz ends above 67\d+"),
        ({"speaker_band": 100.0}, "speaker_band=100.0 must be two frequencies"),
        ({"microphone_band": "low"}, "microphone_band='low' is not one of flat"),
        ({"scatterer_size": -1.0}, "scatterer_size=-1.0 .*at least 0"),
        ({"input": "bins", "speakers": 3}, "n_inputs=64 must be a multiple of the 3"),
        ({"input": "bins", "n_window": 100}, "n_window=100 must be a multiple of the 64"),
        ({"input": "bins", "n_window": 64}, "none of them in band"),
        ({"output": "waveform", "microphones": 129}, "microphones has 129 .* need 1 to 128"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"AcousticCavity: .*{message}"):
        AcousticCavity(**arguments)


# -- pictures and settings ---------------------------------------------------------------------


def test_picture_is_the_pressure_in_the_box():
    x, y = 0.9 * 30.5 / 120, 0.7 * 40.5 / 94  # the centre of a cell of the map
    cavity = AcousticCavity(**SMALL | {"n_outputs": 4}, microphones=[[x, y]], ideal=True)
    drive = [0.3, 0.8, 0.5, 0.1]
    (heard,) = cavity.simulate(cavity.waveforms([drive]))[:, 0]
    picture = cavity.picture(drive)
    assert picture.values.shape == (94, 120)
    assert picture.values[40, 30] == pytest.approx(np.sqrt(np.mean(heard[1024:] ** 2)))
    shot = cavity.picture(drive, time=0.01)
    assert shot.values[40, 30] == pytest.approx(heard[160])
    np.testing.assert_array_equal(shot.marks["microphones"], cavity.microphones)
    with pytest.raises(ValueError, match=r"time=1\.0 .*at most 0\.1279"):
        cavity.picture(drive, time=1.0)
    with pytest.raises(LimitError):
        cavity.picture([2.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_rich_setting_is_far_from_affine_and_uses_many_directions(seed):
    # 0.37 and 0.56 of the variance; 51 and 49 directions of 128.
    r2, share = figures(AcousticCavity(setting="rich", seed=seed), 700, 200)
    assert r2 < 0.8
    assert share > 0.25


def test_the_measured_like_setting_is_close_to_affine():
    r2, _ = figures(AcousticCavity(), 500, 200)
    assert 0.94 < r2 < 0.995
