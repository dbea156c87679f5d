import numpy as np
import pytest

from calibration import CrossTalkTest
from devices import CrossTalk, DeadChannels, FunctionDevice, Noisy


def test_cross_talk_of_neighbours():
    inner = FunctionDevice(lambda u: 2.0 * u, 8, 8)
    procedure = CrossTalkTest(repeats=8)
    with Noisy(CrossTalk(DeadChannels(inner, inputs=[5]), outputs=0.05), 1e-3) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 72
    assert found.partner.tolist() == [0, 1, 2, 3, 4, -1, 6, 7]
    # A neighbour gets 0.05 of what the channel keeps 0.9 of (0.95 at the ends).
    assert found.cross_talk_db[1, 2] == pytest.approx(20 * np.log10(0.05 / 0.9), abs=0.2)
    assert found.worst_db == pytest.approx(20 * np.log10(0.05 / 0.9), abs=0.3)
    assert np.isnan(found.cross_talk_db[:, 5]).all()
