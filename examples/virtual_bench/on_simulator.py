"""Train on the simulator that a rig file names: no instruments, real or virtual."""

from same_training import HERE, train

from devices.rigs import open_rig

with open_rig(HERE / "acoustic.toml", mode="sim") as device:
    train(device, "simulator")
