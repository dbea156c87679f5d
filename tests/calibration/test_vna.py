import importlib.util

import numpy as np
import pytest

from calibration.vna import VnaCorrection, read_touchstone, write_touchstone

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
