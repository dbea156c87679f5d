"""The oscilloscope's conversation, line by line."""

import numpy as np
import pytest
from wire_pairs import conversation

from devices import DeviceError, ReplyTimeout, ShortTransfer
from devices.drivers.infiniivision import InfiniiVision

IDN = ("*IDN?", "AGILENT TECHNOLOGIES,DSO-X 3034A,MY00000001,02.65")
NO_ERROR = ("SYST:ERR?", '+0,"No error"')
SETUP = [
    *[(line, None) for line in ("*CLS", ":STOP")],
    *[
        (f":CHANnel1:{line}", None)
        for line in (
            "DISPlay ON",
            "PROBe 1",
            "IMPedance ONEMeg",
            "COUPling DC",
            "BWLimit OFF",
            "SCALe 0.25",
            "OFFSet 0",
        )
    ],
    (":CHANnel1:PROBe?", "+1.0E+00"),
    (":CHANnel1:IMPedance?", "ONEM"),
    (":CHANnel1:COUPling?", "DC"),
    (":CHANnel1:SCALe?", "+2.50E-01"),
    (":CHANnel1:OFFSet?", "+0.0E+00"),
    *[
        (line, None)
        for line in (
            ":TIMebase:MODE MAIN",
            ":TIMebase:REFerence LEFT",
            ":TIMebase:RANGe 0.01",
            ":TIMebase:POSition 0",
            ":ACQuire:TYPE NORMal",
            ":ACQuire:MODE RTIMe",
            ":TRIGger:MODE EDGE",
            ":TRIGger:SWEep NORMal",
            ":TRIGger:EDGE:SOURce EXTernal",
            ":TRIGger:EDGE:SLOPe POSitive",
            ":TRIGger:EDGE:LEVel 1",
            ":WAVeform:FORMat WORD",
            ":WAVeform:BYTeorder LSBFirst",
            ":WAVeform:UNSigned ON",
            ":WAVeform:POINts:MODE RAW",
            ":WAVeform:POINts 500",
        )
    ],
    (":TIMebase:RANGe?", "+1.00E-02"),
    (":ACQuire:SRATe?", "+5.00E+04"),
    NO_ERROR,
]
ARM = [(":STOP", None), (":TER?", "+1"), (":AER?", "+0"), (":SINGle", None)]


def open_scope():
    scope = InfiniiVision("loop:wire", range_v=2.0)
    scope.prepare(0.0089, 1, 50_000)
    return scope.open()


def test_arming_is_confirmed_and_a_capture_is_waited_for():
    with conversation(IDN, *SETUP) as wire:
        scope = open_scope()
        wire.expect(*ARM, (":AER?", "+0"), (":AER?", "+1"))
        scope.arm()
        wire.expect((":OPERegister:CONDition?", "+40"), (":OPERegister:CONDition?", "+0"))
        wire.expect((":TER?", "+1"))
        scope.wait(1.0)
        scope.close()


def test_a_missing_trigger_is_an_error_and_the_instrument_is_stopped():
    with conversation(IDN, *SETUP) as wire:
        scope = open_scope()
        wire.expect((":OPERegister:CONDition?", "+40"), (":STOP", None))
        with pytest.raises(ReplyTimeout, match=r"no trigger.*EXTernal.*trigger_level_v=1"):
            scope.wait(0.0)
        wire.expect((":OPERegister:CONDition?", "+0"), (":TER?", "+0"))
        with pytest.raises(ReplyTimeout, match="the data are old"):
            scope.wait(1.0)
        scope.close()


PREAMBLE = "+1,+0,+5,+1,+2.0E-05,-1.0E-03,+0,+1.0E-03,+5.0E-01,+32768"


def fetched(codes, preamble=PREAMBLE):
    data = np.array(codes, "<u2").tobytes()
    return [
        (":WAVeform:SOURce CHANnel1", None),
        (":WAVeform:PREamble?", preamble),
        (":WAVeform:DATA?", b"#8%08d" % len(data) + data + b"\n"),
    ]


def test_codes_become_volts_times_and_clipping():
    with conversation(IDN, *SETUP) as wire:
        scope = open_scope()
        wire.expect(*fetched([32768, 33768, 0xFF00, 0x0100, 0x0A0A]))
        (record,) = scope.fetch()
        assert record.volts[0] == pytest.approx(
            [0.5, 1.5, 0.5 + 32.512, 0.5 - 32.512, 0.5 - 30.198]
        )
        assert record.clipped[0].tolist() == [False, False, True, True, False]
        assert (record.start_s, record.step_s) == (-1e-3, 2e-5)
        scope.close()


def test_missing_samples_are_never_filled_in():
    with conversation(IDN, *SETUP) as wire:
        scope = open_scope()
        wire.expect(*fetched([32768] * 4))
        with pytest.raises(ShortTransfer, match="4 samples of 5"):
            scope.fetch()
        wire.expect(*fetched([32768, 32768, 0, 32768, 32768]))
        with pytest.raises(DeviceError, match="not taken"):
            scope.fetch()
        wire.expect(*fetched([32768] * 5, PREAMBLE.replace("+1", "+0", 1))[:2])
        with pytest.raises(DeviceError, match="not that of words"):
            scope.fetch()
        scope.close()


def test_a_setting_that_was_refused_is_an_error():
    until = SETUP.index((":CHANnel1:SCALe?", "+2.50E-01"))
    script = [*SETUP[:until], (":CHANnel1:SCALe?", "+1.00E+00"), NO_ERROR]
    with conversation(IDN, *script), pytest.raises(DeviceError, match=r"SCALe\? is 1.0.*0.25"):
        open_scope()


def test_bad_settings_are_named():
    for settings, name in (
        ({"coupling": "GND"}, "coupling"),
        ({"impedance_ohm": 75}, "impedance_ohm"),
        ({"range_v": -1}, "range_v"),
        ({"channels": ()}, "channels"),
        ({"range_v": [1.0, 2.0, 3.0], "channels": (1, 2)}, "range_v"),
    ):
        with pytest.raises(ValueError, match=name):
            InfiniiVision("loop:wire", **settings)
