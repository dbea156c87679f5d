"""What every rig must do. Runs against the virtual bench, or against the rig that is named:

``PNN_TEST_RIG=path/to/rig.toml pytest tests/devices/rigs/test_any_rig.py``. A few dozen rows
of small drives are then really driven.
"""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from devices import LimitError
from devices.rigs import make_safe, open_rig
from simulators.bench import Bench

NAMED = os.environ.get("PNN_TEST_RIG")

TABLES = {
    "waveform": """
        [rig]
        kind = "waveform"
        n_inputs = 8
        settle_samples = 2048
        [instruments.generator]
        driver = "keysight-33500"
        address = "{generator}"
        load_ohm = inf
        [instruments.oscilloscope]
        driver = "infiniivision"
        address = "{oscilloscope}"
        channels = [1, 2]
        range_v = 2.0
        [limits]
        peak_v = 0.5
        [sim]
        device = "sim:acoustic-cavity?n_inputs=8&n_outputs=16"
        """,
    "segments": """
        [rig]
        kind = "waveform"
        n_inputs = 8
        settle_samples = 512
        rows_per_shot = 2
        capture = "segments"
        [instruments.generator]
        driver = "keysight-33500"
        address = "{generator}"
        load_ohm = 50
        channels = [1]
        [instruments.oscilloscope]
        driver = "infiniivision"
        address = "{oscilloscope}"
        channels = [1, 2]
        range_v = 4.0
        acquisition = "hresolution"
        [sim]
        device = "sim:acoustic-cavity?n_inputs=8&n_outputs=16"
        """,
    "board": """
        [rig]
        kind = "board"
        n_inputs = 8
        n_outputs = 16
        [instruments.board]
        driver = "board"
        address = "{board}"
        [limits]
        peak_v = 3.3
        [sim]
        device = "sim:acoustic-cavity?n_inputs=8&n_outputs=16"
        """,
    "metasurface": """
        [rig]
        kind = "metasurface"
        sentinel_every = 10
        [instruments.surface]
        driver = "metasurface"
        address = "{surface}"
        n_elements = 8
        [instruments.analyser]
        driver = "pna"
        address = "{analyser}"
        start_hz = 2.4e9
        stop_hz = 2.5e9
        points = 5
        parameters = ["S31", "S41"]
        [sim]
        device = "sim:metasurface?n_inputs=8&n_outputs=8&walls=100&complex_answers=true&noise=1e-4"
        """,
}


@pytest.fixture(scope="module", params=["named"] if NAMED else sorted(TABLES))
def rig_file(request, tmp_path_factory):
    """The file of a rig that can be opened."""
    if NAMED:
        yield Path(NAMED)
        return
    import tomllib

    tables = TABLES[request.param]
    with Bench(tomllib.loads(tables)) as bench:
        path = tmp_path_factory.mktemp("rig") / f"{request.param}.toml"
        path.write_text(tables.format(**bench.serve()))
        yield path


@pytest.fixture
def rig(rig_file):
    with open_rig(rig_file) as device:
        yield device


def small_drives(spec, n, seed=0):
    """Rows near the lower end of what is legal, or random bits."""
    random = np.random.default_rng(seed)
    low, high = spec.limits
    if spec.domain == "bits":
        return np.where(random.random((n, spec.n_inputs)) < 0.5, low, high)
    return low + 0.2 * random.random((n, spec.n_inputs)) * (high - low)


def spread(rig, n=4):
    """Standard deviation of repeats of one row, largest over the outputs."""
    row = small_drives(rig.spec, 1)
    return float(np.std(rig.measure(np.repeat(row, n, axis=0)), axis=0).max())


def test_rows_come_back_in_their_order_and_are_counted(rig):
    drives = small_drives(rig.spec, 6)
    answers = rig.measure(drives, purpose="test")
    assert answers.shape == (6, rig.spec.n_outputs)
    assert rig.ledger.queries["test"] == 6
    backwards = rig.measure(drives[::-1])[::-1]
    assert np.abs(backwards - answers).max() <= 12 * spread(rig) + 1e-12
    assert np.abs(np.diff(answers, axis=0)).max() > 0


def test_two_threads_never_swap_answers(rig):
    drives = small_drives(rig.spec, 6, seed=1)
    expected, room = rig.measure(drives), 12 * spread(rig) + 1e-12
    wrong = []

    def ask(rows):
        for k in rows:
            if np.abs(rig.measure(drives[k : k + 1])[0] - expected[k]).max() > room:
                wrong.append(k)

    threads = [threading.Thread(target=ask, args=(rows,)) for rows in (range(6), range(5, -1, -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_illegal_drives_are_refused_before_anything_is_driven(rig):
    before = rig.ledger.total
    low, high = rig.spec.limits
    with pytest.raises(LimitError):
        rig.measure((high + (high - low))[None])
    assert rig.ledger.total == before


def test_it_drives_again_after_it_was_made_safe_or_held(rig):
    drives = small_drives(rig.spec, 2)
    expected, room = rig.measure(drives), 12 * spread(rig) + 1e-12
    rig.safe()
    assert np.abs(rig.measure(drives) - expected).max() <= room
    rig.hold()
    assert np.abs(rig.measure(drives) - expected).max() <= room


def test_every_instrument_says_who_it_is(rig):
    for name, settings in rig.settings().items():
        assert settings, name


def test_it_can_be_made_safe_from_outside(rig_file):
    done = make_safe(rig_file)
    assert done
    assert [error for _, error in done if error] == []
