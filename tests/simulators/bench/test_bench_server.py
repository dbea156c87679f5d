"""Servers: loopback unless asked, a token beyond it, several clients, an orderly end."""

import socket

import pytest

from simulators.bench import Bench, Generator, TcpServer, with_addresses

RIG = """\
# A comment that stays.
[rig]
kind = "board"
n_inputs = 4
n_outputs = 8

[instruments.board]   # so does this one
driver = "board"
address = "serial:///dev/ttyACM0"

[sim]
device = "sim:scattering-medium?n_inputs=4&n_outputs=8"
"""


def talk(server, *lines, host="127.0.0.1"):
    with socket.create_connection((host, server.port), 2.0) as client:
        client.settimeout(2.0)
        for line in lines:
            client.sendall(line)
        return client.recv(1000)


def refused(server, first):
    """Whether the server hangs up after this line."""
    try:
        return talk(server, first) == b""
    except ConnectionError:
        return True


def test_the_default_is_loopback():
    server = TcpServer(Generator("awg"))
    try:
        assert server.host == "127.0.0.1"
        assert server.address == f"TCPIP::127.0.0.1::{server.port}::SOCKET"
        assert talk(server, b"OUTP1?\n") == b"0\n"
    finally:
        server.close()
    with pytest.raises(OSError, match="refused"):
        talk(server, b"OUTP1?\n")


def test_another_address_needs_a_token():
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(ValueError, match="token"):
            TcpServer(Generator("awg"), host)


def test_a_token_is_asked_for_beyond_loopback():
    server = TcpServer(Generator("awg"), "0.0.0.0", token="sesame")
    try:
        assert talk(server, b"TOKEN sesame\nOUTP1?\n") == b"0\n"
        for first in (b"TOKEN sesam\n", b"OUTP1?\n", b"\n"):
            assert refused(server, first)
    finally:
        server.close()


def test_a_rig_file_has_the_token_or_where_it_stands(tmp_path, monkeypatch):
    from devices import LinkDown
    from devices.drivers.keysight_33500 import Keysight33500
    from devices.rigs import open_rig

    source, served = tmp_path / "rig.toml", tmp_path / "served.toml"
    source.write_text(RIG)
    with Bench.from_rig(source) as bench:
        addresses = bench.serve(host="0.0.0.0", token="sesame")
        address = addresses["board"].replace("0.0.0.0", "127.0.0.1")
        with_addresses(source, served, {"board": address}, token="env:THE_TOKEN")
        monkeypatch.setenv("THE_TOKEN", "sesame")
        with open_rig(served) as device:
            assert device.measure([[0.1, 0.2, 0.3, 0.4]]).shape == (1, 8)
        monkeypatch.setenv("THE_TOKEN", "guess")
        with pytest.raises(LinkDown, match="is the token right"):
            open_rig(served)
        monkeypatch.delenv("THE_TOKEN")
        with pytest.raises(ValueError, match="THE_TOKEN is not set"):
            open_rig(served)
    assert "sesame" not in repr(Keysight33500("loop:awg", load_ohm=50, token="sesame"))


def test_a_second_client_is_served_while_the_first_is_there():
    server = TcpServer(Generator("awg"))
    try:
        with socket.create_connection((server.host, server.port)) as first:
            first.sendall(b"OUTP1 ON;:OUTP1?\n")
            assert first.recv(10) == b"1\n"
            assert talk(server, b"OUTP1?\n") == b"1\n"
    finally:
        server.close()


def test_ports_that_are_taken_are_an_error_and_nothing_is_left_open(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(RIG)
    with Bench.from_rig(path) as one, Bench.from_rig(path) as two:
        port = int(one.serve()["board"].rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            two.serve(ports={"board": port})


def test_a_copy_of_the_rig_file_gets_the_addresses_and_keeps_the_rest(tmp_path):
    source, target = tmp_path / "rig.toml", tmp_path / "served.toml"
    source.write_text(RIG)
    with_addresses(source, target, {"board": "socket://127.0.0.1:5"})
    old = RIG.replace('address = "serial:///dev/ttyACM0"\n', "")
    new = target.read_text()
    assert 'address = "socket://127.0.0.1:5"\n' in new
    assert new.replace('address = "socket://127.0.0.1:5"\n', "") == old


def test_a_copy_in_another_folder_finds_what_stands_beside_the_rig_file(tmp_path):
    (tmp_path / "lab.py").write_text("def kelvin():\n    return 295.0\n")
    (tmp_path / "there").mkdir()
    source, target = tmp_path / "rig.toml", tmp_path / "there" / "served.toml"
    room = '[monitors.room]\ndriver = "callable-monitor"\nfunction = "lab.py:kelvin"\n'
    source.write_text(f"{RIG}\n{room}")
    with_addresses(source, target, {"board": "socket://127.0.0.1:5"})
    assert f'function = "{(tmp_path / "lab.py").as_posix()}:kelvin"' in target.read_text()


def test_a_rig_file_is_never_written_over_and_no_folder_is(tmp_path):
    source = tmp_path / "rig.toml"
    source.write_text(RIG)
    with pytest.raises(ValueError, match="is the rig file itself"):
        with_addresses(source, tmp_path / "." / "rig.toml", {"board": "socket://127.0.0.1:5"})
    assert source.read_text() == RIG
    with pytest.raises(IsADirectoryError, match="is a folder"):
        with_addresses(source, tmp_path, {"board": "socket://127.0.0.1:5"})
    assert sorted(tmp_path.iterdir()) == [source]


def test_an_instrument_that_is_no_table_is_refused(tmp_path):
    source = tmp_path / "rig.toml"
    source.write_text('instruments.board = {driver = "board"}\n')
    with pytest.raises(ValueError, match="table of its own"):
        with_addresses(source, tmp_path / "out.toml", {"board": "x"})
    assert not (tmp_path / "out.toml").exists()
