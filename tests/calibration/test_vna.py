import importlib.util

import numpy as np
import pytest

from calibration import Calibrated
from calibration.vna import VnaCorrection, read_touchstone, write_touchstone
from devices import FunctionDevice

F = np.linspace(1e9, 2e9, 11)
HAS_SKRF = importlib.util.find_spec("skrf") is not None
needs_skrf = pytest.mark.skipif(not HAS_SKRF, reason="scikit-rf is not installed")


def standard(value, ports=1):
    return np.broadcast_to(value * np.eye(ports, dtype=complex), (len(F), ports, ports))


def seen(gamma):
    """Return what an analyser of known directivity, match and tracking shows at one port."""
    turn = np.exp(-2j * np.pi * F * 1e-10)[:, None, None]
    directivity, match, tracking = 0.1 * turn, 0.2j * turn, 0.8 * turn**2
    return directivity + tracking * gamma / (1 - match * gamma)


@needs_skrf
def test_one_port_correction_undoes_the_analyser():
    measured = {n: seen(standard(g)) for n, g in (("short", -1), ("open", 1), ("load", 0))}
    truth = standard(0.3 - 0.4j)
    correction = VnaCorrection(frequencies_hz=F, measured=measured)
    assert correction.apply(F, seen(truth)) == pytest.approx(truth, abs=1e-9)
    with pytest.raises(ValueError, match="correct anew on this grid"):
        correction.apply(F + 1e6, seen(truth))


@needs_skrf
def test_two_port_correction_undoes_the_analyser():
    import skrf

    rng = np.random.default_rng(0)
    frequency = skrf.Frequency.from_f(F, unit="Hz")

    def network(s):
        return skrf.Network(frequency=frequency, s=np.broadcast_to(s, (len(F), 2, 2)))

    left, right = (
        network(np.array([[0.1, 0.9], [0.9, 0.05]]) + 0.03 * rng.normal(size=(2, 2)))
        for _ in range(2)
    )

    def analyser(s):
        return (left ** network(s) ** right).s

    perfect = {name: g * np.eye(2) for name, g in (("short", -1), ("open", 1), ("load", 0))}
    perfect["thru"] = np.eye(2)[::-1]
    measured = {name: analyser(s + 0j) for name, s in perfect.items()}
    truth = np.array([[0.2, 0.5j], [0.5j, -0.1]])
    correction = VnaCorrection(frequencies_hz=F, measured=measured)
    assert correction.apply(F, analyser(truth))[0] == pytest.approx(truth, abs=1e-6)


@needs_skrf
def test_touchstone_out_and_in(tmp_path):
    s = np.random.default_rng(0).normal(size=(len(F), 2, 2, 2)) @ [0.3, 0.3j]
    path = write_touchstone(tmp_path / "device.s2p", F, s)
    f, found = read_touchstone(path)
    assert f == pytest.approx(F)
    assert found == pytest.approx(s, abs=1e-9)
    with pytest.raises(FileExistsError, match="not overwritten"):
        write_touchstone(path, F, s)
    with pytest.raises(ValueError, match=r"must end in \.s2p"):
        write_touchstone(tmp_path / "device.s1p", F, s)


def test_a_missing_standard_is_named():
    with pytest.raises(ValueError, match="measured must have 'load'"):
        VnaCorrection(frequencies_hz=F, measured={"short": standard(-1), "open": standard(1)})


@pytest.mark.skipif(HAS_SKRF, reason="scikit-rf is installed")
def test_the_missing_package_is_named_with_its_extra(tmp_path):
    with pytest.raises(ImportError, match=r"pnn-toolkit\[vna\]"):
        write_touchstone(tmp_path / "a.s1p", F, standard(0))


@needs_skrf
def test_a_correction_is_a_calibration_that_is_kept_and_applied(tmp_path):
    truth = np.exp(-2j * np.pi * F * 3e-10)
    box = FunctionDevice(
        lambda u: np.stack([seen((row * truth)[:, None, None]).ravel() for row in u]),
        1, len(F), output_dtype="complex128", name="analyser",
    )  # fmt: skip
    measured = {n: seen(standard(g)) for n, g in (("short", -1), ("open", 1), ("load", 0))}
    with box as device:
        made = VnaCorrection(frequencies_hz=F, measured=measured).calibration(device)
    path = made.save(tmp_path)
    with Calibrated(box, path) as corrected:
        found = corrected.measure([[1.0], [0.5]])
    assert found == pytest.approx(np.stack([truth, 0.5 * truth]), abs=1e-9)
    with pytest.raises(ValueError, match="must answer with 11 complex numbers"):
        Calibrated(FunctionDevice(abs, 1, 3, name="analyser"), path, override="test")


@needs_skrf
def test_two_ports_are_applied_in_the_order_of_the_answers():
    perfect = {name: g * np.eye(2) for name, g in (("short", -1), ("open", 1), ("load", 0))}
    perfect["thru"] = np.eye(2)[::-1]
    # An analyser that turns the phase of what goes from port 1 to port 2 only.
    turned = {n: np.broadcast_to(s + 0j, (len(F), 2, 2)).copy() for n, s in perfect.items()}
    turned["thru"][:, 1, 0] *= 1j
    s = np.array([[0.1, 0.2], [0.3j, 0.4]])
    answer = np.tile([0.1, 0.3j * 1j, 0.2, 0.4], len(F))  # S11, S21, S12, S22 at each frequency
    box = FunctionDevice(
        lambda u: np.tile(answer, (len(u), 1)), 1, 4 * len(F), output_dtype="complex128"
    )
    with box as device:
        made = VnaCorrection(frequencies_hz=F, measured=turned).calibration(device)
    with Calibrated(box, made) as corrected:
        found = corrected.measure([[0.5]]).reshape(len(F), 2, 2).swapaxes(1, 2)
    assert found[0] == pytest.approx(s, abs=1e-9)
