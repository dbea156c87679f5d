import math

import numpy as np
import pytest
from richness import figures

from devices import DeviceError
from simulators import AcousticCavity, AcousticGrid

# 18 by 14 cells and few tones, for tests that need no more. 24 kHz is stable at 20 mm and more.
SMALL = {"n_inputs": 3, "n_outputs": 6, "band": (200.0, 500.0), "spacing": 0.05}


def random_drives(device, rows, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (rows, device.spec.n_inputs))


# -- two independent models --------------------------------------------------------------------


def both(spacing, rate, **strength):
    """Return what the microphones of both models hear, of the same rig and the same sound."""
    rig = {
        "n_inputs": 4,
        "n_outputs": 8,
        "band": (200.0, 500.0),
        "rt60": 0.15,
        "scatterer_size": 0.04,
        "sample_rate": rate,
        "n_window": round(rate / 15.625),
        "n_settle": round(rate / 31.25),
        "seed": 3,
        "ideal": True,
    } | strength
    modal = AcousticCavity(top_frequency=4000.0, **rig)
    grid = AcousticGrid(spacing=spacing, **rig)
    played = modal.waveforms([[1.0, 0.7, 0.9, 0.5]])
    # Raised slowly, over 20 ms: a sudden start has frequencies that no grid resolves.
    rise = np.minimum(np.arange(played.shape[2]) / rate / 0.02, 1.0)
    played = played * np.sin(np.pi / 2 * rise) ** 2
    return modal.simulate(played)[0], grid.simulate(played * modal.gain / grid.gain)[0]


@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_agrees_with_the_modal_cavity_the_better_the_finer_the_grid(strength):
    # 500 Hz is 0.69 m. The grid's waves are slow by (k h)^2 / 24 at most: 1 / 2900 of 25 mm at
    # 500 Hz, and a mode that is late by a part of 1 / Q = 1 / 34 is off by 2 Q / 2900, 2.3 %. The
    # share falls with the square of the cell. The modal sum, up to 4 kHz, misses 0.2 %.
    errors = []
    for spacing, rate in ((0.05, 24_000.0), (0.025, 24_000.0), (0.0125, 48_000.0)):
        modal, grid = both(spacing, rate, quadratic=strength, cubic=strength)
        errors.append(np.std(modal - grid) / np.std(modal))
    assert errors[1] < 0.035
    assert errors[2] < 0.01
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_agrees_on_what_weak_scatterers_add():
    parts = []
    for linear, scattered in zip(
        both(0.0125, 48_000.0, quadratic=0.0, cubic=0.0),
        both(0.0125, 48_000.0, quadratic=0.1, cubic=0.1),
        strict=True,
    ):
        parts.append(scattered - linear)
        assert 0.03 < np.std(parts[-1]) / np.std(linear) < 0.1
    modal, grid = parts
    # A cubic part has three times the error of the pressures, 0.7 %.
    assert np.std(modal - grid) < 0.03 * np.std(modal)


# -- the physics -------------------------------------------------------------------------------


def test_superposition_and_reciprocity_hold_without_scatterers_and_fail_with_them():
    here, there = [[0.1, 0.15]], [[0.62, 0.4]]
    for cubic, holds in ((0.0, True), (0.5, False)):
        kinds = SMALL | {"n_outputs": 3, "quadratic": 0.0, "cubic": cubic, "ideal": True}
        forth = AcousticGrid(**kinds, speakers=here, microphones=there)
        back = AcousticGrid(**kinds, speakers=there, microphones=here)
        a, b = forth.waveforms([[1.0, 0.2, 0.0], [0.0, 0.5, 1.0]])[:, None, :, :800]
        whole = forth.simulate(a + b)
        apart = forth.simulate(a) + forth.simulate(b)
        for other in (apart, back.simulate(a + b)):
            error = np.std(whole - other) / np.std(whole)
            assert (error < 1e-11) if holds else (error > 1e-3)


def test_the_third_harmonic_grows_as_the_cube_of_the_drive():
    device = AcousticGrid(
        **SMALL | {"n_inputs": 1, "n_outputs": 1},
        rt60=0.05,
        quadratic=0.0,
        cubic=0.1,
        n_settle=1536 * 3,
        ideal=True,
    )
    heard = device.simulate(device.waveforms([[0.01], [0.02]]))[:, 0, device.n_settle :]
    soft, loud = np.abs(np.fft.rfft(heard)) * 2 / device.n_window
    tone = round(device.tone_frequencies[0] * device.n_window / device.sample_rate)
    assert loud[3 * tone] / soft[3 * tone] == pytest.approx(8, rel=2e-3)
    assert loud[tone] / soft[tone] == pytest.approx(2, rel=2e-3)


def test_warm_air_is_faster():
    cold, warm = (
        AcousticGrid(**SMALL, quadratic=0.0, cubic=0.0, ideal=True, temperature=t)
        for t in (293.15, 313.15)
    )
    played = np.zeros((1, 1, 400))
    played[..., :40] = np.sin(np.pi * np.arange(40) / 40) ** 2
    a, b = cold.simulate(played)[0, 0], warm.simulate(played)[0, 0]
    stretched = np.interp(np.arange(380) * math.sqrt(313.15 / 293.15), np.arange(400), a)
    assert np.corrcoef(stretched, b[:380])[0, 1] > np.corrcoef(a[:380], b[:380])[0, 1]


# -- failing loudly ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": 0.02}, r"c dt / h = 0\.7146 .*343 m/s.*up to 0\.7071.*above 24253"),
        ({"sample_rate": 19_600.0}, r"c dt / h = 0\.71\d+ with a wave speed of 34[4-9].* m/s"),
        ({"cubic": 300.0}, "what the scatterers add included"),
        ({"spacing": 0.04}, "spacing=0.04 m must divide both sides"),
        ({"spacing": 0.0}, "spacing=0.0 .*above 0"),
        ({"rt60": -1.0}, "rt60=-1.0 .*above 0"),
        ({"absorber_width": 0.36}, r"absorber_width=0.36 .*below 0.35"),
        ({"absorber_width": 0.1, "absorber_reflection": 1.0}, "absorber_reflection=1.0"),
        ({"scatterer_size": 0.001}, "less than half a cell"),
        ({"accelerator": "gpu"}, "accelerator='gpu' is not one of auto, numba, numpy"),
        ({"precision": "half"}, "precision='half' is not one of"),
        ({"setting": "loud"}, "setting='loud' is not one of"),
        ({"sample_rate": 0.0}, "sample_rate=0.0 .*above 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"AcousticGrid: .*{message}"):
        AcousticGrid(**arguments)


def test_a_pressure_beyond_the_step_is_an_error_with_both_numbers():
    device = AcousticGrid(**SMALL, cubic=30.0, quadratic=0.0, sample_rate=30_000.0, ideal=True)
    loud = 30 * device.waveforms(np.ones((1, 3)))
    with pytest.raises(DeviceError, match=r"scatterer reached .* is stable up to .*raise sample_r"):
        device.simulate(loud)


# -- as a device -------------------------------------------------------------------------------


@pytest.mark.parametrize("accelerator", ["numpy", "numba"])
def test_a_batch_is_the_same_as_single_rows(accelerator):
    if accelerator == "numba":
        pytest.importorskip("numba")
    kinds = SMALL | {"n_settle": 200, "n_window": 768, "ideal": True, "accelerator": accelerator}
    with AcousticGrid(**kinds) as device:
        drives = random_drives(device, 140)  # more than a block
        batch = device.measure(drives)
        for row in (0, 63, 64, 139):
            np.testing.assert_allclose(
                batch[row], device.measure(drives[row : row + 1])[0], rtol=1e-9, atol=1e-9
            )


def test_the_same_seed_places_the_same_rig():
    grid, modal = AcousticGrid(seed=5), AcousticCavity(seed=5)
    for name in ("speakers", "microphones", "scatterers"):
        np.testing.assert_array_equal(getattr(grid, name), getattr(modal, name))
    assert grid.spec.n_outputs == modal.spec.n_outputs == 128
    assert grid.spec.domain == "tones"
    np.testing.assert_allclose(grid.tone_frequencies, modal.tone_frequencies)


@pytest.mark.parametrize("kind", ["waveform", "bins"])
def test_takes_samples_and_time_bins_too(kind):
    with AcousticGrid(**SMALL | {"n_inputs": 6}, input=kind, output=kind) as device:
        assert device.measure(random_drives(device, 2)).shape == (2, 6)


def test_picture_is_the_field_at_the_cells():
    kinds = SMALL | {"n_outputs": 3}
    device = AcousticGrid(**kinds, microphones=[[0.325, 0.175]], ideal=True)
    drive = [0.3, 0.8, 0.5]
    (heard,) = device.simulate(device.waveforms([drive]))[:, 0]
    picture = device.picture(drive)
    assert picture.values.shape == (14, 18)
    assert (picture.x[6], picture.y[3]) == pytest.approx((0.325, 0.175))
    rms = math.sqrt(np.mean(heard[device.n_settle :] ** 2))
    assert picture.values[3, 6] == pytest.approx(rms)
    shot = device.picture(drive, time=0.02)
    assert shot.values[3, 6] == pytest.approx(heard[480])
    assert set(shot.marks) == {"loudspeakers", "microphones", "scatterers"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "least", "most"), [("measured-like", 0.97, 1.0), ("rich", 0.0, 0.8)]
)
def test_the_settings(setting, least, most):
    r2, share = figures(AcousticGrid(setting=setting), 700, 300)
    assert least < r2 < most
    assert share > 0.25
