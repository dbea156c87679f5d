import numpy as np

from calibration import Ranks
from devices import FunctionDevice, Noisy


def test_ranks_above_the_noise():
    wires = np.random.default_rng(1).normal(size=(10, 5))
    out = np.random.default_rng(2).normal(size=(5, 40))
    procedure = Ranks()
    with Noisy(FunctionDevice(lambda u: (u @ wires) @ out, 10, 40), 0.05) as device:
        found = procedure.run(device)
        assert device.ledger.total == procedure.queries(device.spec) == 160
    assert found.kernel_rank == 5
    assert found.generalisation_rank <= 5
    with Noisy(FunctionDevice(lambda u: (u @ wires) @ out, 10, 40), 0.5) as device:
        assert Ranks(similar=0.001).run(device).generalisation_rank == 0
    with FunctionDevice(lambda u: (u @ wires) @ out, 10, 40) as device:
        exact = Ranks().run(device)
    assert exact.kernel_rank == exact.generalisation_rank == 5
