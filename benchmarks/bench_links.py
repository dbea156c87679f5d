"""Links on loopback against a raw socket and against stock pyvisa, as ratios in one run.

    python benchmarks/bench_links.py

Absolute figures depend on the machine; the ratios are what the transports promise. Every pair is
measured in turn, several times, and the best of each counts; of a step, which is slow or fast by
the timers of TCP, the median.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable

import numpy as np

from devices.drivers.board import Board
from devices.drivers.board_facts import BoardFacts
from devices.drivers.board_frames import END, Op, pack, unpack
from devices.transports import open_transport

FLOATS = np.random.default_rng(0).standard_normal(1_000_000).astype("<f4")
STEP = np.random.default_rng(1).integers(-32767, 32767, 1000).astype("<i2")
ROUNDS = 5


def best(function: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the shortest of several times, in s."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def median(function: Callable[[], object], rounds: int) -> float:
    """Return the median of several times, in s."""
    return float(np.median([best(function, 1) for _ in range(rounds)]))


class Server:
    """Answers `*IDN?`, `*ESE`, `BLOCK?` (the floats), `STEP?` (1000 points); takes `DATA #...`."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        size = len(FLOATS.tobytes())
        self._block = b"#%d%d" % (len(str(size)), size) + FLOATS.tobytes() + b"\n"
        self._step = b"#42000" + STEP.tobytes() + b"\n"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            line, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        # As most instruments: Nagle's algorithm is left on, a write and a query stay apart.
        stream = line.makefile("rb")
        while text := stream.readline():
            if text.startswith(b"DATA #42000"):
                while len(text) < len(b"DATA #42000") + 2000 + 1:
                    text += stream.readline()
            elif text.startswith(b"*IDN?"):
                line.sendall(b"Example,Bench,1,0\n")
            elif text.startswith(b"BLOCK?"):
                line.sendall(self._block)
            elif text.startswith(b"STEP?"):
                line.sendall(self._step)

    def raw(self) -> socket.socket:
        """Return a plain connection."""
        return socket.create_connection(("127.0.0.1", self.port))


def block(server: Server) -> tuple[float, float, float]:
    """Seconds for 1e6 float32: raw socket, this transport, stock `query_binary_values`."""
    import pyvisa

    plain = server.raw()
    size = len(FLOATS.tobytes())

    def raw() -> None:
        plain.sendall(b"BLOCK?\n")
        whole = bytearray(2 + len(str(size)) + size + 1)
        view = memoryview(whole)
        while view:
            view = view[plain.recv_into(view) :]
        np.frombuffer(whole, "<f4", offset=2 + len(str(size)), count=len(FLOATS))

    address = f"TCPIP::127.0.0.1::{server.port}::SOCKET"
    with open_transport(address) as transport:

        def ours() -> None:
            assert len(np.frombuffer(transport.query_block("BLOCK?"), "<f4")) == len(FLOATS)

        stock = pyvisa.ResourceManager("@py").open_resource(address)
        stock.read_termination = stock.write_termination = "\n"

        def theirs() -> None:
            stock.query_binary_values("BLOCK?", datatype="f", container=np.array)

        times = best(raw, 3 * ROUNDS), best(ours, 3 * ROUNDS), best(theirs)
        stock.close()
        return times


def drive_and_measure(server: Server) -> tuple[float, float]:
    """Seconds for 1000 points out and 1000 in: this transport, stock write-then-query."""
    import pyvisa

    address = f"TCPIP::127.0.0.1::{server.port}::SOCKET"
    stock = pyvisa.ResourceManager("@py").open_resource(address)
    stock.read_termination = stock.write_termination = "\n"

    def theirs() -> None:
        stock.write_binary_values("DATA ", STEP, datatype="h")
        stock.query_binary_values("STEP?", datatype="h", container=np.array)

    with open_transport(address) as transport:

        def ours() -> None:
            with transport.step():
                transport.write_block("DATA ", STEP.tobytes())
                np.frombuffer(transport.query_block("STEP?"), "<i2")

        times = median(ours, 200), median(theirs, 25)
    stock.close()
    return times


def board_transfer() -> tuple[float, float]:
    """Seconds for 200 kB of readings from a board on a pty: this driver, pyvisa-py's serial."""
    import pty
    import tty

    import pyvisa

    n_adc, rows = 100, 1000  # 201 bytes a row, 201 kB
    facts = BoardFacts(1, 1, n_adc, 12, 12, 60_000, 0.0, 3.3, 0.0, 3.3, 0, 2000, "bench")

    def answer(operation: int, payload: bytes) -> bytes:
        if operation == Op.HELLO:
            return facts.pack()
        if operation == Op.STATUS:
            return struct.pack("<BHHIh", 0, 0, 0, 0, 0)
        if operation == Op.MEASURE:
            return payload[:2] + bytes(1 + 2 * n_adc) * int.from_bytes(payload[:2], "little")
        return payload

    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    raw = threading.Event()  # from now on, only lines: 200 kB for every one that comes

    def serve() -> None:
        waiting = b""
        while True:
            waiting += os.read(ours, 65536)
            while not raw.is_set() and END in waiting:
                frame, _, waiting = waiting.partition(END)
                if found := unpack(frame):
                    sequence, operation, payload = found
                    reply = pack(sequence, operation | Op.ANSWER, answer(operation, payload))
                    write_all(ours, reply)
            if raw.is_set() and b"\n" in waiting:
                waiting = b""
                write_all(ours, bytes(200_000 - 1) + b"\n")

    threading.Thread(target=serve, daemon=True).start()
    name = os.ttyname(theirs)
    with Board(f"serial://{name}") as board:
        codes = np.zeros((rows, 1))
        mine = best(lambda: board.measure(codes))
    raw.set()
    stock = pyvisa.ResourceManager("@py").open_resource(f"ASRL{name}::INSTR")
    stock.timeout, stock.write_termination, stock.read_termination = 20_000, "\n", "\n"
    stock.baud_rate = 115200

    def slow() -> None:
        stock.write("DATA?")
        assert len(stock.read_bytes(200_000)) == 200_000

    other = best(slow, 2)
    stock.close()
    return mine, other


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything to a file descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def main() -> None:
    """Measure and print."""
    warnings.filterwarnings("ignore", module="pyvisa")
    server = Server()
    raw, ours, stock = block(server)
    size = len(FLOATS.tobytes()) / 1e6
    print(
        f"block of 1e6 float32: raw {size / raw:.0f} MB/s, ours {size / ours:.0f} MB/s, "
        f"query_binary_values {size / stock:.0f} MB/s"
    )
    print(
        f"  share of a raw socket {100 * raw / ours:.0f} % (at least 40 %), "
        f"{stock / ours:.1f} times stock (at least 8)"
    )
    mine, theirs = drive_and_measure(server)
    print(
        f"drive and measure 1000 points: ours {1e3 * mine:.2f} ms, stock {1e3 * theirs:.1f} ms, "
        f"{theirs / mine:.0f} times faster (at least 40)"
    )
    if hasattr(os, "openpty"):
        mine, theirs = board_transfer()
        print(
            f"200 kB from a board: ours {1e3 * mine:.1f} ms, pyvisa-py serial "
            f"{1e3 * theirs:.0f} ms, {theirs / mine:.0f} times faster (at least 30)"
        )


if __name__ == "__main__":
    main()
