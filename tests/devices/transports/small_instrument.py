"""A small SCPI instrument with faults on demand, in this process, behind TCP, or on a pty."""

from __future__ import annotations

import os
import queue
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

IDN = "Example,Small,1,0"


class SmallInstrument:
    """Answers `*IDN?`, `*ESE`, `VAL? text` (the text), `BLOCK? n` (n bytes 0x0A); keeps writes.

    `faults` is a list of names; each is used up by the next *measurement* question (`VAL?`,
    `BLOCK?`): late (0.3 s), stall (no answer), short (half a block), drop (the connection ends),
    extra (an answer nobody asked for comes behind).
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.taken: list[str] = []
        self.ese = 0
        self.idn = IDN
        self.connections = 0
        self._out: queue.Queue[tuple[float, bytes]] = queue.Queue()
        self._in = b""
        self.dropped = threading.Event()

    def connect(self) -> None:
        self.connections += 1
        self.dropped.clear()
        self._in = b""
        while not self._out.empty():
            self._out.get_nowait()

    def write(self, data: bytes) -> None:
        if self.dropped.is_set():
            raise ConnectionResetError("dropped")
        self._in += data
        while b"\n" in self._in:
            line, _, self._in = self._in.partition(b"\n")
            self._line(line.decode("latin-1"))

    def _line(self, line: str) -> None:
        self.taken.append(line)
        answers = []
        fault = ""
        for part in line.split(";"):
            name, _, argument = part.strip().partition(" ")
            if name in ("VAL?", "BLOCK?") and self.faults:
                fault = self.faults.pop(0)
            if name == "*IDN?":
                answers.append(self.idn.encode())
            elif name == "*ESE":
                self.ese = int(argument)
            elif name == "*ESE?":
                answers.append(str(self.ese).encode())
            elif name == "VAL?":
                answers.append(argument.encode())
            elif name == "BLOCK?":
                size = int(argument)
                body = b"\n" * size
                answers.append(b"#%d%d" % (len(str(size)), size) + body)
        if answers:
            self._reply(b";".join(answers) + b"\n", fault)

    def _reply(self, reply: bytes, fault: str) -> None:
        if fault == "stall":
            return
        if fault == "drop":
            self.dropped.set()
            return
        if fault == "short":
            reply = reply[: len(reply) // 2]
        if fault == "extra":
            reply += b"999\n"
        self._out.put((time.monotonic() + 0.3 * (fault == "late"), reply))

    def read(self, timeout_s: float) -> bytes:
        end = time.monotonic() + timeout_s
        while True:
            if self.dropped.is_set():
                raise ConnectionResetError("dropped")
            if not self._out.empty() and self._out.queue[0][0] <= time.monotonic():
                return self._out.get()[1]
            if time.monotonic() >= end:
                return b""
            time.sleep(0.0005)


def _pump(peer: SmallInstrument, send, receive, over: threading.Event) -> None:
    """Carry bytes between a peer and a line until it ends or the peer drops it."""
    peer.connect()

    def outgoing() -> None:
        try:
            while not over.is_set():
                if data := peer.read(0.02):
                    send(data)
        except OSError:
            over.set()

    thread = threading.Thread(target=outgoing, daemon=True)
    thread.start()
    try:
        while not over.is_set():
            data = receive()
            if data is None:
                continue
            if not data:
                break
            peer.write(data)
    except OSError:
        pass
    over.set()
    thread.join()


@contextmanager
def over_tcp(peer: SmallInstrument) -> Iterator[int]:
    """Serve on a free port of 127.0.0.1, one connection after the other; yields the port."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.02)
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            try:
                line, _ = server.accept()
            except TimeoutError:
                continue
            with line:
                line.settimeout(0.02)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

                def receive(line: socket.socket = line) -> bytes | None:
                    try:
                        return line.recv(65536)
                    except TimeoutError:
                        return b"" if end.is_set() else None

                _pump(peer, line.sendall, receive, threading.Event())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        end.set()
        thread.join()
        server.close()


@contextmanager
def over_pty(peer: SmallInstrument) -> Iterator[str]:
    """Serve on a pseudo-terminal; yields the name of its other end. POSIX only."""
    import pty
    import select
    import tty

    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    end = threading.Event()

    def receive() -> bytes | None:
        if end.is_set():
            return b""
        return os.read(ours, 65536) if select.select([ours], [], [], 0.02)[0] else None

    def serve() -> None:
        while not end.is_set():
            _pump(peer, lambda data: os.write(ours, data), receive, threading.Event())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield name
    finally:
        end.set()
        thread.join()
        os.close(ours)
        os.close(theirs)


def measured(taken: list[str]) -> list[str]:
    """The questions among the lines that were not for staying in step."""
    return [line for line in taken if re.match(r"VAL\?|BLOCK\?|SET", line)]
