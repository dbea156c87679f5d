"""Rigs against the virtual bench, in good order and with every fault: right data or an error."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import DeviceError, Flag, InstrumentError, LimitError
from devices.rigs import open_rig
from devices.transports import loop
from simulators.bench import KINDS, Bench, with_addresses

pytest.importorskip("pyvisa_py")
pytest.importorskip("cobs")

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "virtual_bench"
RIGS = {
    "waveform": """
[rig]
kind = "waveform"
n_inputs = 8
window_samples = 256
settle_samples = 256
rows_per_shot = 1

[instruments.generator]
driver = "keysight-33500"
load_ohm = inf
timeout_s = 0.15
resync_s = 0.4
[instruments.oscilloscope]
driver = "infiniivision"
channels = [1, 2]
acquisition = "hresolution"
points = 2000
timeout_s = 0.15
resync_s = 0.4

[limits]
peak_v = 5.0

[sim]
device = "sim:acoustic-cavity?n_inputs=8&n_outputs=16&n_window=256&n_settle=256&noise=0"
""",
    "board": """
[rig]
kind = "board"
n_inputs = 6
n_outputs = 9
high_v = 3.3
max_batch = 3

[instruments.board]
driver = "board"
timeout_s = 0.15
resync_s = 0.4

[sim]
device = "sim:acoustic-cavity?n_inputs=6&n_outputs=9&noise=0"
""",
    "metasurface": """
[rig]
kind = "metasurface"

[instruments.surface]
driver = "metasurface"
idn = "pnn-metasurface"
n_elements = 16
timeout_s = 0.15
resync_s = 0.4
[instruments.analyser]
driver = "pna"
start_hz = 2.4e9
stop_hz = 2.5e9
points = 4
parameters = ["S31", "S42"]
power_dbm = 0
timeout_s = 0.15
resync_s = 0.4

[sim]
device = "sim:metasurface?n_inputs=16&walls=80&n_outputs=8&complex_answers=true&noise=0"
""",
}
_METASURFACE = RIGS["metasurface"]
RIGS["nanovna"] = (
    _METASURFACE[: _METASURFACE.index("[instruments.analyser]")]
    + """
[instruments.analyser]
driver = "nanovna"
start_hz = 2.4e9
stop_hz = 2.5e9
points = 8
timeout_s = 0.15
resync_s = 0.4

[sim]
device = "sim:metasurface?n_inputs=16&walls=80&n_outputs=8&complex_answers=true&noise=0"
"""
)
LINKS = {
    "waveform": ["loop", "tcp", "visa-calls"],
    "board": ["loop", "tcp", "pty"],
    "metasurface": ["loop", "tcp"],
    "nanovna": ["loop", "tcp", "pty"],
}
PAIRS = [(kind, link) for kind, links in LINKS.items() for link in links]
# What asks for data, or comes with it.
MEASURES = {
    "waveform": ":STOP", "board": "0x12", "metasurface": "SWE:MODE SING", "nanovna": "scan"
}  # fmt: skip
# The instrument that answers with the data, and on one link the other one.
CASES = [(kind, link, -1) for kind, link in PAIRS]
CASES += [("waveform", "tcp", 0), ("metasurface", "tcp", 0)]
# Physics that changes is no fault of the link: it is measured as it is.
PHYSICAL = ("drift", "saturate")


@pytest.fixture
def rehearse(tmp_path):
    """Return what makes a bench with faults, and the rig file that leads to it."""
    benches = []

    def make(kind, link, *faults):
        source, served = tmp_path / "rig.toml", tmp_path / "served.toml"
        text = RIGS[kind]
        if link == "visa-calls":  # past the socket that pyvisa-py has underneath
            text = text.replace("resync_s = 0.4", "resync_s = 0.4\ndirect = false")
        source.write_text(text)
        bench = Bench.from_rig(source, faults)
        benches.append(bench)
        if link == "loop":
            addresses = {name: f"loop:{name}" for name in bench.instruments}
            for name, peer in bench.instruments.items():
                loop.register(name, peer)
        else:
            if link == "pty" and sys.platform == "win32":
                pytest.skip("no pseudo-terminals")
            addresses = bench.serve(pty=link == "pty")
        with_addresses(source, served, addresses)
        return bench, served

    yield make
    for bench in benches:
        bench.close()
        for name in bench.instruments:
            loop.unregister(name)


def rows_for(device, n=4):
    spec = device.spec
    low, high = np.broadcast_to(spec.low, spec.n_inputs), np.broadcast_to(spec.high, spec.n_inputs)
    rows = np.random.default_rng(0).uniform(low, high, (n, spec.n_inputs))
    return np.rint(rows) if spec.domain == "bits" else rows


def truth(kind, rehearse, known={}):  # noqa: B006  (measured once for each kind)
    if kind not in known:
        _, served = rehearse(kind, "loop")
        with open_rig(served) as device:
            rows = rows_for(device)
            known[kind] = rows, device.measure(rows)
    return known[kind]


def close_enough(kind):
    # Rows of one upload follow each other: what the row before left behind is part of a row.
    return {"rtol": 0, "atol": 0.01 if kind == "waveform" else 1e-3}


@pytest.mark.parametrize(("kind", "link"), PAIRS)
def test_every_link_gives_the_same_rows_and_leaves_outputs_off(rehearse, kind, link):
    rows, expected = truth(kind, rehearse)
    bench, served = rehearse(kind, link)
    with open_rig(served) as device:
        np.testing.assert_allclose(device.measure(rows), expected, **close_enough(kind))
    assert not any(bench.outputs_on().values())


@pytest.mark.parametrize("fault", KINDS)
@pytest.mark.parametrize(("kind", "link", "target"), CASES)
def test_each_fault_ends_in_recovery_or_one_named_error(rehearse, kind, link, target, fault):
    rows, expected = truth(kind, rehearse)
    bench, served = rehearse(kind, link)
    instrument = list(bench.instruments)[target]
    if fault not in bench.instruments[instrument].faults_of:
        with pytest.raises(ValueError, match=f"{fault}.* cannot strike {instrument}"):
            bench.faults.add(f"{instrument}:{fault}")
        return
    with open_rig(served) as device:
        device.measure(rows[:1])
        size = "=0.3" if fault == "late" else ""
        skipped = 0 if fault in (*PHYSICAL, "nan", "identity", "error") else 2
        where = MEASURES[kind] if fault == "error" and target else ""
        bench.faults.add(f"{instrument}:{fault}{size},after={skipped},times=1,match={where}")
        failed, measured = None, None
        try:
            measured = device.acquire(rows)
        except DeviceError as error:
            failed = error
            bench.faults.clear()
        if measured is not None:
            right = np.isclose(measured.outputs, expected, **close_enough(kind)).all(axis=1)
            if fault == "saturate":
                right |= measured.flags & Flag.SATURATED > 0
            assert right.all() or fault == "drift"
        else:
            assert str(failed)
            kept = failed.rows if failed.rows is not None else expected[:0]
            np.testing.assert_allclose(kept, expected[: len(kept)], **close_enough(kind))
            again = device.measure(rows)
            np.testing.assert_allclose(again, expected, **close_enough(kind))
    assert not any(bench.outputs_on().values())


@pytest.mark.parametrize(
    ("name", "instrument"),
    [
        ("acoustic", "generator"), ("acoustic", "oscilloscope"), ("board", "board"),
        ("metasurface", "surface"), ("metasurface", "analyser"),
    ],
)  # fmt: skip
def test_another_instrument_is_refused_by_each_example(name, instrument, tmp_path):
    source, served = EXAMPLES / f"{name}.toml", tmp_path / "served.toml"
    with Bench.from_rig(source, [f"{instrument}:identity"]) as bench:
        with_addresses(source, served, bench.serve())
        with pytest.raises(DeviceError, match=r"(?i)elsewhere.*expected one matching"):
            open_rig(served)


@pytest.mark.parametrize(("kind", "link"), PAIRS)
def test_another_instrument_at_the_address_is_refused(rehearse, kind, link):
    _, served = rehearse(kind, link, "identity")
    with pytest.raises(DeviceError, match=r"(?i)elsewhere|identity|tinySA"):
        open_rig(served)


@pytest.mark.parametrize("kind", ["waveform", "board"])
def test_another_instrument_after_a_reconnection_is_refused(rehearse, kind):
    rows, expected = truth(kind, rehearse)
    bench, served = rehearse(kind, "tcp")
    with open_rig(served) as device:
        bench.faults.add(f"{list(bench.instruments)[-1]}:drop,after=1")
        bench.faults.add(f"{list(bench.instruments)[-1]}:identity")
        with pytest.raises(DeviceError, match=r"(?i)elsewhere") as caught:
            device.measure(rows)
        assert len(caught.value.rows) < len(rows)
        bench.faults.clear()
        np.testing.assert_allclose(device.measure(rows), expected, **close_enough(kind))


def test_an_entry_in_the_error_queue_is_an_instrument_error(rehearse):
    bench, served = rehearse("waveform", "tcp")
    with open_rig(served) as device:
        rows = rows_for(device)
        bench.faults.add("generator:error,after=1")
        with pytest.raises(InstrumentError, match="on demand"):
            device.measure(rows)


def test_what_reaches_the_load_is_what_the_rig_says(rehearse):
    bench, served = rehearse("waveform", "tcp")
    with open_rig(served) as device:
        rows = rows_for(device)
        waves = device.waveforms(rows)
        device.measure(rows)
    reached = max(max(abs(b.low_v), abs(b.high_v)) for b in bench.wiring.played)
    assert reached == pytest.approx(np.abs(waves).max(), rel=1e-3)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    scale=st.floats(0.0, 1.0),
    averages=st.integers(1, 2),
    fault=st.sampled_from(["", "drop", "short", "stall"]),
    data=st.data(),
)
def test_no_drive_beyond_a_limit_reaches_the_load(rehearse, scale, averages, fault, data):
    limit = data.draw(st.sampled_from([0.06, 0.08, 0.2]))
    bench, served = rehearse("waveform", "loop")
    served.write_text(served.read_text().replace("peak_v = 5.0", f"peak_v = {limit}"))
    with open_rig(served) as device:
        if fault:
            bench.faults.add(f"oscilloscope:{fault},after={data.draw(st.integers(0, 9))}")
        drives = scale * np.random.default_rng(1).uniform(size=(2, 8))
        too_much = np.abs(device.waveforms(drives)).max() > limit
        try:
            device.measure(drives, averages=averages)
        except LimitError:
            assert too_much
        except DeviceError:
            pass
        else:
            assert not too_much
    reached = [max(abs(burst.low_v), abs(burst.high_v)) for burst in bench.wiring.played]
    assert max(reached, default=0.0) <= limit * (1 + 1e-3)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 99),
    peak=st.sampled_from([0.2, 0.5, 3.0]),
    slew=st.sampled_from([None, 50.0, 400.0]),
    averages=st.integers(1, 3),
    mode=st.sampled_from(["error", "clip"]),
    fault=st.sampled_from(["", "drop", "short", "stall", "error"]),
    after=st.integers(0, 9),
)
def test_no_voltage_or_step_beyond_a_limit_leaves_the_board(
    rehearse, seed, peak, slew, averages, mode, fault, after
):
    """Rows, repeats, retries, reconnections and the ramp to rest: all steps that the DACs take."""
    bench, served = rehearse("board", "loop")
    limits = f'[limits]\npeak_v = {peak}\nmode = "{mode}"\n'
    limits += "" if slew is None else f"slew_v_per_s = {slew}\n"
    text = served.read_text().replace("driver", "settle_us = 5000\ndriver")
    if mode == "error":  # a range beyond the limit is no rig
        text = text.replace("high_v = 3.3", f"high_v = {peak}")
    served.write_text(text.replace("[sim]", limits + "[sim]"))
    board, driven = bench.instruments["board"], []
    take_note = board.converters.drive
    board.converters.drive = lambda rows: (driven.extend(rows), take_note(rows))
    walk = np.cumsum(np.random.default_rng(seed).uniform(-0.15, 0.15, (3, 5, 6)), axis=1)
    with open_rig(served) as device:
        if fault:
            bench.faults.add(f"{fault},after={after}")
        for drives in np.clip(0.1 + walk, 0, 3.3):
            try:
                device.measure(drives, averages=averages)
            except DeviceError:
                continue
    volts = board.converters.volts(np.array([board.converters.rest, *driven]))
    code = 3.3 / 4095  # what rounding may add
    assert volts.max() <= peak + code
    if slew is not None:
        assert np.abs(np.diff(volts, axis=0)).max(initial=0) <= slew * 5e-3 + 2 * code


@pytest.mark.parametrize("name", ["acoustic", "board", "metasurface"])
def test_the_rig_files_of_the_examples_work(name, tmp_path):
    source = EXAMPLES / f"{name}.toml"
    with Bench.from_rig(source) as bench:
        with_addresses(source, tmp_path / "served.toml", bench.serve())
        with open_rig(tmp_path / "served.toml") as real, open_rig(source, mode="sim") as sim:
            assert real.spec.n_inputs == sim.spec.n_inputs
            assert real.spec.n_outputs == sim.spec.n_outputs
            rows = rows_for(real, 1)
            assert np.isfinite(real.measure(rows)).all()
        assert not any(bench.outputs_on().values())
