import copy
import pickle

import numpy as np
import pytest
import torch

from devices import DeviceSpec, Differentiable, LimitError, build_device
from simulators.twins import (
    LAWS,
    Affine,
    Magnitude,
    Network,
    OutsideRangeWarning,
    Quadratic,
    Range,
    Twin,
    TwinModel,
    read_twin,
    write_twin,
)

SHAPES = {"channel": 4, "input": 3, "product": 6, "hidden": 5}


def law_of(kind, seed=0):
    random = np.random.default_rng(seed)
    law = LAWS[kind]
    return law(*(1 + random.random([SHAPES[dim] for dim in dims]) for dims in law.dims.values()))


def twin_of(law, *, n_outputs=4, dtype="float64", high=1.0, spread=0.1, **options):
    drives = np.random.default_rng(1).random((200, 3))
    spec = DeviceSpec(
        name="twin of a box", n_inputs=3, n_outputs=n_outputs, high=high, output_dtype=dtype,
        input_unit="V", domain="tones",
    )  # fmt: skip
    model = TwinModel(
        law=law, spec=spec, range=Range.of(drives), spread=np.full(4, spread), report={"r2": 0.9}
    )
    return Twin(model, **options)


def test_the_laws_are_what_they_say():
    u = np.array([[0.2, 0.7, 0.4]])
    a = law_of("affine")
    assert a(u)[0] == pytest.approx(a.matrix @ u[0] + a.offset)
    m = law_of("magnitude")
    field = (m.real + 1j * m.imag) @ u[0] + m.offset_real + 1j * m.offset_imag
    assert m(u)[0] == pytest.approx(np.abs(field))
    q = law_of("quadratic")
    z = (u[0] - q.centre) / q.spread
    i, j = np.triu_indices(3)
    assert q(u)[0] == pytest.approx(q.offset + q.linear @ z + q.products @ (z[i] * z[j]))
    n = law_of("network")
    z = (u[0] - n.centre) / n.spread
    h = n.inner @ z + n.inner_offset
    scaled = n.affine @ z + n.outer @ (h / (1 + np.exp(-h))) + n.outer_offset
    assert n(u)[0] == pytest.approx(n.scale * scaled + n.middle)


@pytest.mark.parametrize("kind", LAWS)
def test_a_twin_measures_what_it_differentiates(kind):
    drives = np.random.default_rng(2).random((6, 3))
    with twin_of(law_of(kind)) as twin:
        assert isinstance(twin, Differentiable)
        tensor = torch.tensor(drives, requires_grad=True)
        assert twin.forward(tensor).detach().numpy() == pytest.approx(twin.measure(drives))
        assert torch.autograd.gradcheck(twin.forward, tensor)
        assert twin.multiply_adds > 0
        assert twin.ledger.queries["probe"] == 6


def test_the_slope_of_a_magnitude_is_finite_where_the_field_vanishes():
    zeros = np.zeros((4, 3))
    law = Magnitude(np.ones((4, 3)), zeros, np.zeros(4), np.zeros(4))
    drives = torch.zeros((1, 3), requires_grad=True)
    twin_of(law, outside="allow").forward(drives).sum().backward()
    assert torch.isfinite(drives.grad).all()


def test_complex_answers_are_pairs_of_channels():
    with twin_of(law_of("affine"), n_outputs=2, dtype="complex128") as twin:
        answers = twin.measure([[0.1, 0.2, 0.3]])
        channels = law_of("affine")(np.array([[0.1, 0.2, 0.3]]))
        assert answers[0] == pytest.approx(channels[0, :2] + 1j * channels[0, 2:])
        tensor = torch.tensor([[0.1, 0.2, 0.3]], dtype=torch.float64)
        assert twin.forward(tensor).numpy() == pytest.approx(answers)


def test_drives_that_were_never_seen_are_told_refused_or_let_pass():
    law, rows = law_of("affine"), [[0.5, 0.5, 0.5], [0.5, 1.7, 0.5]]
    with twin_of(law, high=2.0) as twin:
        with pytest.warns(OutsideRangeWarning, match=r"1 of 2 drives .* row 1: input 1 is 1\.7"):
            answers = twin.measure(rows)
        with pytest.warns(OutsideRangeWarning):
            twin.forward(torch.tensor(rows))
    refusing = twin_of(law, high=2.0, outside="refuse")
    with refusing as twin, pytest.raises(LimitError, match="row 1: input 1"):
        twin.measure(rows)
    with twin_of(law, high=2.0, outside="allow") as twin:
        assert (twin.measure(rows) == answers).all()
        with pytest.raises(LimitError, match="outside"):
            twin.measure([[0.5, 2.5, 0.5]])


def test_a_corner_of_the_box_is_outside_where_inputs_went_together():
    random = np.random.default_rng(0)
    together = np.repeat(random.random((500, 1)), 2, axis=1) + 0.01 * random.random((500, 2))
    bad, why = Range.of(together).outside(np.array([[0.5, 0.5], [0.9, 0.1]]))
    assert bad.tolist() == [False, True]
    assert "together" in why


def test_new_rows_of_the_same_kind_are_inside():
    random = np.random.default_rng(0)
    inside = Range.of(random.random((500, 10)))
    assert not inside.outside(random.random((1000, 10)))[0].any()


def test_an_input_that_never_moved_may_not_move():
    drives = np.random.default_rng(0).random((50, 2)) * [1, 0] + [0, 3.0]
    bad, why = Range.of(drives).outside(np.array([[0.5, 3.0], [0.5, 3.1]]))
    assert bad.tolist() == [False, True]
    assert "input 1 is 3.1" in why


def test_noise_is_as_strong_as_it_was_and_comes_from_the_seed():
    drives = np.full((4000, 3), 0.5)
    with twin_of(law_of("affine"), noise=True, seed=3) as twin:
        answers = twin.measure(drives)
        assert answers.std(axis=0) == pytest.approx(np.full(4, 0.1), rel=0.1)
    with twin_of(law_of("affine"), noise=True, seed=3) as again:
        assert (again.measure(drives) == answers).all()
    with twin_of(law_of("affine")) as silent:
        assert np.ptp(silent.measure(drives), axis=0).max() == 0


@pytest.mark.parametrize("kind", LAWS)
def test_a_file_has_the_whole_twin(kind, tmp_path):
    path = tmp_path / "twin.h5"
    drives = np.random.default_rng(2).random((6, 3))
    with twin_of(law_of(kind)) as twin:
        answers = twin.measure(drives)
        assert write_twin(twin.model, path, recording_digest="abc") == path
        with pytest.raises(FileExistsError, match="not overwritten"):
            write_twin(twin.model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["twin.h5"]
    assert read_twin(path).report == {"r2": 0.9}
    with build_device(f"twin?path={path}&outside=refuse") as twin:
        assert (twin.measure(drives) == answers).all()
        assert (twin.spec.input_unit, twin.spec.domain, twin.reproducible) == ("V", "tones", True)
    for other in (copy.copy(twin), pickle.loads(pickle.dumps(twin))):
        with other:
            assert (other.measure(drives) == answers).all()


def test_a_twin_file_opens_in_xarray(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    write_twin(twin_of(law_of("network")).model, tmp_path / "twin.h5")
    for group in (None, "law", "range", "report"):
        with xarray.open_dataset(tmp_path / "twin.h5", engine="h5netcdf", group=group) as data:
            if group == "law":
                assert data["inner"].dims == ("hidden", "input")


def test_files_and_arguments_that_are_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="pnn twin fit"):
        Twin(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(ValueError, match="is no twin"):
        Twin(tmp_path / "text.h5")
    with pytest.raises(ValueError, match="outside='loudly' is not one of warn, refuse, allow"):
        twin_of(law_of("affine"), outside="loudly")
    with pytest.raises(ValueError, match="forward"):
        twin_of(law_of("affine")).forward(np.zeros((1, 3)))


def test_the_laws_have_names_in_the_order_of_their_simplicity():
    assert list(LAWS.values()) == [Affine, Magnitude, Quadratic, Network]
