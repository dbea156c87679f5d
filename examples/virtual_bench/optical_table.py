"""What stands on the optical table: put your own modulator, camera and photodiode here."""

from simulators.bench import OpticalTable

TABLE = OpticalTable(
    "sim:scattering-medium?n_inputs=64&n_outputs=256&seed=0",
    shape=(8, 8),
    regions=(16, 16),
    stale=2,
    latency_s=0.001,
)


def modulator():
    return TABLE.modulator


def camera():
    return TABLE.camera


def laser():
    return 1.0
