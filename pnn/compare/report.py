"""What a comparison says before it trains, and of what it lacks."""

from __future__ import annotations

from pnn.compare.config import CompareConfig
from pnn.compare.duration import Expected
from pnn.compare.plan import ComparePlan
from pnn.compare.run import Unfinished
from pnn.report import duration

__all__ = ["missing_text", "plan_text", "time_text"]


def plan_text(settings: CompareConfig, plan: ComparePlan, wall: Expected | None) -> str:
    """Say what a comparison will do and cost, and what it refuses."""
    time = "the devices do not state their seconds per query"
    if plan.device_seconds is not None:
        time = f"about {duration(plan.device_seconds)} on the devices"
        energy = "; their watts are not stated"
        time += energy if plan.joules is None else f", {plan.joules:.3g} J there"
    digital = "not known: a rule does not tell its multiply-adds"
    if plan.multiply_adds is not None:
        digital = f"at most {plan.multiply_adds:.2g} multiply-adds of training, "
        digital += (
            "their joules with joules_per_multiply_add in [run]"
            if plan.digital_joules is None
            else f"{plan.digital_joules:.3g} J of the digital part"
        )
    beside = ""
    if settings.run.controls:
        beside = (
            f", and {plan.control_trainings} of the controls {', '.join(settings.run.controls)}"
        )
    lines = [
        f"compare  {len(settings.rules)} rules x {len(settings.devices)} devices x "
        f"{len(settings.budgets)} budgets x {settings.run.seeds} seeds: "
        f"{len(plan.cells)} trainings{beside}",
        f"queries  at most {plan.queries}, tests included; {time}",
        f"digital  {digital}",
    ]
    if wall is not None:
        processes = min(settings.run.jobs, len(plan.cells)) if plan.parallel else 1
        side = f", in {processes} processes" if processes > 1 else ""
        lines.append(f"time     {time_text(wall)}{side}")
    said = [
        f"refused  {settings.rules[rule].label} on {settings.devices[device].label}: {reason}"
        for (rule, device, _), reason in plan.refused.items()
    ]
    lines += dict.fromkeys(said)
    if not plan.parallel and settings.run.jobs > 1:
        lines.append("note     one process: a device is not simulated, and there is only one of it")
    return "\n".join(lines)


def time_text(expected: Expected) -> str:
    """Say how long all will take."""
    of = "in all" if expected.is_whole else "of computing, besides what the devices take"
    return f"roughly {duration(expected.seconds)} {of}"


def missing_text(lacks: Unfinished) -> str:
    """Say which trainings are missing, a line for each rule, device and budget."""
    config = lacks.config
    seeds: dict[tuple[int, int, int], list[int]] = {}
    for cell in lacks.cells:
        seeds.setdefault((cell.device, cell.rule, cell.budget), []).append(cell.seed)
    queries = sum(cell.queries for cell in lacks.cells)
    total = len(lacks.plan.cells)
    lines = [f"missing  {len(lacks.cells)} of {total} trainings, at most {queries} queries"]
    lines += [
        f"  {config.rules[r].label} on {config.devices[d].label} at budget {config.budgets[b]}: "
        f"seed{'s' * (len(found) > 1)} {', '.join(map(str, found))}"
        for (d, r, b), found in seeds.items()
    ]
    return "\n".join(lines)
