"""A screenful of what happened, from what `describe` returns."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pnn.log_tools.kinds import KINDS, arrays, short
from pnn.report import duration, result_text

__all__ = ["show_text"]

#: Commands whose runs can be gone on with.
_RESUMED_BY = ("train", "sweep", "compare")


def show_text(content: Mapping[str, Any]) -> str:
    """Return the text of ``pnn log show``."""
    file, kind = content["file"], content["kind"]
    name = content.get("name") or content.get("calibration_kind") or kind
    facts: list[tuple[str, str]] = [("kind", f"{kind}, layout {file['layout']}")]
    if file["seconds"] is not None and content.get("ended"):
        facts.append(("time", duration(file["seconds"])))
    facts += [("resumed", f"{len(content['sessions'])} times")] if content.get("sessions") else []
    facts += KINDS.get(kind, arrays)(content)
    facts += _of_recordings(content)
    if "versions" in content:
        facts.append(("versions", ", ".join(f"{k} {v}" for k, v in content["versions"].items())))
    facts += [("code", content["git"])] if content.get("git") else []
    facts += [("host", str(content["host"]))] if "host" in content else []
    facts += [("error", content["error"])] if "error" in content else []
    if content.get("status") != "done" and kind in _RESUMED_BY:
        facts.append(("go on", f"pnn {kind} --resume {shlex.quote(file['path'])}"))
    width = max(len(key) for key, _ in facts)
    return "\n".join(
        [
            f"{file['path']}: {name}, {content.get('status', 'no status')}, "
            f"started {content.get('started', '?')}",
            *(f"{key.ljust(width)} {text}".rstrip() for key, text in facts),
            *_results(content),
        ]
    )


def _results(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what came of it, below the facts."""
    if content["kind"] == "compare" and "cells" in content["arrays"]:
        from pnn.compare.table import read_comparison, table_text

        yield "\n" + table_text(read_comparison(content["file"]["path"]))
    elif content["kind"] == "train" and "summary" in content:
        yield result_text(content["summary"])
    else:
        for seed, told in content["seeds"].items():
            score = told.get("scores", {}).get("device")
            yield f"{seed}: {told['status']}" + (f", {score:.4f}" if score is not None else "")


def _of_recordings(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return rows, faults, calibrations and readings of the recorded devices."""
    facts = []
    recordings = {place: told for place, told in content["recordings"].items() if told["rows"]}
    if content["kind"] == "train" and len(recordings) > 1:  # the same devices for every seed
        recordings = {f"{len(recordings)} groups": _added(list(recordings.values()))}
    for place, told in (recordings or dict(list(content["recordings"].items())[:1])).items():
        where = f" in {place}" if place != "/" else ""
        facts.append(
            (
                "rows",
                f"{told['rows']} of {told['inputs']} drives and {told['outputs']} answers{where}",
            )
        )
        if "device" in told and content["kind"] != "train":
            facts.append(("device", short(told.get("recipe", told["device"]))))
        if told.get("purposes"):
            spent = ", ".join(f"{n} {k}" for k, n in told["purposes"].items())
            seconds = sum(told.get("device_seconds", {}).values())
            took = f", {duration(seconds)} in the device" if seconds else ""
            facts.append(("spent on", spent + took))
        faults = [f"{n} {k.replace('_', ' ')}" for k, n in told["faults"].items() if n]
        facts.append(("faults", ", ".join(faults) or "none"))
        ids = told.get("calibrations", [])
        known = f"{ids} different" if isinstance(ids, int) else ", ".join(ids)
        facts.append(("calibration", known or "none"))
        facts += [
            ("reading", f"{name} from {low:g} to {high:g}")
            for name, (low, high) in told["readings"].items()
        ]
    return facts


def _added(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows, purposes, faults and readings of several recordings in one."""
    whole: dict[str, Any] = {**parts[0], "rows": sum(part["rows"] for part in parts)}
    for key in ("purposes", "faults", "device_seconds"):
        sums: Counter[str] = Counter()  # of seconds, too
        for part in parts:
            sums.update(part.get(key, {}))
        whole[key] = dict(sums)
    ids = [part.get("calibrations", []) for part in parts]
    whole["calibrations"] = sorted({x for one in ids if isinstance(one, list) for x in one})
    names = dict.fromkeys(name for part in parts for name in part["readings"])
    ends = {name: [p["readings"][name] for p in parts if name in p["readings"]] for name in names}
    whole["readings"] = {
        name: [min(low for low, _ in pairs), max(high for _, high in pairs)]
        for name, pairs in ends.items()
    }
    return whole
