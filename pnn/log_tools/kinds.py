"""What is worth telling of each kind of file: lines of a name and a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pnn.report import duration

__all__ = ["KINDS", "arrays", "short"]

Facts = list[tuple[str, str]]

_WIDTH = 96
_ARRAYS = 12


def _train(content: Mapping[str, Any]) -> Facts:
    plan = content.get("plan", {})
    facts = [
        ("device", short(plan.get("device", "?"))),
        ("rule", f"{plan.get('rule', '?')} (class {plan.get('rule_class', '?')})"),
        ("data", f"{content.get('dataset', '?')}: {content.get('dataset_source', '?')}"),
    ]
    facts += [
        (name, str(identity))
        for parts in (content.get("instruments") or {}).values()
        for name, identity in (parts or {}).items()
    ]
    ledgers = [told["ledger"] for told in content["seeds"].values() if told.get("ledger")]
    if ledgers and "summary" not in content:  # which tells it otherwise
        seconds = sum(ledger["seconds"]["total"] for ledger in ledgers)
        total = sum(ledger["queries"]["total"] for ledger in ledgers)
        facts.append(("queries", f"{total} so far, {duration(seconds)} in the device"))
    if not content["recordings"]:
        retries = sum(ledger["retries"] for ledger in ledgers)
        facts.append(("faults", f"{retries} rows driven again" if retries else "none"))
        devices = content.get("standing", {}).get("devices", [])
        ids = [one for device in devices for one in device.get("calibrations", [])]
        facts.append(("calibration", ", ".join(ids) or "none"))
    return facts


def _sweep(content: Mapping[str, Any]) -> Facts:
    grid = content.get("grid", {"done": 0, "points": 0, "axes": {}})
    axes = " x ".join(f"{name} ({n})" for name, n in grid["axes"].items())
    return [("axes", axes or "none"), ("points", f"{grid['done']} of {grid['points']} measured")]


def _calibration(content: Mapping[str, Any]) -> Facts:
    device = content.get("device", {})
    facts = [("id", str(content.get("id", "?"))), ("device", str(device.get("name", "?")))]
    for key, (low, high) in content.get("validity", {}).items():
        if key == "time_s":
            begin, end = (
                f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M} UTC" for t in (low, high)
            )
            facts.append(("valid", f"from {begin} to {end}"))
        else:
            facts.append(("valid", f"{key} from {low:g} to {high:g}"))
    if content.get("parents"):
        facts.append(("needs", ", ".join(content["parents"])))
    return facts + arrays(content)


def _characterisation(content: Mapping[str, Any]) -> Facts:
    lines = str(content.get("verdict", "")).splitlines()
    facts = [("device", short(content["recipe"]))] if "recipe" in content else []
    return facts + [("verdict" if i == 0 else "", line) for i, line in enumerate(lines)]


def _twin(content: Mapping[str, Any]) -> Facts:
    report = content.get("report", {})
    facts = [
        ("of", f"{content.get('recording', '?')} {content.get('group', '')}".rstrip()),
        ("law", f"{content.get('law', '?')}, {content.get('multiply_adds', '?')} multiply-adds"),
        ("rows", f"{report.get('rows', '?')}, of which {report.get('test_rows', '?')} judged it"),
    ]
    for key, name in (("r2", "held-out R2"), ("affine_share", "affine share")):
        if report.get(key) is not None:
            facts.append((name, f"{report[key]:.4f}"))
    return facts + arrays(content)


def _recording(content: Mapping[str, Any]) -> Facts:
    # What `Recorded` wrote is told of every file; what was imported is plain arrays.
    return [] if content["recordings"] else arrays(content)


def _compare(content: Mapping[str, Any]) -> Facts:
    config = content.get("config", {})
    return [
        (what, ", ".join(str(one.get("label", one)) for one in config.get(what, [])))
        for what in ("rules", "devices")
    ] + [("data", str(content.get("dataset", "?")))]


def arrays(content: Mapping[str, Any]) -> Facts:
    """Return the arrays with their shapes, and the value of single numbers."""
    facts = []
    found = content["arrays"]
    for name, array in list(found.items())[:_ARRAYS]:
        unit = "" if array["unit"] == "1" else array["unit"]
        if "value" in array:
            facts.append(("value", f"{name}: {array['value']:.5g} {unit}".rstrip()))
        else:
            shape = " x ".join(map(str, array["shape"]))
            facts.append(("array", f"{name}: {shape}, {array['dtype']} {unit}".rstrip()))
    if len(found) > _ARRAYS:
        facts.append(("array", f"and {len(found) - _ARRAYS} more"))
    return facts


def short(text: Any) -> str:
    """Return a text on one line of the screen."""
    text = " ".join(str(text).split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 4] + " ..."


#: What tells a kind of file.
KINDS: dict[str, Callable[[Mapping[str, Any]], Facts]] = {
    "train": _train,
    "sweep": _sweep,
    "calibration": _calibration,
    "characterisation": _characterisation,
    "twin": _twin,
    "recording": _recording,
    "compare": _compare,
}
