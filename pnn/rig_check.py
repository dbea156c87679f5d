"""Whether a rig works: what answers, how fast, how repeatably, and what to try if not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import (
    Desync,
    Device,
    DeviceError,
    Flag,
    InUse,
    LimitError,
    LinkDown,
    ReplyTimeout,
    ShortTransfer,
)
from devices.rigs import RigConfig, build_rig, instruments, load_rig
from devices.rigs.optical import OpticalRig
from devices.rigs.waveform import WaveformRig

__all__ = ["check_rig", "check_text"]

_PINGS = 5
# A response to the drive that is no larger than this many times the noise is none.
_RESPONSE = 3.0

_ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (ImportError, "install what the message names"),
    (
        ReplyTimeout,
        "it is connected and silent: check terminations and baud rate in the rig file, and that "
        "no other program talks to it",
    ),
    (InUse, "wait for that program, or end it"),
    (
        LinkDown,
        "is it switched on and connected? Compare its address with `pnn rig list`, and end other "
        "programs that hold it",
    ),
    (Desync, "switch it off and on, or clear its interface; then check again"),
    (ShortTransfer, "check the cable and, on a serial line, the baud rate"),
    (
        LimitError,
        "random rows between the ends of the inputs' range break [limits]: narrow that range (in a "
        "waveform rig volts_per_input, in a board rig low_v and high_v), or raise the limit if the "
        "laboratory bears it",
    ),
    (DeviceError, "see the message; it may be another instrument, or one that refuses"),
)


def check_rig(path: str | Path, *, rows: int = 8, seed: int = 0) -> dict[str, Any]:
    """Check the instruments one by one, then the rig as a whole.

    Parameters
    ----------
    path : path
        A rig file.
    rows : int
        Repeats of one row; 0 drives nothing.
    seed : int
        Of the row, which is drawn between the limits of the inputs.

    Returns
    -------
    dict
        ``ok``; ``instruments``, by name: ``ok``, ``identity``, ``identity_checked`` (None where
        there is no link that could ask), ``latency_s`` (median of a small question), or ``error``
        and ``advice``; ``rig``: ``ok``, ``seconds_per_row``,
        ``repeatability`` (standard deviation of repeats over the rms of the answers),
        ``response`` (rms change between two rows, over the same), ``saturated`` (share of rows),
        ``advice``; ``timing``: of a waveform rig ``settle_s``, ``time_constant_s``,
        ``settle_samples`` (the least), of an optical one ``stale_frames``; ``notes``: what it
        says about the rig file; None where it was not tried.

    Raises
    ------
    ValueError
        If the rig file is wrong.
    """
    config = load_rig(path)
    build_rig(path)  # what can be known without connecting comes first
    each = {name: _instrument(one) for name, one in instruments(config).items()}
    works = all(state["ok"] for state in each.values())
    whole = _rig(config, rows, seed) if works and rows else None
    ok = works and (whole is None or bool(whole["ok"]))
    return {"rig_file": str(path), "ok": ok, "instruments": each, "rig": whole}


def check_text(result: dict[str, Any]) -> str:
    """Return the result of `check_rig` as lines for people."""
    lines = []
    for name, state in result["instruments"].items():
        if state["ok"]:
            latency = state["latency_s"]
            speed = "" if latency is None else f", answers in {1e3 * latency:.2g} ms"
            lines.append(f"{name}: {state['identity'] or 'connected'}{speed}")
            if state["identity_checked"] is False:
                lines.append("  note: identity not checked: set idn, a pattern for the name above")
        else:
            lines += [f"{name}: FAILED: {state['error']}", f"  try: {state['advice']}"]
    whole = result["rig"]
    if whole is None:
        lines.append("the rig was not driven")
    elif "error" in whole:
        lines += [f"rig: FAILED: {whole['error']}", f"  try: {whole['advice']}"]
    else:
        lines.append(
            f"rig: {1e3 * whole['seconds_per_row']:.3g} ms per row, repeats within "
            f"{100 * whole['repeatability']:.2g} %, answer changes by "
            f"{100 * whole['response']:.3g} % with the drive"
        )
        lines += [f"  note: {text}" for text in whole["notes"]]
        lines += [f"  try: {text}" for text in whole["advice"]]
    lines.append("all is well" if result["ok"] else "something is wrong, see above")
    return "\n".join(lines)


def _instrument(one: Any) -> dict[str, Any]:
    """Connect to an instrument, without configuring it, and time a small question."""
    try:
        (one.connect if hasattr(one, "connect") else one.open)()
        try:
            question = _question(one)
            latency = None
            if question is not None:
                times = []
                for _ in range(_PINGS):
                    began = time.perf_counter()
                    question()
                    times.append(time.perf_counter() - began)
                latency = float(np.median(times))
            identity = str(getattr(one, "identity", ""))
            link = getattr(one, "transport", None)
            checked = None if link is None else bool(link.settings.idn)
        finally:
            one.close()
    except (DeviceError, ImportError, OSError) as error:
        return {"ok": False, "error": str(error), "advice": _advice(error)}
    return {
        "ok": True,
        "identity": identity,
        "identity_checked": checked,
        "latency_s": latency,
    }


def _question(one: Any) -> Callable[[], Any] | None:
    """Return something small to ask, for what an instrument offers."""
    if hasattr(one, "status"):
        return one.status
    if hasattr(one, "shell"):
        return lambda: one.shell("version")
    identify = one.transport.settings.identify if hasattr(one, "ask") else ""
    return (lambda: one.ask(identify)) if identify else None


def _rig(config: RigConfig, rows: int, seed: int) -> dict[str, Any]:
    try:
        with build_rig(config.path) as device:
            drives = _drives(device, seed)
            device.measure(drives[:1], purpose="calibration")  # the first one finds all cold
            began = time.perf_counter()
            first = device.acquire(np.repeat(drives[:1], rows, axis=0), purpose="calibration")
            seconds = (time.perf_counter() - began) / rows
            second = device.measure(drives[1:], purpose="calibration")
            timing, notes = _timing(device, drives[0], rows)
    except (DeviceError, ImportError, OSError) as error:
        return {"ok": False, "error": str(error), "advice": _advice(error)}
    repeats = first.outputs
    level = float(np.sqrt(np.mean(np.abs(repeats) ** 2))) or 1.0
    spread = float(np.sqrt(np.mean(np.abs(repeats - repeats.mean(axis=0)) ** 2))) / level
    response = float(np.sqrt(np.mean(np.abs(second[0] - repeats.mean(axis=0)) ** 2))) / level
    saturated = float(np.mean(first.flags & Flag.SATURATED > 0))
    advice = []
    if timing.get("stale_frames", 0) > timing.get("flush_frames", 0):
        advice.append(notes.pop())  # answers are those of rows before: that explains what follows
    if not np.isfinite(repeats).all():
        advice.append("there are answers that are no numbers: check what is connected")
    if response <= _RESPONSE * spread:
        advice.append("the answer does not depend on the drive: check cables, gain and trigger")
    if saturated:
        advice.append("the converter is at the end of its range: widen it, or lower the drive")
    return {
        "ok": not advice,
        "seconds_per_row": seconds,
        "repeatability": spread,
        "response": response,
        "saturated": saturated,
        "advice": advice,
        "timing": timing,
        "notes": notes,
    }


def _timing(device: Device, drive: NDArray[Any], repeats: int) -> tuple[dict[str, Any], list[str]]:
    """Measure how long a rig takes to settle, and say what that means for its file."""
    try:
        if isinstance(device, WaveformRig):
            return _transient(device, drive, repeats)
        if isinstance(device, OpticalRig) and not device.triggered:
            stale, flushed = device.stale_frames(), device.flush_frames
            said = f"{stale} frames after a change are old: flush_frames = {stale}"
            return {"stale_frames": stale, "flush_frames": flushed}, [
                f"{said}; the file has {flushed}" + (", which is too few" * (flushed < stale))
            ]
    except ValueError as error:  # it cannot be measured with these settings
        return {}, [str(error)]
    return {}, []


def _transient(
    device: WaveformRig, drive: NDArray[Any], repeats: int
) -> tuple[dict[str, Any], list[str]]:
    found = device.transient(drive, repeats=repeats)
    if not math.isfinite(found.settle_s):
        return {"settle_s": None}, [
            f"after settle_samples = {device.settle_samples} there is still a transient, of a "
            "shape that tells nothing: raise it many times over, and check again"
        ]
    need = math.ceil(found.settle_s * device.sample_rate_hz - 1e-6)
    note = (
        f"{100 * found.tolerance:g} % of the transient are left after {found.settle_s:.4g} s: "
        f"ring_down_s = {found.settle_s:.4g}, settle_samples of at least {need}; the file has "
        f"{device.settle_samples}"
    )
    if not found.settled:
        note += "; this is beyond what was heard: raise settle_samples and check again"
    return {
        "settle_s": found.settle_s,
        "time_constant_s": found.time_constant_s if found.time_constant_s > 0 else None,
        "settle_samples": need,
        "settled": found.settled,
    }, [note]


def _drives(device: Device, seed: int) -> NDArray[Any]:
    """Return two legal rows, (2, n_inputs)."""
    spec, random = device.spec, np.random.default_rng(seed)
    low, high = (np.broadcast_to(v, spec.n_inputs).astype(float) for v in (spec.low, spec.high))
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 1.0)
    rows = random.uniform(low, high, (2, spec.n_inputs))
    return np.rint(rows) if spec.domain in ("bits", "codes") else rows


def _advice(error: BaseException) -> str:
    return next((text for kind, text in _ADVICE if isinstance(error, kind)), "see the message")
