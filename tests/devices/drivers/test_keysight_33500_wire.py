"""The generator's conversation, line by line, and what it refuses."""

import numpy as np
import pytest
from wire_pairs import conversation

from devices import DeviceError, InstrumentError, LimitError
from devices.drivers.keysight_33500 import Keysight33500

IDN = ("*IDN?", "Agilent Technologies,33522B,MY57800001,3.05")
NO_ERROR = ("SYST:ERR?", '+0,"No error"')


def commands(*lines):
    return [(line, None) for line in lines]


def setup(volts="1", load=("INF", "+9.90000000000000E+37"), limit_state="1"):
    """What configuring sends, for a rate of 1 MSa/s."""
    vpp = f"{2 * float(volts):g}"
    return [
        *commands("*CLS", "ABOR", "FORM:BORD SWAP", "TRIG1:SOUR BUS"),
        *commands("OUTP1 OFF", "SOUR1:BURS:STAT OFF", "SOUR1:VOLT:LIM:STAT OFF"),
        (f"OUTP1:LOAD {load[0]}", None),
        ("SOUR1:DATA:VOL:CLE", None),
        ("OUTP1:LOAD?", load[1]),
        *commands(
            "SOUR1:FUNC:ARB:FILT OFF",
            "SOUR1:FUNC:ARB:SRAT 1000000",
            "SOUR1:VOLT:UNIT VPP",
            f"SOUR1:VOLT {vpp}",
            "SOUR1:VOLT:OFFS 0",
            f"SOUR1:VOLT:LIM:HIGH {volts}",
            f"SOUR1:VOLT:LIM:LOW -{volts}",
            "SOUR1:VOLT:LIM:STAT ON",
        ),
        ("SOUR1:FUNC:ARB:FILT?", "OFF"),
        ("SOUR1:FUNC:ARB:SRAT?", "+1.00000000000000E+06"),
        ("SOUR1:VOLT?", f"+{float(vpp):.14E}"),
        ("SOUR1:VOLT:OFFS?", "+0.00000000000000E+00"),
        ("SOUR1:VOLT:LIM:HIGH?", f"+{float(volts):.14E}"),
        ("SOUR1:VOLT:LIM:LOW?", f"-{float(volts):.14E}"),
        ("SOUR1:VOLT:LIM:STAT?", limit_state),
    ]


END_OF_SETUP = [
    *commands("OUTP:TRIG:SOUR CH1", "OUTP:TRIG ON"),
    NO_ERROR,
    ("SOUR1:DATA:VOL:FREE?", "1000000"),
]


def generator(volts=1.0, points=8, load_ohm=float("inf"), **options):
    made = Keysight33500("loop:wire", load_ohm=load_ohm, **options)
    made.prepare(1e6, volts, points)
    return made


def test_volts_come_after_the_load_and_limits_after_the_volts():
    with conversation(IDN, *setup(), *END_OF_SETUP):
        instrument = generator().open()
        assert instrument.settings()["SOUR1:VOLT"] == 2.0
        instrument.close()


def test_a_waveform_is_uploaded_as_volts_and_fired_once():
    codes = np.array([0, 16384, -16384, 32767, -32767, 0, 0, 0], "<i2").tobytes()
    with conversation(IDN, *setup(), *END_OF_SETUP) as wire:
        instrument = generator().open()
        wire.expect(
            ("SOUR1:DATA:VOL:CLE", None),
            (b"SOUR1:DATA:ARB:DAC pnn0,#216" + codes + b"\n", None),
            ("SOUR1:DATA:ATTR:POIN? pnn0", "+8"),
            ("SOUR1:FUNC:ARB pnn0", None),
            ("*OPC?", "1"),
            *commands(
                "SOUR1:FUNC ARB",
                "SOUR1:BURS:MODE TRIG",
                "SOUR1:BURS:NCYC 1",
                "SOUR1:BURS:STAT ON",
                "OUTP1 ON",
            ),
            ("*OPC?", "1"),
            NO_ERROR,
            ("*TRG", None),
        )
        instrument.load([[0, 0.5, -0.5, 1, -1, 0, 0, 0]])
        instrument.fire()
        wire.expect(*commands("ABOR", "OUTP1 OFF"), ("OUTP1?", "0"))
        instrument.off()
        instrument.close()


def test_a_volt_beyond_the_range_is_refused_before_anything_is_sent():
    with conversation(IDN, *setup(), *END_OF_SETUP):
        instrument = generator().open()
        with pytest.raises(LimitError, match=r"1\.01 V at sample 2 of channel 1.*\+-1 V"):
            instrument.load([[0, 0, 1.01, 0, 0, 0, 0, 0]])
        with pytest.raises(LimitError):
            instrument.load([[0, 0, np.nan, 0, 0, 0, 0, 0]])
        instrument.close()


def test_a_load_that_did_not_change_is_an_error_because_the_volts_would_double():
    script = setup(load=("50", "+9.90000000000000E+37"))
    until = next(k for k, pair in enumerate(script) if pair[0] == "OUTP1:LOAD?")
    refused = ("SYST:ERR?", '-221,"Settings conflict"')
    with (
        conversation(IDN, *script[: until + 1], refused, NO_ERROR),
        pytest.raises(DeviceError, match=r"OUTP1:LOAD\? is 9.9e\+37 .* set to 50.*-221"),
    ):
        generator(load_ohm=50).open()


def test_limits_that_are_not_on_are_an_error():
    script = setup(limit_state="0")
    with (
        conversation(IDN, *script, NO_ERROR),
        pytest.raises(DeviceError, match="LIM:STAT"),
    ):
        generator().open()


def test_errors_in_the_queue_are_raised_with_code_and_text():
    script = END_OF_SETUP[:2]
    bad = ("SYST:ERR?", '-222,"Data out of range"')
    also = ("SYST:ERR?", '-113,"Undefined header"')
    with conversation(IDN, *setup(), *script, bad, also, NO_ERROR):
        with pytest.raises(InstrumentError, match="Data out of range") as caught:
            generator().open()
        assert caught.value.code == -222
        assert "-113" in caught.value.__notes__[0]


def test_a_waveform_longer_than_the_memory_is_refused_at_open():
    end = [*END_OF_SETUP[:-1], ("SOUR1:DATA:VOL:FREE?", "1000")]
    with (
        conversation(IDN, *setup(), *end),
        pytest.raises(DeviceError, match=r"2000 points.*8 to 1000"),
    ):
        generator(points=2000).open()


@pytest.mark.parametrize(
    ("volts", "taken"), [(1.0, 1.0), (0.12345, 0.1235), (2.00003, 2.001), (5.0, 5.0)]
)
def test_the_range_is_rounded_up_to_what_the_instrument_has_digits_for(volts, taken):
    instrument = Keysight33500("loop:wire", load_ohm=50)
    instrument.prepare(1e6, volts, 8)
    assert instrument.full_scale_v == pytest.approx(taken, rel=1e-12)
    assert instrument.full_scale_v >= volts


def test_bad_settings_are_named():
    with pytest.raises(TypeError, match="load_ohm"):
        Keysight33500("loop:wire")  # there is no harmless default
    with pytest.raises(ValueError, match="load_ohm=0"):
        Keysight33500("loop:wire", load_ohm=0)
    with pytest.raises(ValueError, match="channels"):
        Keysight33500("loop:wire", load_ohm=50, channels=(3,))
    with pytest.raises(ValueError, match="full_scale_v=6"):
        Keysight33500("loop:wire", load_ohm=50).prepare(1e6, 6.0, 8)
