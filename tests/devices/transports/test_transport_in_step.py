"""A transport never hands over the answer to another question, whatever goes wrong."""

import sys
import threading
import time
from contextlib import contextmanager

import pytest
from small_instrument import SmallInstrument, measured, over_pty, over_tcp

from devices import Desync, DeviceError, LinkDown, ReplyTimeout
from devices.transports import loop, open_transport

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
KINDS = ["loop", "visa", "visa-calls", "socket", pytest.param("pty", marks=POSIX)]
FAST = {"timeout_s": 0.2, "deadline_s": 5.0, "resync_s": 1.0, "backoff_s": 0.01}


@contextmanager
def served(kind, peer, **settings):
    """Yield an open transport to `peer` of one of the kinds."""
    if kind == "loop":
        loop.register("small", peer)
        with open_transport("loop:small", **FAST | settings) as transport:
            yield transport
    elif kind == "pty":
        with (
            over_pty(peer) as name,
            open_transport(f"serial://{name}", **FAST | settings) as transport,
        ):
            yield transport
    else:
        with over_tcp(peer) as port:
            address = {
                "socket": f"socket://127.0.0.1:{port}",
                "visa": f"TCPIP::127.0.0.1::{port}::SOCKET",
            }
            if kind == "visa-calls":
                settings = {"direct": False} | settings
            with open_transport(address.get(kind, address["visa"]), **FAST | settings) as transport:
                yield transport


@pytest.mark.parametrize("kind", KINDS)
def test_questions_and_blocks_are_answered_exactly(kind):
    with served(kind, SmallInstrument()) as transport:
        assert transport.identity == "Example,Small,1,0"
        assert [transport.query(f"VAL? {k}") for k in range(20)] == [str(k) for k in range(20)]
        # Every byte is a line's end: reading up to one would cut the block.
        assert transport.query_block("BLOCK? 5000") == b"\n" * 5000
        assert transport.query_block("BLOCK? 0") == b""
        assert transport.query("VAL? after") == "after"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["late", "stall", "drop", "extra"])
def test_after_any_fault_every_answer_is_that_of_its_own_question(kind, fault):
    if kind == "pty" and fault == "drop":
        pytest.skip("a pseudo-terminal has no connection to drop")
    peer = SmallInstrument()
    with served(kind, peer) as transport:
        for k in range(12):
            if k in (3, 4, 8):
                peer.faults.append(fault)
            assert transport.query(f"VAL? {k}") == str(k)
    assert not peer.faults


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_block_is_never_filled_up_with_something_else(kind):
    peer = SmallInstrument()
    with served(kind, peer) as transport:
        peer.faults.append("short")
        with pytest.raises(DeviceError) as caught:
            transport.query_block("BLOCK? 4000", idempotent=False)
        assert caught.value.transient
        assert transport.query("VAL? next") == "next"
        peer.faults.append("short")
        assert transport.query_block("BLOCK? 4000") == b"\n" * 4000


@pytest.mark.parametrize("kind", KINDS)
def test_two_threads_never_swap_answers(kind):
    wrong = []
    with served(kind, SmallInstrument()) as transport:

        def ask(name):
            for k in range(60):
                if (answer := transport.query(f"VAL? {name}{k}")) != f"{name}{k}":
                    wrong.append(answer)

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.parametrize("kind", ["loop", "visa"])
def test_what_must_not_be_asked_twice_is_not(kind):
    peer = SmallInstrument()
    with served(kind, peer) as transport:
        peer.faults.append("stall")
        with pytest.raises(ReplyTimeout):
            transport.query("VAL? once", idempotent=False)
        assert measured(peer.taken) == ["VAL? once"]
        assert transport.query("VAL? 2") == "2"


def test_a_step_is_not_mended_in_the_middle():
    peer = SmallInstrument()
    with served("loop", peer) as transport:
        peer.faults += ["", "drop"]

        def step():
            with transport.step():
                transport.write("SET 1")
                assert transport.query("VAL? a") == "a"
                transport.query("VAL? b")  # a retry here would go on without SET 1

        with pytest.raises(LinkDown):
            step()
        assert measured(peer.taken) == ["SET 1", "VAL? a", "VAL? b"]
        with transport.step():
            assert transport.query("VAL? c") == "c"


def test_an_unexpected_answer_inside_a_step_fails_the_step():
    peer = SmallInstrument()
    with served("loop", peer) as transport:
        peer.faults.append("extra")
        with transport.step():
            transport.query("VAL? a")
            with pytest.raises(Desync):
                transport.query("VAL? b")
        assert transport.query("VAL? c") == "c"


def test_a_lost_connection_gets_its_settings_back_before_anything_is_asked():
    peer = SmallInstrument()
    with served("visa", peer) as transport:
        transport.on_reconnect(lambda: transport.write("SET again"))
        peer.faults.append("drop")
        assert transport.query("VAL? 7") == "7"
    assert measured(peer.taken) == ["VAL? 7", "SET again", "VAL? 7"]
    assert transport.traffic.reconnects == 1


def test_settings_that_cannot_be_restored_keep_the_link_down():
    peer = SmallInstrument()

    def refuse():
        raise DeviceError("the load is 50 ohm again")

    with served("loop", peer) as transport:
        transport.on_reconnect(refuse)
        peer.faults.append("drop")
        for _ in range(2):
            with pytest.raises(DeviceError, match="50 ohm"):
                transport.query("VAL? 7")
    assert measured(peer.taken) == ["VAL? 7"]


def test_the_deadline_bounds_the_whole_call_with_its_retries():
    peer = SmallInstrument()
    with served("loop", peer, timeout_s=10.0, deadline_s=0.3) as transport:
        peer.faults += ["stall"] * 9
        start = time.monotonic()
        with pytest.raises((ReplyTimeout, LinkDown)):
            transport.query("VAL? 1")
        assert time.monotonic() - start < 1.0


@pytest.mark.parametrize("kind", ["visa", "socket"])
def test_an_instrument_that_takes_no_more_bytes_does_not_hold_us_for_ever(kind):
    """A write that was cut is never continued: the connection is opened again."""
    peer = SmallInstrument()
    stuck, original = threading.Event(), peer.write

    def write(data):
        while stuck.is_set() and len(data) > 1000:
            time.sleep(0.01)
        original(data)

    peer.write = write
    with served(kind, peer, deadline_s=1.0) as transport:
        stuck.set()
        start = time.monotonic()
        with pytest.raises((ReplyTimeout, LinkDown)):
            transport.write_block("SET ", bytes(50_000_000))
        # pyserial has its own limit of two seconds for a piece of a write.
        assert time.monotonic() - start < (1.5 if kind == "visa" else 4.0)
        stuck.clear()
        assert transport.query("VAL? after") == "after"
        assert transport.traffic.reconnects == 1


def test_nobody_there_is_an_error_at_opening():
    with over_tcp(SmallInstrument()) as port:
        pass
    with pytest.raises(LinkDown, match=str(port)):
        open_transport(f"TCPIP::127.0.0.1::{port}::SOCKET", **FAST)
    with pytest.raises(LinkDown, match=str(port)):
        open_transport(f"socket://127.0.0.1:{port}", **FAST)
    with pytest.raises(LinkDown, match="nobody of that name"):
        open_transport("loop:absent")


def test_another_instrument_than_expected_is_refused_with_both_names():
    loop.register("small", SmallInstrument())
    with pytest.raises(DeviceError, match=r"Example,Small.*matching '33522'.*`idn`"):
        open_transport("loop:small", idn="33522")


def test_an_address_without_a_form_says_which_forms_there_are():
    with pytest.raises(ValueError, match=r"TCPIP::host::port::SOCKET.*loop:NAME"):
        open_transport("192.168.0.7")
    with pytest.raises(ValueError, match=r"unknown setting bauds; there are baud"):
        open_transport("serial:///dev/ttyACM0", bauds=9600)
    with pytest.raises(ValueError, match="timeout_s=0"):
        open_transport("loop:x", timeout_s=0)


def test_a_closed_transport_says_so():
    loop.register("small", SmallInstrument())
    transport = open_transport("loop:small")
    transport.close()
    transport.close()
    with pytest.raises(LinkDown, match="not open"):
        transport.query("VAL? 1")


def test_a_port_that_the_system_cannot_wait_for_is_looked_at_again_and_again():
    """As COM ports on Windows, which have the method `fileno` and refuse it."""
    import io

    from devices.transports.serial_port import SerialLink

    class ComPort(io.RawIOBase):
        def __init__(self):
            self.ready = time.monotonic() + 0.05

        @property
        def in_waiting(self):
            return 3 * (time.monotonic() > self.ready)

        def read(self, size):
            return b"1;\n" if self.in_waiting else b""

    link = SerialLink("COM3")
    link._port = ComPort()
    assert not link.waiting()
    assert link.read_line(b"\n", 1.0, time.monotonic() + 2.0) == b"1;\n"


def test_written_blocks_carry_their_length():
    peer = SmallInstrument()
    with served("loop", peer) as transport:
        transport.write_block("SET:DATA ", b"abc")
        transport.query("VAL? 1")
    assert peer.taken[-2] == "SET:DATA #13abc"
