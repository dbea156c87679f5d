"""Drivers that others wrote for the real instruments work against the virtual ones."""

import sys

import numpy as np
import pytest

from simulators.bench import Bench

SOUND = {
    "rig": {"kind": "waveform"},
    "instruments": {"awg": {"driver": "33500"}, "scope": {"driver": "infiniivision"}},
    "sim": {"device": "sim:acoustic-cavity?n_inputs=8&n_outputs=16&seed=0"},
}
WAVES = {
    "rig": {"kind": "metasurface"},
    "instruments": {
        "vna": {"driver": "pna"},
        "nano": {"driver": "nanovna"},
        "surface": {"driver": "metasurface"},
    },
    "sim": {
        "device": "sim:metasurface?n_inputs=16&walls=80&n_outputs=8&complex_answers=true&noise=0"
    },
}


@pytest.fixture
def sound():
    with Bench(SOUND) as bench:
        yield bench, bench.serve()


@pytest.fixture
def waves():
    with Bench(WAVES) as bench:
        yield bench, bench.serve()


class TestPymeasure:
    @pytest.fixture(autouse=True)
    def _there(self):
        pytest.importorskip("pymeasure")
        pytest.importorskip("pyvisa_py")

    def adapter(self, address):
        from pymeasure.adapters import VISAAdapter

        return VISAAdapter(
            address, visa_library="@py", read_termination="\n", write_termination="\n", timeout=4000
        )

    def test_generator(self, sound):
        from pymeasure.instruments.agilent import Agilent33500

        bench, addresses = sound
        generator = Agilent33500(self.adapter(addresses["awg"]))
        assert "33522B" in generator.id
        generator.ch_1.output_load = "INF"
        generator.ch_1.shape = "SIN"
        generator.ch_1.frequency = 432.1
        generator.ch_1.amplitude = 1.5
        generator.ch_1.offset = 0.25
        assert generator.ch_1.frequency == pytest.approx(432.1)
        assert generator.ch_1.amplitude == pytest.approx(1.5)
        assert generator.ch_1.shape == "SIN"
        generator.clear_display()
        generator.ch_1.data_arb("ramp", range(-10000, 10001, 100), data_format="DAC")
        generator.ch_1.arb_file = "ramp"
        generator.ch_1.arb_srate = 16000
        generator.ch_1.shape = "ARB"
        generator.ch_1.burst_state = True
        generator.ch_1.burst_ncycles = 1
        generator.trigger_source = "BUS"
        generator.ch_1.output = True
        assert generator.ch_1.output
        generator.trigger()
        assert generator.check_errors() == []
        burst = bench.wiring.played[-1]
        assert burst.high_v == pytest.approx(0.25 + 0.75 * 10000 / 32767, rel=1e-3)
        generator.ch_1.output = False
        assert not generator.ch_1.output  # answered, hence done
        assert not bench.outputs_on()["awg"]

    @pytest.mark.filterwarnings("ignore::FutureWarning")
    def test_oscilloscope(self, sound):
        from pymeasure.instruments.keysight import KeysightDSOX1102G

        scope = KeysightDSOX1102G(self.adapter(sound[1]["scope"]))
        scope.ch1.setup(coupling="dc", vertical_range=4.0, offset=0.5, probe_attenuation=1)
        assert scope.ch1.range == pytest.approx(4.0)
        assert scope.ch1.current_configuration["RANG"] == pytest.approx(4.0)
        scope.timebase_setup(mode="main", horizontal_range=0.02)
        assert scope.timebase["MAIN:RANG"] == pytest.approx(0.02)
        scope.acquisition_type = "normal"
        scope.digitize("channel1")
        data, preamble = scope.download_data("channel1", points=500)
        assert len(data) == preamble["points"] == 500
        assert preamble["xincrement"] == pytest.approx(0.02 / 500)
        np.testing.assert_allclose(data, 0.0, atol=4.0 / 256)

    def test_network_analyser(self, waves):
        from pymeasure.instruments.keysight import KeysightPNA

        bench, addresses = waves
        analyser = KeysightPNA(self.adapter(addresses["vna"]))
        analyser.write("SENS1:FREQ:STAR 2.4e9;STOP 2.5e9;:SENS1:SWE:POIN 5;:CALC1:MEAS1:PAR 'S31'")
        channel = analyser.ch_1
        channel.single()
        assert analyser.complete
        trace = channel.tr_1
        assert trace.parameter == "S31"
        np.testing.assert_allclose(trace.x_data, np.linspace(2.4e9, 2.5e9, 5))
        answers = trace.y_data_complex @ [1, 1j]
        expected = bench.wiring.scattering(np.linspace(2.4e9, 2.5e9, 5), [(3, 1)], noise=0.0)[0]
        np.testing.assert_allclose(answers, expected, rtol=1e-5)
        analyser.output_enabled = False
        assert not analyser.output_enabled
        assert not bench.outputs_on()["vna"]


class TestQcodes:
    @pytest.fixture(autouse=True)
    def _there(self):
        pytest.importorskip("qcodes")
        pytest.importorskip("pyvisa_py")

    def test_generator(self, sound):
        from qcodes.instrument_drivers.Keysight import Keysight33522B

        bench, addresses = sound
        generator = Keysight33522B("awg_of_qcodes", addresses["awg"], visalib="@py")
        try:
            channel = generator.ch2
            channel.frequency(1234.5)
            channel.amplitude(0.5)
            channel.function_type("RAMP")
            channel.burst_state("ON")
            channel.burst_ncycles(3)
            channel.trigger_source("BUS")
            channel.output("ON")
            generator.force_trigger()
            assert channel.frequency() == pytest.approx(1234.5)
            assert channel.burst_ncycles() == 3
            assert generator.error() == (0, "No error")
            assert bench.wiring.played[-1].channel == 2
            assert bench.wiring.played[-1].seconds == pytest.approx(3 / 1234.5)
            generator.sync.output("OFF")
            assert generator.sync.output() == "OFF"
        finally:
            generator.close()

    def test_network_analyser(self, waves):
        from qcodes.instrument_drivers.Keysight import KeysightN5222B

        bench, addresses = waves
        analyser = KeysightN5222B("vna_of_qcodes", addresses["vna"], visalib="@py")
        try:
            analyser.start(2.4e9)
            analyser.stop(2.5e9)
            analyser.points(7)
            analyser.trace("S41")
            expected = bench.wiring.scattering(np.linspace(2.4e9, 2.5e9, 7), [(4, 1)], noise=0.0)[0]
            np.testing.assert_allclose(analyser.polar(), expected, rtol=1e-5)
            analyser.averages(4)
            analyser.averages_on()
            magnitude = analyser.linear_magnitude()
            np.testing.assert_allclose(magnitude, np.abs(expected), rtol=1e-5)
            analyser.if_bandwidth(500)
            assert analyser.if_bandwidth() == pytest.approx(500)
        finally:
            analyser.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_nanovna_client(waves):
    hardware = pytest.importorskip("pynanovna.hardware.Hardware")
    bench, _ = waves
    addresses = bench.serve(pty=True)
    line = hardware.Interface("serial", "NanoVNA")
    line.port = addresses["nano"].removeprefix("serial://")
    line.open()
    try:
        vna = hardware.get_VNA(line)
        assert vna is not None
        vna.datapoints = 11
        vna.set_sweep(2_400_000_000, 2_500_000_000)
        frequencies = vna.read_frequencies()
        vna.read_values("data 0")
        s21 = np.array([complex(*map(float, text.split())) for text in vna.read_values("data 1")])
    finally:
        line.close()
    np.testing.assert_allclose(frequencies, np.linspace(2.4e9, 2.5e9, 11), atol=1)
    expected = bench.wiring.scattering(np.array(frequencies, float), [(3, 1)], noise=0.0)[0]
    np.testing.assert_allclose(s21, expected, atol=1e-8)
