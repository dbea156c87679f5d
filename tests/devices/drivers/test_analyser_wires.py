"""Conversations of the network analysers: PNA, and NanoVNA with its shell."""

import numpy as np
import pytest
from wire_pairs import conversation

from devices import DeviceError, ShortTransfer
from devices.drivers.nanovna import NanoVna
from devices.drivers.pna import Pna

IDN = ("*IDN?", "Keysight Technologies,E5080B,MY00000001,A.13.95")
NO_ERROR = ("SYST:ERR?", '+0,"No error"')


def setup(correction="0", guid=None):
    lines = [
        "*CLS",
        "SENS1:SWE:MODE HOLD",
        "CALC1:PAR:DEL:ALL",
        "DISP:WIND1 ON",
        "CALC1:PAR:DEF:EXT 'pnn_S21','S21'",
        "DISP:WIND1:TRAC1:FEED 'pnn_S21'",
        "TRIG:SOUR IMM",
        "SENS1:SWE:TYPE LIN",
        "SENS1:FREQ:STAR 1000000000",
        "SENS1:FREQ:STOP 2000000000",
        "SENS1:SWE:POIN 3",
        "SENS1:BWID 1000",
        "SOUR1:POW1 -10",
        "SENS1:AVER:MODE POIN",
        "SENS1:AVER:COUN 1",
        "SENS1:AVER OFF",
        "FORM:DATA REAL,64",
        "FORM:BORD SWAP",
    ]
    return [
        *[(line, None) for line in lines],
        ("SENS1:FREQ:STAR?", "+1.00000000000E+009"),
        ("SENS1:FREQ:STOP?", "+2.00000000000E+009"),
        ("SENS1:SWE:POIN?", "+3"),
        ("SENS1:BWID?", "+1.00000000000E+003"),
        ("SOUR1:POW1?", "-1.00000000000E+001"),
        ("SENS1:AVER:COUN?", "+1"),
        ("SENS1:CORR?", correction),
        *([("SENS1:CORR:CSET:GUID?", guid)] if guid else []),
    ]


END = [("OUTP ON", None), ("OUTP?", "1"), NO_ERROR]


def pna(**options):
    return Pna("loop:wire", start_hz=1e9, stop_hz=2e9, points=3, **options)


def block(values):
    data = np.asarray(values, "<f8").tobytes()
    return b"#%d%d" % (len(str(len(data))), len(data)) + data + b"\n"


def test_one_row_is_clear_single_wait_read():
    with conversation(IDN, *setup(), *END) as wire:
        analyser = pna().open()
        wire.expect(
            ("SENS1:AVER:CLE", None),
            ("SENS1:SWE:MODE SING", None),
            ("*OPC?", "+1"),
            ("CALC1:PAR:SEL 'pnn_S21'", None),
            ("CALC1:DATA? SDATA", block([1, 2, 3, 4, 5, 6])),
        )
        np.testing.assert_array_equal(analyser.sweep(), [[1 + 2j, 3 + 4j, 5 + 6j]])
        wire.expect(("SENS1:SWE:MODE HOLD", None), ("OUTP OFF", None), ("OUTP?", "0"))
        analyser.off()
        analyser.close()


def test_a_trace_of_another_length_is_refused():
    with conversation(IDN, *setup(), *END) as wire:
        analyser = pna().open()
        wire.expect(
            ("SENS1:AVER:CLE", None),
            ("SENS1:SWE:MODE SING", None),
            ("*OPC?", "+1"),
            ("CALC1:PAR:SEL 'pnn_S21'", None),
            ("CALC1:DATA? SDATA", block([1, 2, 3, 4])),
        )
        with pytest.raises(ShortTransfer, match="2 points, 3 were set"):
            analyser.sweep()
        analyser.close()


def test_a_correction_that_the_grid_invalidated_is_an_error():
    with (
        conversation(IDN, *setup()),
        pytest.raises(DeviceError, match=r"correction is off.*1e\+09 to 2e\+09 Hz with 3 points"),
    ):
        pna(correction=True).open()


def test_the_correction_in_use_is_in_the_record():
    with conversation(IDN, *setup("1", '"{1F-2A}"'), *END):
        analyser = pna().open()
        assert analyser.settings()["SENS1:CORR:CSET:GUID"] == "{1F-2A}"
        analyser.close()


# -- NanoVNA ---------------------------------------------------------------------------------------


def shell(command, *lines):
    """A command with its echo, what it prints, and the prompt."""
    text = "".join(f"{line}\r\n" for line in lines)
    return (f"{command}\r".encode(), f"{command}\r\n{text}ch> ".encode())


HELLO = [(b"\r", b"\r\nch> "), shell("info", "Board: NanoVNA-H 4", "Version: 1.2")]
SCAN = [f"{1e6 + k * 1e6:.0f} 0.{k} 0.0 0.5 -0.{k}" for k in range(3)]


def nanovna(**options):
    options = {"quiet_s": 0.001} | options
    return NanoVna("loop:wire", start_hz=1e6, stop_hz=3e6, points=3, **options)


def test_nanovna_scans_once_per_question():
    with conversation(*HELLO, shell("pause")) as wire:
        vna = nanovna(parameters=("S11", "S21")).open()
        assert "NanoVNA-H 4" in vna.identity
        wire.expect(shell("scan 1000000 3000000 3 7", *SCAN))
        np.testing.assert_allclose(vna.sweep(), [[0, 0.1, 0.2], [0.5 + 0j, 0.5 - 0.1j, 0.5 - 0.2j]])
        vna.close()


def test_nanovna_refuses_missing_lines_and_unknown_commands():
    with conversation(*HELLO, shell("pause")) as wire:
        vna = nanovna().open()
        wire.expect(shell("scan 1000000 3000000 3 7", *SCAN[:2]))
        with pytest.raises(ShortTransfer, match=r"\(2, 5\).*\(3, 5\)"):
            vna.sweep()
        wire.expect(shell("fly", "fly?"))
        with pytest.raises(DeviceError, match="does not know"):
            vna.shell("fly")
        vna.close()


def test_nanovna_drops_the_answer_to_another_command():
    stale = b"version\r\n1.0\r\nch> "
    command, answer = shell("scan 1000000 3000000 3 7", *SCAN)
    with conversation(*HELLO, shell("pause")) as wire:
        vna = nanovna().open()
        wire.expect((command, stale + answer))
        assert vna.sweep().shape == (1, 3)
        vna.close()


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="stop_hz"):
        Pna("loop:wire", start_hz=2e9, stop_hz=1e9, points=3)
    with pytest.raises(ValueError, match="'T21'"):
        pna(parameters=("T21",))
    with pytest.raises(ValueError, match="'S12'"):
        nanovna(parameters=("S12",))
