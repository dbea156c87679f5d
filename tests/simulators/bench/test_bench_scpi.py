"""What every SCPI instrument of the bench does."""

import threading

import pytest

from simulators.bench import Generator, Oscilloscope


@pytest.fixture
def generator():
    return Generator("awg")


def ask(instrument, question, timeout_s=0.0):
    instrument.write(question.encode() + b"\n")
    return instrument.read(timeout_s).decode().strip()


def test_several_units_answer_in_one_line_and_paths_are_relative(generator):
    answer = ask(generator, "SOUR2:VOLT:OFFS 0.1;OFFS?;LIM:STAT?;:OUTP2?;*ESE?")
    assert answer == "+1.00000000000000E-01;0;0;+0"


def test_errors_queue_up_and_a_wrong_header_drops_the_rest(generator):
    assert ask(generator, "NONSENSE 1;*IDN?") == ""
    assert ask(generator, "VOLT 99;*OPC?") == "1", "an execution error drops nothing but itself"
    assert ask(generator, "SYST:ERR:COUN?") == "+2"
    assert ask(generator, "SYST:ERR?") == '-113,"Undefined header"'
    assert ask(generator, "SYST:ERR?").startswith("-222,")
    assert ask(generator, "SYST:ERR?") == '+0,"No error"'


def test_the_queue_overflows_into_one_entry(generator):
    for _ in range(30):
        generator.write(b"NO:SUCH\n")
    answers = [ask(generator, "SYST:ERR?") for _ in range(21)]
    assert answers[19] == '-350,"Queue overflow"'
    assert answers[20] == '+0,"No error"'


def test_status_registers(generator):
    assert ask(generator, "*ESR?") == "+128"  # power on
    assert ask(generator, "*OPC;*ESR?") == "+1"
    generator.write(b"VOLT\n")  # no parameter: a command error
    assert ask(generator, "*ESE 32;*STB?") == "+36"  # event, error queue
    assert ask(generator, "*ESR?") == "+32"
    assert ask(generator, "*CLS;*STB?") == "+0"


def test_a_reset_forgets_settings(generator):
    assert ask(generator, "OUTP1 ON;:FREQ 5;:OUTP1?") == "1"
    assert ask(generator, "*RST;:OUTP1?;:FREQ?") == "0;+1.00000000000000E+03"


def test_bytes_may_come_one_by_one(generator):
    for byte in b"*IDN?\n":
        generator.write(bytes([byte]))
    assert generator.read(0.0).startswith(b"Agilent")


def test_two_connections_have_buffers_of_their_own(generator):
    one, two = generator.link(), generator.link()
    one.write(b"*ID")
    two.write(b"OUTP1?\n")
    one.write(b"N?\n")
    assert one.read(0.0).startswith(b"Agilent")
    assert two.read(0.0) == b"0\n"


def test_many_threads_never_get_each_others_answers(generator):
    wrong = []

    def work(value):
        link = generator.link()
        for k in range(50):
            link.write(b"*ESE?;:SYST:VERS?;:SOUR1:FREQ:MODE?\n" if k % 2 else b"*IDN?\n")
            answer = link.read(1.0)
            if answer.startswith(b"Agilent") != (k % 2 == 0):
                wrong.append(answer)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_commands_after_digitize_wait_and_a_new_connection_frees_the_instrument():
    scope = Oscilloscope("scope")
    link = scope.link()
    link.write(b":TRIG:SWE NORM;:DIG;*OPC?\n*IDN?\n")
    assert link.read(0.02) == b""
    link.close()
    assert ask(scope, "*IDN?").startswith("AGILENT")
