"""The same training in all three modes: real (a virtual board), replay of that run, simulation.

With your own board, leave the virtual one out and open board.toml. Three commands do the same:

    pnn train digits-acoustic --rig served.toml --record --out run.h5
    pnn train digits-acoustic --rig served.toml --mode replay
    pnn train digits-acoustic --rig served.toml --mode sim

with a table [replay] in the rig file whose path is run.h5.
"""

import tempfile
from pathlib import Path

from same_training import HERE, train

from devices import Recorded
from devices.rigs import build_rig, open_rig
from simulators.bench import Bench, with_addresses

with tempfile.TemporaryDirectory() as folder:
    served, recording = Path(folder) / "served.toml", Path(folder) / "recording.h5"
    with Bench.from_rig(HERE / "board.toml") as bench:
        with_addresses(HERE / "board.toml", served, bench.serve())
        with Recorded(build_rig(served, mode="real"), recording) as device:
            train(device, "virtual board, recorded")
    with served.open("a", encoding="utf-8") as file:
        file.write('\n[replay]\npath = "recording.h5"\n')
    with open_rig(served, mode="replay") as device:
        train(device, "replay")
    with open_rig(served, mode="sim") as device:
        train(device, "simulation")
