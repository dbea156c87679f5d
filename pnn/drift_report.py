"""What a run says of the drift that it saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pnn.result import Result

__all__ = ["drift_lines", "drift_summary", "told_reaction"]


def told_reaction(look: Mapping[str, Any]) -> str:
    """Return in words what was done after a look that found drift."""
    tried, enough = look.get("tried") or (), look.get("reaction")
    failed = ", ".join(name for name in tried if name != enough)
    if enough is not None:
        return f"{enough}" + (f" after {failed}" if failed else "")
    return f"{failed} not enough" if failed else "nothing done"


def drift_summary(result: Result) -> dict[str, Any]:
    """Return the looks of all seeds under ``drift``; nothing where the device was not watched."""
    if result.config.drift.settings() is None:
        return {}
    looks = [{"seed": seed.seed} | look for seed in result.seeds for look in seed.drift]
    drifts = [look for look in looks if look["drifted"]]
    return {"drift": {"looks": len(looks), "drifts": drifts}}


def drift_lines(content: Mapping[str, Any] | None) -> list[str]:
    """Return the lines on drift that a run ends with."""
    if content is None:
        return []
    drifts = content["drifts"]
    lines = [f"drift    {content['looks']} looks at the probe drives, drift in {len(drifts)}"]
    for look in drifts[:_SHOWN]:
        change = f"{100 * look['relative_change']:.2g} %"
        agreed = look["agreement"]
        refit = "" if agreed is None else f" (features agree to R2 {agreed:.2f})"
        lines.append(
            f"         seed {look['seed']}, epoch {look['epoch']}: {change}, "
            f"{told_reaction(look)}{refit}"
        )
    if len(drifts) > _SHOWN:
        lines.append(f"         and {len(drifts) - _SHOWN} more; the run file has them")
    return lines


_SHOWN = 8
