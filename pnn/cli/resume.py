"""``pnn train --resume``: what a run that was broken off is asked before it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pnn.config import Config

__all__ = ["check_options", "check_same", "finished_summary", "missing"]


def check_options(
    config: str | None, resume: Path | None, *, accept: bool, out: str | None
) -> None:
    """Raise `ValueError` if the options do not say what is to be done."""
    if resume is None and config is None:
        raise ValueError(
            "nothing to train: give a preset (`pnn presets` lists them), a TOML file, or "
            "--resume RUN"
        )
    if resume is None and accept:
        raise ValueError("--accept goes with --resume RUN")
    if resume is not None and out is not None:
        raise ValueError(f"--resume goes on in {resume} itself; leave --out {out} out")


def check_same(run: Path, then: Config, now: Config) -> None:
    """Raise `DifferentError` unless both are the same experiment, wherever it is written."""
    from pnn.resume_check import DifferentError, differences

    was, is_now = (config.model_dump(mode="json") for config in (then, now))
    for table in (was, is_now):
        del table["name"], table["description"], table["run"]["out"]
    if found := differences(was, is_now):
        raise DifferentError(
            f"the configuration is not that of {run}; leave the options out, or begin a new run:\n"
            + "\n".join(f"  {line}" for line in found)
        )


def finished_summary(run: Path) -> dict[str, Any] | None:
    """Return the summary of a run in which nothing is missing; None where something is."""
    from pnn.run_file import read_attributes

    attributes = read_attributes(run)
    return attributes.get("summary") if attributes["status"] == "done" else None


def missing(run: Path, settings: Config) -> str:
    """Say which arms of which seeds are missing, a line for each seed."""
    from pnn.run_file import read_attributes

    lines = ["missing"]
    for name, told in read_attributes(run)["seeds"].items():
        done = told.get("arms", {})
        arms = [arm for arm in ("device", *settings.run.controls) if arm not in done]
        if arms:
            lines.append(f"  {name.replace('_', ' ')}: {', '.join(arms)}")
    return "\n".join(lines)
