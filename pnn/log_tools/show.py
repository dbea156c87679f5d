"""A screenful of what happened, from what `describe` returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pnn.report import duration, result_text

__all__ = ["show_text"]

_WIDTH = 96
_MANY = 3


def show_text(content: Mapping[str, Any]) -> str:
    """Return the text of ``pnn log show``."""
    file = content["file"]
    name = content.get("name") or content.get("calibration_kind") or content["kind"]
    lines = [
        f"{file['path']}: {name}, {content.get('status', 'no status')}, "
        f"started {content.get('started', '?')}"
    ]
    facts: list[tuple[str, str]] = [("kind", f"{content['kind']}, layout {file['layout']}")]
    if file["seconds"] is not None and content.get("ended"):
        facts.append(("time", duration(file["seconds"])))
    facts += [("resumed", f"{len(content['sessions'])} times")] if content.get("sessions") else []
    facts += _KINDS.get(content["kind"], _other)(content)
    facts += _of_recordings(content)
    if "versions" in content:
        facts.append(("versions", ", ".join(f"{k} {v}" for k, v in content["versions"].items())))
    facts += [("code", content["git"])] if content.get("git") else []
    facts += [("host", str(content["host"]))] if "host" in content else []
    facts += [("error", content["error"])] if "error" in content else []
    width = max(len(key) for key, _ in facts)
    lines += [f"{key.ljust(width)} {text}" for key, text in facts]
    if "summary" in content and content["kind"] == "train":
        lines.append(result_text(content["summary"]))
    else:
        for seed, told in content["seeds"].items():
            score = told.get("scores", {}).get("device")
            lines.append(
                f"{seed}: {told['status']}" + (f", {score:.4f}" if score is not None else "")
            )
    return "\n".join(lines)


def _train(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    plan = content.get("plan", {})
    return [
        ("device", _short(plan.get("device", "?"))),
        ("rule", f"{plan.get('rule', '?')} (class {plan.get('rule_class', '?')})"),
        ("data", f"{content.get('dataset', '?')}: {content.get('dataset_source', '?')}"),
    ]


def _sweep(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    grid = content.get("grid", {"done": 0, "points": 0, "axes": {}})
    axes = " x ".join(f"{name} ({n})" for name, n in grid["axes"].items())
    return [("axes", axes or "none"), ("points", f"{grid['done']} of {grid['points']} measured")]


def _calibration(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    device = content.get("device", {})
    validity = content.get("validity", {})
    facts = [("id", str(content.get("id", "?"))), ("device", str(device.get("name", "?")))]
    facts += [("valid", f"{key} from {low:g} to {high:g}") for key, (low, high) in validity.items()]
    if content.get("parents"):
        facts.append(("needs", ", ".join(content["parents"])))
    return facts + _other(content)


def _characterisation(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = str(content.get("verdict", "")).splitlines()
    return [("verdict" if i == 0 else "", line) for i, line in enumerate(lines)]


def _other(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    for name, array in list(content["arrays"].items())[:12]:
        shape = " x ".join(map(str, array["shape"])) or "one number"
        facts.append(("array", f"{name}: {shape}, {array['dtype']} {array['unit']}".rstrip()))
    if len(content["arrays"]) > 12:
        facts.append(("array", f"and {len(content['arrays']) - 12} more"))
    return facts


def _recording(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    # What `Recorded` wrote follows anyway; what was imported is plain arrays.
    return [] if content["recordings"] else _other(content)


def _of_recordings(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return rows, faults, calibrations and readings of each recorded device."""
    facts = []
    recordings = content["recordings"]
    if len(recordings) > _MANY:  # one line for all of them
        recordings = {f"{len(recordings)} groups": _added(list(recordings.values()))}
    for place, told in recordings.items():
        where = f" in {place}" if place != "/" else ""
        facts.append(
            (
                "rows",
                f"{told['rows']} of {told['inputs']} drives and {told['outputs']} answers{where}",
            )
        )
        if "device" in told and content["kind"] != "train":
            facts.append(("device", _short(told.get("recipe", told["device"]))))
        if told.get("purposes"):
            facts.append(("spent on", ", ".join(f"{n} {k}" for k, n in told["purposes"].items())))
        faults = [f"{n} {k.replace('_', ' ')}" for k, n in told["faults"].items() if n]
        facts.append(("faults", ", ".join(faults) or "none"))
        ids = told.get("calibrations")
        if ids:
            facts.append(
                ("calibration", f"{ids} different" if isinstance(ids, int) else ", ".join(ids))
            )
        facts += [
            ("reading", f"{name} from {low:g} to {high:g}")
            for name, (low, high) in told["readings"].items()
        ]
    return facts


def _added(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows, purposes and faults of several recordings in one."""
    whole: dict[str, Any] = {**parts[0], "rows": sum(part["rows"] for part in parts)}
    for key in ("purposes", "faults"):
        sums: Counter[str] = Counter()
        for part in parts:
            sums.update(part.get(key, {}))
        whole[key] = dict(sums)
    ids = [part.get("calibrations", []) for part in parts]
    whole["calibrations"] = sorted({x for one in ids if isinstance(one, list) for x in one})
    return whole | {"readings": {}}


def _short(text: Any) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 4] + " ..."


_KINDS = {
    "train": _train,
    "sweep": _sweep,
    "calibration": _calibration,
    "characterisation": _characterisation,
    "recording": _recording,
}
