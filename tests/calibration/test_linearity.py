import numpy as np
import pytest

from calibration import Linearity
from devices import FunctionDevice, Noisy, Saturating

GAINS = np.array([0.5, -2.0, 3.0])


def amplifier(**spec):
    spec = {"low": -1.0, "high": 1.0} | spec
    return FunctionDevice(lambda u: u[:, :1] * GAINS + [0.1, 0.2, 0.3], 1, 3, **spec)


def test_gain_and_offset_to_half_a_per_cent():
    procedure = Linearity(levels=61, repeats=20)
    with Noisy(amplifier(), 0.01, seed=2) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 1220
    assert found.gain == pytest.approx(GAINS, rel=5e-3)
    assert found.offset == pytest.approx([0.1, 0.2, 0.3], abs=0.005 * 2)
    assert (np.abs(found.gain - GAINS) < 4 * found.gain_error).all()
    assert np.isnan(found.compression).all()
    assert found.usable_low == pytest.approx([-1, -1, -1])


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_compression_point_of_a_smooth_saturation(noise):
    level = 1.5
    inner = FunctionDevice(lambda u: u[:, :1] * GAINS, 1, 3, low=-1.0, high=1.0)
    with Noisy(Saturating(inner, level), noise) as device:
        found = Linearity(levels=81, repeats=10).run(device)
    # tanh(z) / z is -1 dB at z = 0.6126.
    truth = 0.6126 * level / np.abs(GAINS)
    assert found.gain == pytest.approx(GAINS, rel=5e-3)
    assert np.isnan(found.compression[0])
    assert found.compression[1:] == pytest.approx(truth[1:], rel=0.02)
    assert found.usable_high[1:] == pytest.approx(truth[1:], rel=0.02)
    assert found.usable_low[1:] == pytest.approx(-truth[1:], rel=0.02)


def test_hard_clipping_and_dynamic_range():
    inner = FunctionDevice(lambda u: u * 10.0, 1, 1)
    with Noisy(Saturating(inner, 4.0, hard=True), 0.004, seed=1) as device:
        found = Linearity(levels=101, repeats=10).run(device)
    assert found.gain[0] == pytest.approx(10, rel=5e-3)
    # Clipped at a drive of 0.4, and 1 dB down at 0.4 * 10^(1/20).
    assert found.compression[0] == pytest.approx(0.4 * 10**0.05, rel=0.01)
    assert found.dynamic_range_db[0] == pytest.approx(20 * np.log10(4.0 * 10**0.05 / 0.004), abs=1)


def test_what_cannot_be_swept_is_refused():
    with (
        FunctionDevice(lambda u: u, 2, 2, high=(1.0, 2.0)) as device,
        pytest.raises(ValueError, match="one by one"),
    ):
        Linearity().run(device)
    with amplifier(low=0, domain="bits") as device, pytest.raises(ValueError, match="'bits'"):
        Linearity().run(device)
    with amplifier() as device, pytest.raises(ValueError, match=r"inputs=3 .* from 0 to 0"):
        Linearity(inputs=3).run(device)


def test_answers_that_do_not_move_have_no_gain():
    with (
        FunctionDevice(lambda u: np.full((len(u), 2), 0.7), 1, 2) as dead,
        pytest.raises(ValueError, match=r"no answer moves: .* 2 outputs .* 0\.7; see that"),
    ):
        Linearity().run(dead)
    one_dead = FunctionDevice(lambda u: np.hstack([2 * u, 0 * u + 0.7, 0 * u + 0.7]), 1, 3)
    with one_dead as device:
        found = Linearity().run(device)
        device_noise = Noisy(one_dead, 0.01, seed=4)
    with device_noise as device:
        noisy = Linearity().run(device)
    assert found.gain == pytest.approx([2, 0, 0], abs=1e-9)
    for one in (found, noisy):
        lines = (one.compression, one.usable_low, one.usable_high, one.dynamic_range_db)
        assert all(np.isnan(line[1:]).all() for line in lines)
        assert one.usable_high[0] == 1
    assert (np.abs(noisy.gain[1:]) < 3 * noisy.gain_error[1:]).all()
