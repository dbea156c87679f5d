import numpy as np
import pytest

from calibration import SweptSine, harmonic_lead_s
from devices import FunctionDevice, Noisy


def test_leads_of_the_harmonics_in_the_formula():
    assert harmonic_lead_s(2.0, 20.0, 20_000.0, 2) == pytest.approx(0.200687, abs=5e-7)
    assert harmonic_lead_s(2.0, 20.0, 20_000.0, 3) == pytest.approx(0.318081, abs=5e-7)


def test_sweep_takes_harmonics_apart_to_one_sample():
    rate, n = 16_000.0, 20_000
    decay = np.exp(-np.arange(60) / 10.0)

    def box(u):
        bent = u + 0.2 * u**2 + 0.1 * u**3
        return np.stack([np.convolve(row, decay)[:n] for row in bent])

    procedure = SweptSine(sample_rate_hz=rate, low_hz=50, high_hz=2500, orders=3)
    with Noisy(FunctionDevice(box, n, n, low=-1), 1e-3) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 1
    assert found.lead_s[:, 0] == pytest.approx(found.expected_lead_s, abs=1 / rate)
    assert found.expected_lead_s[1] == pytest.approx(1.0 / np.log(50) * np.log(2))
    # The spectrum of the linear response, 1 + 3/4 * 0.1 strong for a sine of amplitude 1.
    response = found.responses[0, 0]
    f = np.fft.rfftfreq(len(response), 1 / rate)
    inside = (f > 100) & (f < 2000)
    truth = np.abs(np.exp(-2j * np.pi * np.outer(f, np.arange(60)) / rate) @ decay) * 1.075
    assert np.abs(np.fft.rfft(response))[inside] == pytest.approx(truth[inside], rel=0.05)
    # Second harmonic 0.1, third 0.025 of a sine; the filter passes both alike within 3 dB.
    assert found.level_db[1, 0] == pytest.approx(20 * np.log10(0.1 / 1.075), abs=4)


def test_a_linear_device_has_no_harmonics():
    with Noisy(FunctionDevice(lambda u: u, 8000, 8000, low=-1), 1e-3) as device:
        found = SweptSine(sample_rate_hz=8000, low_hz=50, high_hz=2500, orders=2).run(device)
    assert found.level_db[1, 0] == pytest.approx(found.distortion_db)
    assert found.distortion_db < -35
    assert np.isnan(found.lead_s[1, 0])


def test_a_sweep_that_does_not_fit_is_refused():
    with FunctionDevice(lambda u: u, 100, 100, low=-1) as device:
        with pytest.raises(ValueError, match="4 periods"):
            SweptSine(sample_rate_hz=8000, low_hz=50, high_hz=2500).run(device)
        with pytest.raises(ValueError, match=r"high_hz=5000 .* at most 4000"):
            SweptSine(sample_rate_hz=8000, low_hz=50, high_hz=5000)
