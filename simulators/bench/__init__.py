"""The virtual bench: simulators behind the instruments of a laboratory, faults on demand."""

from simulators.bench.bench import Bench
from simulators.bench.board import Board
from simulators.bench.faults import KINDS, Fault, Faults, parse_fault
from simulators.bench.generator import Generator
from simulators.bench.link import Instrument, Link
from simulators.bench.modulator import Modulator
from simulators.bench.nanovna import NanoVna
from simulators.bench.network_analyser import NetworkAnalyser
from simulators.bench.optical_table import OpticalTable
from simulators.bench.oscilloscope import Oscilloscope
from simulators.bench.rig_file import with_addresses
from simulators.bench.scpi import ScpiInstrument
from simulators.bench.server import PtyServer, TcpServer
from simulators.bench.wiring import MicrowaveWiring, SoundWiring

__all__ = [
    "KINDS",
    "Bench",
    "Board",
    "Fault",
    "Faults",
    "Generator",
    "Instrument",
    "Link",
    "MicrowaveWiring",
    "Modulator",
    "NanoVna",
    "NetworkAnalyser",
    "OpticalTable",
    "Oscilloscope",
    "PtyServer",
    "ScpiInstrument",
    "SoundWiring",
    "TcpServer",
    "parse_fault",
    "with_addresses",
]
