"""The virtual instruments of each kind of rig, and what connects them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import Device
from devices.checks import number
from simulators.acoustic.box import AcousticBox
from simulators.bench.board import Board
from simulators.bench.generator import Generator
from simulators.bench.link import Instrument
from simulators.bench.modulator import Modulator
from simulators.bench.nanovna import NanoVna
from simulators.bench.network_analyser import NetworkAnalyser
from simulators.bench.oscilloscope import Oscilloscope
from simulators.bench.wiring import MicrowaveWiring, SoundWiring
from simulators.microwave.metasurface_cavity import MetasurfaceCavity

__all__ = ["KINDS", "ROLES", "role_of"]

Array = NDArray[Any]
#: What a builder returns: the instruments, and what connects them.
Built = tuple[dict[str, Instrument], SoundWiring | MicrowaveWiring | None]

#: What a driver's name contains, and the virtual instrument that answers it.
ROLES = {
    "generator": ("335", "336", "generator", "awg"),
    "oscilloscope": ("dsox", "infiniivision", "scope"),
    "nanovna": ("nanovna",),
    "analyser": ("pna", "e5080", "n52", "vna", "analyser", "analyzer"),
    "board": ("board",),
    "modulator": ("metasurface", "modulator"),
}
_ROWS_FOR_RANGE = 256
_MARGIN = 0.25  # of the answers' range, left free on either side of a board's converters


def role_of(name: str, driver: str) -> str:
    """Return the virtual instrument that answers a driver.

    Raises
    ------
    ValueError
        If there is none.
    """
    for role, words in ROLES.items():
        if any(word in driver.lower() for word in words):
            return role
    raise ValueError(
        f"bench: [instruments.{name}] driver={driver!r} has no virtual counterpart; there are "
        f"{', '.join(ROLES)}"
    )


def _sound(
    physics: Device, roles: Mapping[str, str], settings: dict[str, Any], shared: dict[str, Any]
) -> Built:
    if not isinstance(physics, AcousticBox):
        raise ValueError(
            "bench: the physics of a waveform rig is an acoustic simulator, not "
            f"{physics.spec.name}"
        )
    load = number("bench", "load_ohm", settings.pop("load_ohm", 1e6), 0.0, above=True)
    wiring = SoundWiring(physics, lock=shared["lock"], **settings)
    made: dict[str, Instrument] = {}
    for name, role in roles.items():
        if role == "generator":
            generator = Generator(name, load_ohm=load, on_fire=wiring.fire, **shared)
            wiring.generators.append(generator)
            made[name] = generator
        else:
            scope = Oscilloscope(name, on_arm=wiring.armed, **shared)
            wiring.oscilloscopes.append(scope)
            made[name] = scope
    return made, wiring


def _microwaves(
    physics: Device, roles: Mapping[str, str], settings: dict[str, Any], shared: dict[str, Any]
) -> Built:
    if not isinstance(physics, MetasurfaceCavity):
        raise ValueError(
            f"bench: the physics of a metasurface rig is sim:metasurface, not {physics.spec.name}"
        )
    reference = settings.pop("reference_hz", 2.45e9)
    if "stuck" in settings:  # the keys of TOML are texts
        settings["stuck"] = {int(k): int(bit) for k, bit in settings["stuck"].items()}
    setters = [name for name, role in roles.items() if role == "modulator"]
    if len(setters) != 1:
        raise ValueError(f"bench: a metasurface rig has one modulator, not {len(setters)}")
    modulator = Modulator(setters[0], physics.spec.n_inputs, **settings, **shared)
    wiring = MicrowaveWiring(physics, physics._kwargs, modulator, reference)
    made: dict[str, Instrument] = {}
    for name, role in roles.items():
        if role == "modulator":
            made[name] = modulator
        elif role == "nanovna":
            made[name] = NanoVna(name, wiring, heard=len(physics.transmitters) + 1, **shared)
        else:
            made[name] = NetworkAnalyser(name, wiring, **shared)
    return made, wiring


def _board(
    physics: Device, roles: Mapping[str, str], settings: dict[str, Any], shared: dict[str, Any]
) -> Built:
    if len(roles) != 1:
        raise ValueError(f"bench: a board rig has one board, not {len(roles)}")
    (name,) = roles
    dac = tuple(settings.get("dac_volts", (0.0, 3.3)))
    adc = tuple(settings.get("adc_volts", (0.0, 3.3)))
    converted = _volts_to_volts(physics, dac, adc)
    n_dac, n_adc = physics.spec.n_inputs, physics.spec.n_outputs
    return {name: Board(name, converted, n_dac, n_adc, **settings, **shared)}, None


#: By kind of rig: what builds it, its instruments, and the keys of its table ``[sim.bench]``.
KINDS: dict[str, tuple[Callable[..., Built], tuple[str, ...], tuple[str, ...]]] = {
    "waveform": (
        _sound,
        ("generator", "oscilloscope"),
        ("volts_per_input", "volts_per_output", "load_ohm"),
    ),
    "metasurface": (
        _microwaves,
        ("analyser", "nanovna", "modulator"),
        ("reference_hz", "settle_s", "stuck"),
    ),
    "board": (
        _board,
        ("board",),
        ("dac_bits", "adc_bits", "dac_volts", "adc_volts", "rest_v", "max_payload"),
    ),
}


def _volts_to_volts(device: Device, dac: tuple[float, ...], adc: tuple[float, ...]) -> Any:
    """Return the device as a function from DAC volts to ADC volts.

    The range of the DACs is that of the inputs; the answers to random drives fill the range of
    the ADCs but for a margin.
    """
    spec = device.spec
    low, high = np.broadcast_to(spec.low, spec.n_inputs), np.broadcast_to(spec.high, spec.n_inputs)
    low, high = low.astype(float), high.astype(float)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"bench: {spec.name} has no limits on its inputs, which a board needs")
    if np.dtype(spec.output_dtype).kind == "c":
        raise ValueError(f"bench: {spec.name} has complex answers, which a board cannot convert")
    random = np.random.default_rng(0)
    seen = device.measure(random.uniform(low, high, (_ROWS_FOR_RANGE, spec.n_inputs)))
    least, most = float(seen.min()), float(seen.max())
    wide = max(most - least, 1e-12)
    least, most = least - _MARGIN * wide, most + _MARGIN * wide

    def physics(volts: Array) -> Array:
        share = np.clip((volts - dac[0]) / (dac[1] - dac[0]), 0.0, 1.0)
        drives = low + share * (high - low)
        if spec.domain in ("bits", "codes"):
            drives = np.rint(drives)
        answers = device.measure(drives)
        return adc[0] + (answers - least) / (most - least) * (adc[1] - adc[0])

    return physics
