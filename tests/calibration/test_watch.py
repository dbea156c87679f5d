import numpy as np
import pytest

from calibration import DriftWatch
from devices import Drifting, FunctionDevice, Jumping, Noisy


def box(noise=0.05, seed=0, wrap=None):
    wires = np.random.default_rng(0).normal(size=(5, 30))
    inner = FunctionDevice(lambda u: u @ wires, 5, 30)
    return Noisy(wrap(inner) if wrap else inner, noise, seed=seed)


@pytest.mark.parametrize("known", [True, False])
def test_noise_is_no_drift(known):
    with box() as device:
        watch = DriftWatch(device, repeatability=np.full(30, 0.05) if known else None)
        reports = [watch.look() for _ in range(200)]
        assert device.ledger.queries["probe"] == watch.queries == 8 * 203
    assert not any(report.drifted for report in reports)
    assert abs(np.mean([report.z for report in reports])) < 2
    assert np.std([report.z for report in reports]) < 1.5


def test_a_jump_is_seen_at_once_and_a_new_start_forgets_it():
    with box(wrap=lambda d: Jumping(d, after=40, gain=0.1)) as device:
        watch = DriftWatch(device)
        assert not watch.look().drifted
        assert not watch.look().drifted
        report = watch.look()
        assert report.drifted
        assert report.relative_change == pytest.approx(0.1, rel=0.4)
        assert report.correlation < 0.999
        watch.start()
        assert not watch.look().drifted


def test_a_slow_walk_is_seen_when_it_leaves_the_tolerance():
    with box(0.01, wrap=lambda d: Drifting(d, 2e-3)) as device:
        watch = DriftWatch(device, tolerance=0.05)
        seen = [watch.look() for _ in range(200)]
    first = next(k for k, report in enumerate(seen) if report.drifted)
    # 2e-3 sqrt(rows) is 0.05 after 625 rows, or 78 looks.
    assert 40 < first < 160


def test_a_device_without_noise_or_with_memory():
    with box(0.0) as device:
        watch = DriftWatch(device, probes=np.full((2, 5), 0.5))
        assert watch.look().relative_change == 0.0
    with (
        FunctionDevice(lambda u: u, 2, 2, memory=True) as device,
        pytest.raises(ValueError, match="has memory"),
    ):
        DriftWatch(device)
