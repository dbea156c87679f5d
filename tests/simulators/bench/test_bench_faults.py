"""Each fault, on each link that can have it: on the wire it is what it says."""

import math
import select
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from simulators.bench import KINDS, Bench, Fault, Generator, Oscilloscope, PtyServer, TcpServer
from simulators.bench.faults import Faults, parse_fault

LINKS = ["process", "tcp", pytest.param("pty", marks=pytest.mark.skipif(
    sys.platform == "win32", reason="no pseudo-terminals"))]  # fmt: skip


class Wire:
    """A client over one of the links; `ask` returns what comes within a time."""

    def __init__(self, kind, instrument):
        self.kind, self.instrument, self.server, self.rest = kind, instrument, None, b""
        if kind == "tcp":
            self.server = TcpServer(instrument)
            self.socket = socket.create_connection((self.server.host, self.server.port))
        elif kind == "pty":
            self.server = PtyServer(instrument)
            terminal = Path(self.server.address.removeprefix("serial://"))
            self.file = terminal.open("r+b", buffering=0)

    def ask(self, question, within_s=0.15):
        data = question.encode() + b"\n" if question else b""
        if self.kind == "process":
            if data:
                self.instrument.write(data)
            return self.instrument.read(within_s)
        stream = self.socket if self.kind == "tcp" else self.file
        if data:
            (stream.sendall if self.kind == "tcp" else stream.write)(data)
        end = time.monotonic() + within_s
        while b"\n" not in self.rest and (left := end - time.monotonic()) > 0:
            if select.select([stream], [], [], left)[0]:
                part = stream.recv(4096) if self.kind == "tcp" else stream.read(4096)
                if not part:
                    raise ConnectionAbortedError
                self.rest += part
        line, newline, rest = self.rest.partition(b"\n")
        self.rest = rest if newline else b""
        return line + newline

    def close(self):
        if self.kind != "process":
            (self.socket if self.kind == "tcp" else self.file).close()
            self.server.close()


@pytest.fixture(params=LINKS)
def wire(request):
    made = []

    def make(*faults):
        instrument = Generator("awg", faults=Faults(map(parse_fault, faults)))
        made.append(Wire(request.param, instrument))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_late_comes_to_the_next_question(wire):
    line = wire("late=0.25")
    assert line.ask("*IDN?") == b""
    assert line.ask("OUTP1?", 1.0).startswith(b"Agilent"), "what a careless client would take"
    assert line.ask("", 1.0) == b"0\n"


def test_delay_strikes_every_reply(wire):
    line = wire("delay=0.06")
    for _ in range(2):
        began = time.monotonic()
        assert line.ask("OUTP1?", 1.0) == b"0\n"
        assert time.monotonic() - began >= 0.06


def test_stall_ends_with_a_new_connection(wire):
    line = wire("stall,after=1")
    assert line.ask("OUTP1?", 1.0) == b"0\n"
    assert line.ask("OUTP1?") == b""
    assert line.ask("OUTP1?") == b""
    if line.kind == "process":
        line.instrument.connect()
        assert line.ask("OUTP1?") == b"0\n"
    elif line.kind == "tcp":
        with socket.create_connection((line.server.host, line.server.port)) as new:
            new.sendall(b"OUTP1?\n")
            assert new.recv(10) == b"0\n"


def test_short_cuts_a_reply(wire):
    line = wire("short=0.5,match=IDN")
    assert line.ask("OUTP1?", 1.0) == b"0\n"
    whole = line.instrument.idn.encode() + b"\n"
    assert line.ask("*IDN?") == whole[: len(whole) // 2]


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_the_connection_ends(wire, kind):
    line = wire(kind)
    if line.kind == "pty":  # there is no connection to end: silence
        assert line.ask("OUTP1 ON;:OUTP1?") == b""
    else:
        expected = ConnectionResetError if kind == "reset" else ConnectionAbortedError
        with pytest.raises(expected):
            line.ask("OUTP1 ON;:OUTP1?", 2.0)
    if line.kind != "tcp":
        assert line.ask("OUTP1?", 1.0) == b"1\n", "the settings are kept"


def test_identity_and_error(wire):
    line = wire("identity", "error,after=1")
    assert b"Elsewhere" in line.ask("*IDN?", 1.0)
    assert line.ask("SYST:ERR?", 1.0).startswith(b"-310,")
    assert line.ask("SYST:ERR?", 1.0) == b'+0,"No error"\n'


def captured(*faults, triggers=1):
    scope = Oscilloscope("scope", faults=Faults(map(parse_fault, faults)))
    answers = []
    for _ in range(triggers):
        scope.write(b":TRIG:SWE NORM;:TIM:REF LEFT;:CHAN1:RANG 2;:WAV:FORM WORD;POIN 100;:SING\n")
        scope.capture(np.full((1, 100), 0.5), 1e5)
        scope.write(b":WAV:DATA?\n")
        answers.append(np.frombuffer(scope.read(0.0)[5:-1], ">u2").astype(int)[20:90])
    return answers


def test_nan_is_a_record_of_holes():
    good = captured()[0]
    broken, again = captured("nan", triggers=2)
    assert good[0] == 32768 + 16384
    assert not broken.any()
    np.testing.assert_array_equal(again, good)


def test_saturation_clips_and_drift_grows():
    assert set(captured("saturate")[0]) == {65535}
    first, second, third = (codes[0] for codes in captured("drift=0.1", triggers=3))
    assert 32768 + 16384 < first < second < third


def test_nan_of_an_analyser_is_a_number_that_is_none():
    rig = {
        "rig": {"kind": "metasurface"},
        "instruments": {"vna": {"driver": "pna"}, "ms": {"driver": "metasurface"}},
        "sim": {"device": "sim:metasurface?n_inputs=8&walls=80&n_outputs=8"},
    }
    vna = Bench(rig, ["vna:nan"]).instruments["vna"]
    vna.write(b"SENS:SWE:POIN 2;:CALC:PAR:MOD:EXT 'S31';:FORM REAL,64;:CALC:DATA? SDATA\n")
    assert np.isnan(np.frombuffer(vna.read(1.0)[4:-1], ">f8")).all()
    vna.write(b"FORM ASC;:SENS:SWE:MODE SING;:CALC:DATA? SDATA\n")
    assert b"NAN" not in vna.read(1.0).upper()


@pytest.mark.parametrize(
    "text", ["explode", "late=soon", "late,often=2", "drop,after=-1", "late=inf"]
)
def test_a_bad_fault_is_refused(text):
    with pytest.raises(ValueError, match="fault"):
        parse_fault(text)


@pytest.mark.parametrize("fault", ["vna:saturate", "ms:nan", "saturate", "nobody:drop"])
def test_a_fault_that_can_never_strike_is_refused(fault):
    rig = {
        "rig": {"kind": "metasurface"},
        "instruments": {"vna": {"driver": "pna"}, "ms": {"driver": "metasurface"}},
        "sim": {"device": "sim:metasurface?n_inputs=8&walls=80&n_outputs=8"},
    }
    message = "vna, ms" if "nobody" in fault else "error"
    with pytest.raises(ValueError, match=message):
        Bench(rig, [fault])
    bench = Bench(rig, ["nan"])
    with pytest.raises(ValueError, match=message):
        bench.faults.add(fault)
    assert len(bench.faults.all) == 1


def test_faults_count_events_of_their_instrument_and_query_only():
    faults = Faults([parse_fault("scope:drop,after=1,times=2,match=data")])
    assert faults.due("drop", "awg", ":WAV:DATA?") is None
    assert faults.due("drop", "scope", "*IDN?") is None
    struck = [faults.due("drop", "scope", ":WAV:DATA?") is not None for _ in range(5)]
    assert struck == [False, True, True, False, False]
    assert faults.add("stall").times == 1
    faults.clear()
    assert not faults.all


def test_every_kind_has_its_defaults():
    for name, kind in KINDS.items():
        fault = Fault(name)
        assert fault.size == kind.value
        assert fault.times == kind.times or math.isinf(kind.times)
