"""The parser: whatever way a message is cut, spelled or joined, it means the same."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.bench.syntax import Pattern, block, end_of_message, units
from simulators.bench.values import ScpiError, boolean, nr3, number, text, word

HEADERS = ("[SOURce#:]VOLTage[:LEVel][:AMPLitude]", "OUTPut#:LOAD", "SYSTem:ERRor[:NEXT]", "*OPC")
blocks = st.binary(max_size=300)
words = st.text(string.ascii_letters + string.digits + "_.+-", min_size=1, max_size=8)
strings = st.text(string.printable.replace("\n", "").replace('"', ""), max_size=10)
parameters = st.one_of(words, blocks, strings.map(lambda t: f'"{t}"'))


def sent(parameter):
    return block(parameter) if isinstance(parameter, bytes) else parameter.encode()


@given(st.lists(st.tuples(words, st.lists(parameters, max_size=4)), min_size=1, max_size=4))
def test_what_is_joined_comes_apart_again(commands):
    pieces = [
        header.encode() + b" " * bool(given_) + b",".join(map(sent, given_))
        for header, given_ in commands
    ]
    message = b";".join(pieces)
    assert end_of_message(message + b"\nnext") == len(message)
    assert end_of_message(message) is None
    got = units(message)
    assert [unit.header for unit in got] == [header for header, _ in commands]
    expected = [tuple(p.strip() if isinstance(p, str) else p for p in g) for _, g in commands]
    assert [unit.parameters for unit in got] == expected


@given(blocks, st.integers(0, 320))
def test_a_message_is_complete_when_its_last_byte_is_there_and_not_before(data, cut):
    message = b"DATA:ARB x," + block(data) + b"\n"
    part = message[: min(cut, len(message) - 1)]
    assert end_of_message(part) is None
    assert end_of_message(message) == len(message) - 1


def test_a_lost_quotation_mark_ends_with_the_line():
    assert end_of_message(b'DISP:TEXT "oh\n*IDN?\n') == 13


def test_hexadecimal_numbers_are_no_blocks():
    assert units(b"*ESE #H1F;*SRE #B101")[0].parameters == ("#H1F",)
    assert number("#H1F") == 31
    assert number("#B101") == 5


@given(st.sampled_from(HEADERS), st.data())
def test_short_and_long_forms_in_any_case_match_and_nothing_between(pattern, data):
    optional = data.draw(st.booleans())
    spelled = re.sub(r"\[[^]]*\]", "", pattern) if not optional else re.sub(r"[\[\]]", "", pattern)
    number_ = data.draw(st.integers(1, 9))
    nodes = []
    for node in spelled.split(":"):
        name = node.replace("#", "")
        short = "".join(c for c in name if not c.islower())
        chosen = data.draw(st.sampled_from([name, short]))
        chosen = data.draw(st.sampled_from([chosen.upper(), chosen.lower(), chosen]))
        nodes.append(chosen + (str(number_) if "#" in node else ""))
    found = Pattern(pattern).match(":".join(nodes))
    assert found is not None
    if "#" in spelled:
        assert number_ in found
    if len(nodes[0]) > 5:
        assert Pattern(pattern).match(":".join([nodes[0][:5] + "Q", *nodes[1:]])) is None


@pytest.mark.parametrize("bad", ["VOLTAG", "SOURC1:VOLT", "SOUR1:VOLT:", "VOL", "OUTP1:LOADS"])
def test_other_abbreviations_do_not_match(bad):
    assert not any(Pattern(header).match(bad) for header in HEADERS)


@pytest.mark.parametrize(
    ("given_", "value"),
    [("1.5", 1.5), ("2 kHz", 2e3), ("3MHZ", 3e6), ("4 mV", 4e-3), ("5E-3", 5e-3), ("50OHM", 50.0),
     ("MAX", 1e7), ("min", -1e7), ("DEF", 7.0), ("100 ms", 0.1), ("+.5", 0.5)],
)  # fmt: skip
def test_numbers_with_units_and_words(given_, value):
    assert number(given_, -1e7, 1e7, 7.0) == pytest.approx(value)


@pytest.mark.parametrize(
    ("given_", "code"),
    [("one", -104), (b"1", -104), ("3 parsec", -131), ("11", -222), ("INF", -222)],
)
def test_bad_numbers_have_their_code(given_, code):
    with pytest.raises(ScpiError) as caught:
        number(given_, 0, 10)
    assert caught.value.code == code


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30))
def test_a_number_written_is_read_back(value):
    assert number(nr3(value)) == pytest.approx(value, rel=1e-13, abs=1e-300)


def test_words_booleans_and_strings():
    assert word("sinusoid", ("SINusoid", "SQUare")) == "SIN"
    with pytest.raises(ScpiError):
        word("SINU", ("SINusoid", "SQUare"))
    assert [boolean(t) for t in ("ON", "off", "1", "0.2")] == [True, False, True, False]
    assert text("'it''s'") == "it's"
    with pytest.raises(ScpiError):
        text("'it")
