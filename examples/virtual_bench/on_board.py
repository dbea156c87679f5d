"""The same training through a microcontroller board, a virtual one, over a serial line."""

import sys
import tempfile
from pathlib import Path

from same_training import HERE, train

from devices.rigs import open_rig
from simulators.bench import Bench, with_addresses

with Bench.from_rig(HERE / "board.toml") as bench, tempfile.TemporaryDirectory() as folder:
    served = Path(folder) / "served.toml"
    # A pseudo-terminal is a serial port to the host; Windows has none, and takes a socket.
    addresses = bench.serve(pty=sys.platform != "win32")
    with_addresses(HERE / "board.toml", served, addresses)
    with open_rig(served) as device:
        train(device, f"board on {addresses['board']}")
    print(f"outputs on afterwards: {bench.outputs_on()}")
