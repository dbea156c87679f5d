"""Generator, oscilloscope, analyser, modulator, NanoVNA: what a careful user would notice."""

import numpy as np
import pytest

from simulators import AcousticCavity
from simulators.bench import Bench, Generator, Modulator, Oscilloscope
from simulators.bench.syntax import block

SOUND = {
    "rig": {"kind": "waveform", "volts_per_input": 0.5},
    "instruments": {"awg": {"driver": "33500"}, "scope": {"driver": "infiniivision"}},
    "sim": {
        "device": "sim:acoustic-cavity?n_inputs=8&n_outputs=16&noise=0&seed=3",
        "bench": {"volts_per_output": 0.1},
    },
}
WAVES = {
    "rig": {"kind": "metasurface"},
    "instruments": {
        "vna": {"driver": "pna"},
        "nano": {"driver": "nanovna"},
        "surface": {"driver": "metasurface"},
    },
    "sim": {"device": "sim:metasurface?n_inputs=16&walls=80&n_outputs=8&noise=0"},
}


def ask(instrument, question):
    instrument.write(question.encode() + b"\n")
    return instrument.read(1.0).decode("latin-1").strip()


def numbers(instrument, question):
    return [float(part) for part in ask(instrument, question).split(";")]


def load(generator, volts, rate=16000.0, cycles=1):
    """Upload a waveform into a high impedance and let it wait for a trigger."""
    peak = np.abs(volts).max()
    codes = np.rint(volts / peak * 32767).astype("<i2").tobytes()
    generator.write(b"OUTP1:LOAD INF;:FORM:BORD SWAP;:DATA:VOL:CLE;:DATA:ARB:DAC w,")
    generator.write(block(codes) + b"\n")
    generator.write(
        f"FUNC:ARB w;:FUNC ARB;:FUNC:ARB:SRAT {rate};:VOLT {2 * peak};:TRIG1:SOUR BUS;"
        f":BURS:MODE TRIG;NCYC {cycles};STAT ON;:OUTP1 ON\n".encode()
    )
    assert ask(generator, "SYST:ERR?") == '+0,"No error"'


class TestGenerator:
    def test_a_fifty_ohm_setting_doubles_into_a_high_impedance(self):
        fired = []
        generator = Generator("awg", load_ohm=1e9, on_fire=fired.append)
        load(generator, np.sin(np.arange(100) / 5))
        generator.write(b"OUTP1:LOAD 50;:VOLT 2;*TRG;:OUTP1:LOAD INF\n")
        assert fired[0][1][0].max() == pytest.approx(2.0, rel=0.01)
        assert numbers(generator, "VOLT?") == pytest.approx([4.0])

    def test_limits_hold_and_the_load_cannot_change_under_them(self):
        generator = Generator("awg")
        generator.write(b"VOLT 0.5;:VOLT:LIM:HIGH 0.5;LOW -0.5;STAT ON;:VOLT 2;:OUTP1:LOAD INF\n")
        assert numbers(generator, "VOLT?;:OUTP1:LOAD?") == pytest.approx([0.5, 50.0])
        assert ask(generator, "SYST:ERR?").startswith("-222,")
        assert ask(generator, "SYST:ERR?").startswith("-221,")
        assert ask(generator, "VOLT:LIM:HIGH 0.1;STAT?") == "0", (
            "limits that are broken are refused"
        )

    def test_nothing_plays_with_the_output_off(self):
        fired = []
        generator = Generator("awg", on_fire=fired.append)
        load(generator, np.ones(20))
        generator.write(b"OUTP1 OFF;*TRG\n")
        assert fired == [{}]

    def test_uploads_are_checked(self):
        generator = Generator("awg")
        generator.write(b"DATA:ARB a,0,0.5,1,0.5,0,-0.5,-1,-0.5\n")
        assert ask(generator, "DATA:ATTR:POIN? a;:DATA:VOL:FREE?") == "+8;+999992"
        for bad, code in (
            (b"DATA:ARB a,0,0,0,0,0,0,0,0\n", "+783"),
            (b"DATA:ARB b,0,0,0,0,0,0,0,2\n", "-222"),
            (b"DATA:ARB b,0,0\n", "-222"),
            (b"DATA:ARB:DAC b,#3015123456789012345\n", "-161"),
            (b"FUNC:ARB nobody\n", "+785"),
        ):
            generator.write(bad)
            assert ask(generator, "SYST:ERR?").startswith(code), bad


class TestOscilloscope:
    def test_what_the_generator_plays_goes_through_the_cavity(self):
        bench = Bench(SOUND)
        generator, scope = bench.instruments.values()
        cavity = AcousticCavity(n_inputs=8, n_outputs=16, noise=0.0, seed=3)
        sound = cavity.waveforms(np.linspace(0, 1, 8)[None])
        load(generator, 0.5 * sound[0, 0])
        # A record of 2000 points at the generator's own rate: nothing is interpolated.
        scope.write(
            b":CHAN1:RANG 4;:CHAN2:RANG 4;:TIM:REF LEFT;RANG 0.125;POS 0.0125;:TRIG:SWE NORM;"
            b":ACQ:TYPE HRES;:WAV:FORM WORD;POIN:MODE RAW;:WAV:POIN 2000;:TER?;:SING;:AER?\n"
        )
        assert scope.read(1.0) == b"+0;+1\n"
        assert int(ask(scope, ":OPER:COND?")) & 8
        generator.write(b"*TRG\n")
        assert ask(scope, ":OPER:COND?;:TER?;:TER?") == "+0;+1;+0"
        for channel, expected in enumerate(0.1 * cavity.simulate(sound)[0], start=1):
            preamble = ask(scope, f":WAV:SOUR CHAN{channel};PRE?").split(",")
            assert [float(v) for v in preamble[4:6]] == pytest.approx([1 / 16000, 0.0])
            scope.write(b":WAV:DATA?\n")
            words = np.frombuffer(scope.read(1.0)[6:-1], ">u2").astype(float)
            step, origin, reference = (float(v) for v in preamble[7:10])
            volts = (words - reference) * step + origin
            np.testing.assert_allclose(volts, expected[:2000], atol=4 / 4096 * 0.51)

    def test_too_large_a_signal_shows_in_the_codes(self):
        scope = Oscilloscope("scope")
        scope.write(b":CHAN1:RANG 1;:TRIG:SWE NORM;:WAV:FORM WORD;BYT LSBF;POIN 100;:SING\n")
        scope.capture(np.tile([0.1, 0.9, -0.9], 1000)[None], 1e6)
        scope.write(b":TIM:RANG 1e-3;:WAV:DATA?\n")
        words = np.frombuffer(scope.read(1.0)[5:-1], "<u2")
        assert {1, 65535} < set(words)
        assert 0 not in words

    def test_averaging_takes_as_many_triggers(self):
        scope = Oscilloscope("scope")
        scope.write(b":TRIG:SWE NORM;:ACQ:TYPE AVER;COUN 4;:DIG;*OPC?\n")
        for k in range(4):
            assert scope.read(0.0) == b""
            scope.capture(np.full((1, 100), float(k)), 1e4)
        assert scope.read(0.0) == b"1\n"
        scope.write(b":TIM:REF LEFT;:CHAN1:RANG 8;:WAV:FORM ASC;POIN 100;DATA?\n")
        values = scope.read(0.0).decode().strip()[5:].split(",")
        assert float(values[60]) == pytest.approx(1.5, abs=8 / 4096)

    def test_segments(self):
        scope = Oscilloscope("scope")
        scope.write(b":TRIG:SWE NORM;:TIM:RANG 1e-2;:ACQ:MODE SEGM;SEGM:COUN 3;:SING\n")
        for k in range(3):
            assert int(ask(scope, ":OPER:COND?")) & 8
            scope.capture(np.full((1, 1000), k + 1.0), 1e4)
        assert ask(scope, ":OPER:COND?;:WAV:SEGM:COUN?") == "+0;+3"
        scope.write(b":CHAN1:RANG 16;:WAV:POIN 100;:ACQ:SEGM:IND 2;:WAV:DATA?\n")
        data = np.frombuffer(scope.read(0.0)[5:-1], np.uint8)
        assert data[-1] == 128 + 2 * 16

    def test_without_a_trigger_there_is_nothing_to_fetch(self):
        scope = Oscilloscope("scope")
        scope.write(b":TRIG:SWE NORM;:SING;:WAV:DATA?\n")
        assert scope.read(0.0) == b""
        assert ask(scope, ":SYST:ERR?").startswith("-230,")
        assert ask(scope, ":TER?") == "+0"

    def test_what_plays_by_itself_triggers_when_armed(self):
        bench = Bench(SOUND)
        generator, scope = bench.instruments.values()
        generator.write(b"FREQ 400;VOLT 1;:OUTP1 ON\n")
        scope.write(b":CHAN1:RANG 8;:TRIG:SWE NORM;:TIM:RANG 0.02;:WAV:FORM ASC;POIN 500;:DIG\n")
        values = np.array(ask(scope, ":WAV:DATA?")[6:].split(","), float)
        late = values[260:]
        assert late.std() > 0.01
        assert np.argmax(np.abs(np.fft.rfft(late[:200] * np.hanning(200)))) in (3, 4)


class TestAnalyser:
    def test_the_average_mixes_configurations_until_it_is_cleared(self):
        bench = Bench(WAVES)
        vna, _, surface = bench.instruments.values()
        vna.write(
            b"SENS:FREQ:STAR 2.4e9;STOP 2.5e9;:SENS:SWE:POIN 3;MODE HOLD;:SENS:AVER ON;"
            b":SENS:AVER:COUN 2;:CALC:PAR:MOD:EXT 'S31'\n"
        )

        def sweep():
            vna.write(b"SENS:SWE:MODE SING;:CALC:DATA? SDATA\n")
            return np.array(vna.read(1.0).decode().split(","), float)

        first = sweep()
        surface.write(b"BITS FFFF\n")
        mixed = sweep()
        vna.write(b"SENS:AVER:CLE\n")
        second = sweep()
        assert not np.allclose(first, second)
        np.testing.assert_allclose(mixed, (first + second) / 2)

    def test_ports_are_reciprocal_and_reflections_unknown(self):
        bench = Bench(WAVES)
        grid = np.array([2.4e9, 2.5e9])
        s13, s31, s11 = bench.wiring.scattering(grid, [(1, 3), (3, 1), (1, 1)])
        np.testing.assert_array_equal(s13, s31)
        assert not s11.any()

    def test_the_sources_are_off_after_outp_off(self):
        bench = Bench(WAVES)
        vna = bench.instruments["vna"]
        vna.write(b"SENS:SWE:POIN 2;:CALC:PAR:MOD:EXT 'S31';:OUTP OFF;:SENS:SWE:MODE SING\n")
        assert set(ask(vna, "CALC:DATA? SDATA").split(",")) <= {
            "+0.000000000000E+00",
            "-0.000000000000E+00",
        }

    def test_nanovna_and_analyser_measure_the_same(self):
        bench = Bench(WAVES)
        nano = bench.instruments["nano"]
        nano.write(b"scan 2400000000 2500000000 3 7\r")
        lines = nano.read(1.0).decode().splitlines()
        assert lines[0] == "scan 2400000000 2500000000 3 7"
        assert lines[-1] == "ch> "
        values = np.array([line.split() for line in lines[1:-1]], float)
        expected = bench.wiring.scattering(values[:, 0], [(3, 1)])[0]
        np.testing.assert_allclose(values[:, 3] + 1j * values[:, 4], expected, atol=1e-8)

    def test_nanovna_says_what_it_does_not_understand(self):
        nano = Bench(WAVES).instruments["nano"]
        for line, answer in (("dance", "dance?"), ("scan 1", "usage"), ("scan 5 4 3", "error")):
            nano.write(line.encode() + b"\r")
            assert answer in nano.read(0.0).decode().split("\r\n", 1)[1]


class TestModulator:
    def test_bits_are_read_back_and_others_refused(self):
        surface = Modulator("surface", 12)
        assert ask(surface, "BITS 0A10") == "OK"
        assert ask(surface, "BITS?") == "0A10"
        assert surface.bits.tolist() == [0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1]
        assert ask(surface, "BITS 0A").startswith("ERROR")
        assert ask(surface, "BITS XY").startswith("ERROR")
        assert ask(surface, "BITS?") == "0A10"
        assert ask(surface, "OFF") == "OK"
        assert not surface.bits.any()

    def test_elements_settle_and_may_be_stuck(self):
        now = [0.0]
        surface = Modulator("surface", 8, settle_s=0.5, stuck={0: 1}, clock=lambda: now[0])
        surface.write(b"BITS 0F\n")
        assert surface.bits.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
        now[0] = 0.6
        assert surface.bits.tolist() == [1, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rig": {"kind": "optical"}}, "OpticalTable"),
        ({"instruments": {}}, "no table"),
        ({"instruments": {"x": {"driver": "toaster"}}}, "toaster"),
        ({"instruments": {"x": {"driver": "pna"}}}, "no place"),
        ({"sim": {}}, "no simulator"),
        ({"sim": {"device": "sim:scattering-medium"}}, "acoustic"),
        ({"sim": {"device": "sim:acoustic-cavity", "bench": {"colour": 1}}}, "colour"),
    ],
)
def test_a_rig_that_cannot_be_rehearsed_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Bench(SOUND | change)


def test_a_fault_for_nobody_is_refused():
    with pytest.raises(ValueError, match="toaster"):
        Bench(SOUND, ["toaster:drop"])
