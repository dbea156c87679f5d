"""The same training through a generator and an oscilloscope, virtual ones, over TCP.

With instruments on the network, put their addresses into acoustic.toml and keep the last two
lines: nothing else changes. Two shells do what this script does in one:

    pnn bench serve acoustic.toml --write served.toml
    pnn train digits-acoustic --rig served.toml
"""

import tempfile
from pathlib import Path

from same_training import HERE, train

from devices.rigs import open_rig
from simulators.bench import Bench, with_addresses

with Bench.from_rig(HERE / "acoustic.toml") as bench, tempfile.TemporaryDirectory() as folder:
    served = Path(folder) / "served.toml"
    with_addresses(HERE / "acoustic.toml", served, bench.serve())
    with open_rig(served) as device:
        train(device, "virtual bench over TCP")
    print(f"outputs on afterwards: {bench.outputs_on()}")
