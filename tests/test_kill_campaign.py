"""Training runs and sweeps survive kill -9; `python tests/kill_campaign.py` kills more often."""

import os

import pytest

if os.name != "posix":
    pytest.skip("needs fork and kill -9", allow_module_level=True)
pytest.importorskip("xarray")

from kill_campaign import campaign


def test_a_few_kills(tmp_path):
    happened = campaign(5, 0, tmp_path)
    assert sum(n for what, n in happened.items() if "killed" in what) == 5


@pytest.mark.slow
def test_two_hundred_kills(tmp_path):
    happened = campaign(200, 1, tmp_path)
    assert sum(n for what, n in happened.items() if "checked" in what) > 100
