import math

import numpy as np
import pytest
import torch
from scipy.special import j1

from simulators import AngularSpectrum

WAVELENGTH = 633e-9


def axes(n, pitch):
    x = (np.arange(n) - n // 2) * pitch
    return x[None, :], x[:, None]


def random_fields(*shape, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


# -- analytic solutions ------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 1.0, 3.0])
def test_waist_of_a_gaussian_beam(share):
    # w(z) = w0 sqrt(1 + (z / zR)^2), zR = pi w0^2 / wavelength. The 1/e^2 radius is twice the
    # standard deviation of the intensity; 1 - 2e-6 of a waist of 60 um is paraxial.
    w0, pitch, n = 60e-6, 8e-6, 128
    z_r = math.pi * w0**2 / WAVELENGTH
    space = AngularSpectrum(
        n=n, pitch_m=pitch, wavelength_m=WAVELENGTH, distance_m=share * z_r, padding=2
    )
    x, y = axes(n, pitch)
    power = np.abs(space(np.exp(-(x**2 + y**2) / w0**2))) ** 2
    waist = 2 * math.sqrt((power * x**2).sum() / power.sum())
    assert waist == pytest.approx(w0 * math.sqrt(1 + share**2), rel=1e-4)
    # And the intensity on the axis falls with the area of the beam.
    assert power.max() == pytest.approx(1 / (1 + share**2), rel=1e-4)


def test_airy_pattern_of_an_aperture_with_a_lens():
    # I(r) = (2 J1(v) / v)^2, v = pi D r / (wavelength f), times (pi D^2 / (4 wavelength f))^2 at
    # the centre. The edge of the aperture is a staircase of 4 um on 1 mm: some 0.1 %.
    n, pitch, diameter, focus = 512, 4e-6, 1e-3, 0.1
    x, y = axes(n, pitch)
    r = np.hypot(x, y)
    lens = np.exp(-2j * np.pi / WAVELENGTH * (np.sqrt(r**2 + focus**2) - focus))
    space = AngularSpectrum(n=n, pitch_m=pitch, wavelength_m=WAVELENGTH, distance_m=focus)
    power = np.abs(space((r <= diameter / 2) * lens)) ** 2
    v = np.pi * diameter * r / (WAVELENGTH * focus)
    v[n // 2, n // 2] = 1e-9
    airy = (2 * j1(v) / v) ** 2
    peak = (np.pi * diameter**2 / (4 * WAVELENGTH * focus)) ** 2
    near = r < 250e-6  # four dark rings
    np.testing.assert_allclose(power[near] / peak, airy[near], atol=5e-3)
    first_dark = r[n // 2, n // 2 :][np.argmin(power[n // 2, n // 2 : n // 2 + 25])]
    assert first_dark == pytest.approx(1.22 * WAVELENGTH * focus / diameter, abs=pitch)


def test_energy_is_conserved_while_light_stays_on_the_grid():
    x, y = axes(96, 8e-6)
    fields = random_fields(3, 96, 96) * np.exp(-((x**2 + y**2) / (120e-6) ** 2))
    smooth = AngularSpectrum(n=96, pitch_m=8e-6, wavelength_m=WAVELENGTH, distance_m=2e-3)
    # On the whole padded grid every plane wave keeps its power, whatever leaves the window.
    wide = AngularSpectrum(
        n=192, pitch_m=8e-6, wavelength_m=WAVELENGTH, distance_m=2e-3, padding=1, band_limited=False
    )
    padded = np.pad(fields, ((0, 0), (48, 48), (48, 48)))
    power = (np.abs(fields) ** 2).sum((1, 2))
    np.testing.assert_allclose((np.abs(wide(padded)) ** 2).sum((1, 2)), power, rtol=1e-12)
    np.testing.assert_allclose((np.abs(smooth(fields)) ** 2).sum((1, 2)), power, rtol=1e-3)


def test_a_plane_wave_gains_the_phase_of_its_direction():
    n, pitch, z, order = 64, 2e-6, 1e-3, 5
    x, _ = axes(n, pitch)
    f = order / (n * pitch)
    wave = np.exp(2j * np.pi * f * x) * np.ones((n, 1))
    space = AngularSpectrum(
        n=n, pitch_m=pitch, wavelength_m=WAVELENGTH, distance_m=z, padding=1, band_limited=False
    )
    phase = 2 * np.pi * z * math.sqrt(1 / WAVELENGTH**2 - f**2)
    np.testing.assert_allclose(space(wave), wave * np.exp(1j * phase), atol=1e-9)


# -- independent code --------------------------------------------------------------------------


def test_agrees_with_torchoptics():
    torchoptics = pytest.importorskip("torchoptics")
    n, pitch, z = 100, 8e-6, 0.01
    fields = random_fields(2, n, n)
    theirs = torchoptics.Field(
        torch.from_numpy(fields), wavelength=WAVELENGTH, z=0, spacing=pitch
    ).propagate((n, n), z, spacing=pitch, propagation_method="ASM", asm_pad=(n // 2, n // 2))
    kinds = {"n": n, "pitch_m": pitch, "wavelength_m": WAVELENGTH, "distance_m": z}
    mine = AngularSpectrum(**kinds, padding=2, band_limited=False)
    assert mine.n_padded == 2 * n
    np.testing.assert_allclose(mine(fields), theirs.data.numpy(), atol=2e-8)
    # Single precision: an rms of 1.4 times a few roundings of 6e-8 in each of four transforms.
    single = AngularSpectrum(**kinds, padding=2, band_limited=False, precision="single")(fields)
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, theirs.data.numpy(), atol=1e-5)


# -- sampling ----------------------------------------------------------------------------------


def test_padding_keeps_light_from_coming_back():
    # A grid of four times the width is far enough for the true answer in the middle.
    n, pitch, z = 32, 8e-6, 5e-3
    kinds = {"pitch_m": pitch, "wavelength_m": WAVELENGTH, "distance_m": z, "band_limited": False}
    field = random_fields(n, n)
    true = AngularSpectrum(n=4 * n, padding=2, **kinds)(np.pad(field, 48))[48:80, 48:80]
    padded = AngularSpectrum(n=n, padding=2, **kinds)(field)
    wrapped = AngularSpectrum(n=n, padding=1, **kinds)(field)
    assert np.abs(padded - true).max() < 0.1 * np.abs(true).max()
    assert np.abs(wrapped - true).max() > 0.3 * np.abs(true).max()


def test_the_band_limit_removes_the_aliases_of_long_distances():
    # Far beyond n pitch^2 / wavelength = 13 mm a Gaussian beam is known; without the limit the
    # undersampled phase of H folds light back onto the grid.
    n, pitch, w0, z = 128, 8e-6, 20e-6, 0.25
    x, y = axes(n, pitch)
    field = np.exp(-(x**2 + y**2) / w0**2)
    z_r = math.pi * w0**2 / WAVELENGTH
    true = np.exp(-2 * (x**2 + y**2) / (w0**2 * (1 + (z / z_r) ** 2))) / (1 + (z / z_r) ** 2)
    errors = []
    for limited in (True, False):
        space = AngularSpectrum(
            n=n, pitch_m=pitch, wavelength_m=WAVELENGTH, distance_m=z, band_limited=limited
        )
        power = np.abs(space(field)) ** 2
        errors.append(np.abs(power - true).max() / true.max())
    assert errors[0] < 0.2 * errors[1]


def test_there_and_back_is_where_it_began():
    x, y = axes(64, 8e-6)
    field = np.exp(-(x**2 + y**2) / (60e-6) ** 2) * np.exp(1j * x / 50e-6)
    there, back = (
        AngularSpectrum(n=64, pitch_m=8e-6, wavelength_m=WAVELENGTH, distance_m=z)
        for z in (3e-3, -3e-3)
    )
    np.testing.assert_allclose(back(there(field)), field, atol=2e-4)


def test_evanescent_waves_decay_in_both_directions():
    for z in (1e-6, -1e-6):
        space = AngularSpectrum(
            n=8, pitch_m=100e-9, wavelength_m=WAVELENGTH, distance_m=z, band_limited=False
        )
        assert np.abs(space(random_fields(8, 8))).max() < 1


# -- as a tool ---------------------------------------------------------------------------------


def test_batches_of_any_shape_and_kind():
    space = AngularSpectrum(n=16, pitch_m=8e-6, wavelength_m=WAVELENGTH, distance_m=1e-3)
    fields = random_fields(2, 3, 16, 16)
    there = space(fields)
    assert there.shape == fields.shape
    np.testing.assert_allclose(there[1, 2], space(fields[1, 2]), atol=1e-12)
    tensor = torch.from_numpy(fields)
    np.testing.assert_allclose(space(tensor).numpy(), there, atol=1e-12)
    assert space(np.empty((0, 16, 16))).shape == (0, 16, 16)
    with pytest.raises(ValueError, match=r"shape \(16, 15\), expected \(\.\.\., 16, 16\)"):
        space(fields[0, 0, :, :15])


def test_gradients_pass():
    space = AngularSpectrum(n=5, pitch_m=8e-6, wavelength_m=WAVELENGTH, distance_m=1e-3)
    fields = torch.from_numpy(random_fields(2, 5, 5)).requires_grad_()
    assert torch.autograd.gradcheck(space, (fields,))


def test_large_fields_go_in_blocks_and_come_out_the_same_with_and_without_gradients():
    # 2 x 200 lines of 400 numbers are more than one block.
    space = AngularSpectrum(n=200, pitch_m=8e-6, wavelength_m=WAVELENGTH, distance_m=1e-2)
    fields = torch.from_numpy(random_fields(200, 200))
    plain = space(fields)
    torch.testing.assert_close(space(fields.requires_grad_()), plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ({"n": 0}, "at least 1"),
        ({"pitch_m": 0.0}, "above 0"),
        ({"wavelength_m": -1.0}, "above 0"),
        ({"distance_m": float("nan")}, "finite"),
        ({"padding": 0.5}, "at least 1"),
        ({"precision": "half"}, "single, double"),
        ({"band_limited": 1}, "True or False"),
    ],
)
def test_bad_arguments_are_named_with_value_and_range(argument, allowed):
    ((name, value),) = argument.items()
    good = {"n": 8, "pitch_m": 8e-6, "wavelength_m": 5e-7, "distance_m": 0.01}
    with pytest.raises(ValueError, match=rf"{name}={value!r} .*{allowed}"):
        AngularSpectrum(**good | argument)
