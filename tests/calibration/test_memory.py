import numpy as np
import pytest
from shift_register import ShiftRegister

from calibration import MemoryCapacity
from devices import FunctionDevice


def test_memory_capacity_is_the_length_of_a_shift_register():
    procedure = MemoryCapacity(rows=1500, longest=12)
    with ShiftRegister(7) as line:
        found = procedure.run(line)
        assert line.ledger.total == procedure.queries(line.spec) == 1600
    assert found.capacity == pytest.approx(7, abs=0.1)
    assert found.curve[1:8] == pytest.approx(np.ones(7), abs=0.02)
    assert found.curve[[0, 8, 12]] == pytest.approx(np.zeros(3))
    with FunctionDevice(lambda u: u, 1, 1) as device, pytest.raises(ValueError, match="no memory"):
        procedure.run(device)
