import numpy as np
import pytest

from calibration import Dimensionality, signal_dimensions
from devices import FunctionDevice, Noisy


def repeats(rank, outputs, noise, rows=2000, seed=0):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(outputs, rank)))[0].T
    signal = rng.normal(size=(rows, rank)) @ basis
    return [signal + noise * rng.normal(size=signal.shape) for _ in range(2)]


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("rank", [1, 4, 16, 64])
def test_so_many_equal_directions_at_several_noise_levels(rank, noise):
    found = signal_dimensions(*repeats(rank, 64, noise))
    assert found.count == rank
    # The drives alone scatter variances by sqrt(2 / 1000), and the ratio by a few per cent.
    error = 3 * found.participation_ratio_error
    assert found.participation_ratio == pytest.approx(rank, abs=error + 0.03 * rank)
    assert found.participation_ratio_error < 0.15 * rank
    assert found.usable == pytest.approx(
        rank / (1 + noise**2), rel=0.05, abs=3 * np.sqrt(64 / 1000)
    )


@pytest.mark.parametrize(("outputs", "rows"), [(64, 2000), (256, 4000)])
def test_strong_noise_is_not_counted(outputs, rows):
    # In every output the noise has more power than the signal (1.6 and more times).
    first, second = repeats(4, outputs, 0.32 * np.sqrt(64 / outputs) * 1.0, rows)
    assert np.var(first - second) / 2 > 0.9 * (np.var(first) - np.var(first - second) / 2)
    found = signal_dimensions(first, second)
    assert 4 <= found.count <= 5
    assert found.participation_ratio == pytest.approx(4, rel=0.1)
    assert found.plain_count > 0.8 * outputs  # what plain principal components say


@pytest.mark.parametrize("rows", [200, 500])
def test_few_rows_do_not_count_more_directions(rows):
    # 60 equal directions of 300 outputs, from less than two rows for each output.
    first, second = repeats(60, 300, 0.05, rows)
    found = signal_dimensions(first, second)
    assert found.participation_ratio == pytest.approx(60, rel=0.07)


@pytest.mark.parametrize("rank", [1, 4, 16, 64])
def test_so_many_dimensions_of_a_device(rank):
    wires = np.linalg.qr(np.random.default_rng(rank).normal(size=(80, rank)))[0]
    box = FunctionDevice(lambda u: (u - 0.5) @ wires.T, rank, 80, name="box")
    for noise in (0.0, 0.05, 0.15):
        with Noisy(box, noise, seed=1) as device:
            found = Dimensionality(rows=1500).run(device)
        assert found.count == rank
        error = 3 * found.participation_ratio_error + 0.03 * rank
        assert found.participation_ratio == pytest.approx(rank, abs=error)


def test_measured_on_a_device_at_the_announced_cost():
    wires = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 4)))[0]
    box = Noisy(FunctionDevice(lambda u: (u - 0.5) @ wires.T, 4, 64), 0.1)
    procedure = Dimensionality(rows=1500)
    with box as device:
        found = procedure.run(device)
        assert device.ledger.queries["calibration"] == procedure.queries(device.spec) == 3000
    assert found.count == 4
    assert found.participation_ratio == pytest.approx(4, rel=0.1)
    assert procedure.announcement(box.spec).startswith("dimensionality: 3000 queries")


def test_complex_answers_and_outputs_that_never_move():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(2000, 3)) + 1j * rng.normal(size=(2000, 3))
    answers = np.hstack([signal, np.full((2000, 2), 7.0)])
    found = signal_dimensions(answers, answers)
    assert found.count == 3
    assert found.participation_ratio == pytest.approx(3, rel=0.05)


def test_refusals():
    with pytest.raises(ValueError, match="no output moves"):
        signal_dimensions(np.ones((10, 2)), np.ones((10, 2)))
    with pytest.raises(ValueError, match="at least 8 rows"):
        signal_dimensions(np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"rows=2 must be a whole number of at least 8"):
        Dimensionality(rows=2)
    with (
        FunctionDevice(lambda u: u, 2, 2, memory=True, name="line") as device,
        pytest.raises(ValueError, match="line has memory"),
    ):
        Dimensionality().run(device)
