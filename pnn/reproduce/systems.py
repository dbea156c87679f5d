"""What is compared: the systems, the rules, and a medium that changes or does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnn.compare import CompareConfig
from pnn.config import validated

__all__ = ["CONDITIONS", "RULES", "SYSTEMS", "System", "comparison_of", "tasks"]

#: When the medium becomes another one, as a share of the training; None for never.
CONDITIONS: dict[str, float | None] = {"still": None, "while training": 0.5, "at inference": 1.0}

#: The rules, and what is set for each.
RULES: dict[str, dict[str, Any]] = {
    "phyll-remeasured": {"training": {"inner_steps": 10, "learning_rate": 0.01}},
    "phyll": {"training": {"inner_steps": 10, "learning_rate": 0.01}},
    "phyll-unsupervised": {},
    # A network as the model costs ten times the time, for a point or two in trials.
    "physics-aware": {"kind": "affine", "refit": 10},
    "in-silico": {"kind": "affine"},
    "ideal-backprop": {},
}

#: Seed of the change of the medium, the same for all rules and seeds.
_SEED_OF_CHANGE = 2023

#: Data, epochs, seeds (a small test set asks for more splits), and roughly the seconds that one
#: core takes for a training.
_TASKS: dict[str, dict[str, Any]] = {
    "vowels": {
        "data": {"source": "vowels", "sex": "women", "vowels": 7},
        "epochs": 40,
        "seeds": 10,
        "seconds": 1.2,
    },
    "digits": {"data": {"source": "digits"}, "epochs": 16, "seeds": 3, "seconds": 3.0},
}


@dataclass(frozen=True, kw_only=True)
class System:
    """One physical system.

    Attributes
    ----------
    task : str
        "vowels" or "digits".
    device : dict
        As in a configuration. Without a name it is the twin of a recording, made beforehand.
    network : dict
        As in a configuration.
    change : float
        How much the medium changes: gain and mixing of `Perturbed`. A tenth of it is much where
        answers vary little with the drives; accuracies should fall, and not all to chance.
    seconds_per_query : float
        Of a bench like it; 0 where that is not known.
    """

    task: str
    device: dict[str, Any]
    network: dict[str, Any]
    change: float
    seconds_per_query: float = 0.0


_TONES = {"layers": 2, "width": 20, "skip": True}

#: The systems by name.
SYSTEMS = {
    "acoustic": System(
        task="vowels", device={}, network=_TONES, change=0.02, seconds_per_query=0.128
    ),
    "acoustic-recorded": System(task="vowels", device={}, network=_TONES, change=0.02),
    "microwave": System(
        task="vowels",
        device={
            "name": "sim:metasurface",
            "n_inputs": 20,
            "n_outputs": 20,
            "transmitters": 4,
            "receivers": 5,
        },
        network={"layers": 3, "width": 10, "skip": True},
        change=0.05,
    ),
    "optical": System(
        task="digits",
        device={"name": "sim:multimode-fibre", "n_inputs": 80, "n_outputs": 128},
        network={"layers": 2, "width": 80, "skip": False},
        change=0.2,
    ),
}


def tasks(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the systems of each task, of those that are named."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(SYSTEMS[name].task, []).append(name)
    return {task: tuple(systems) for task, systems in found.items()}


def expected_seconds(task: str) -> float:
    """Return how long one core takes for a training of the full size, roughly."""
    return float(_TASKS[task]["seconds"])


def comparison_of(
    task: str,
    systems: tuple[str, ...],
    twins: dict[str, Path | None],
    *,
    out: Path,
    seed: int,
    seeds: int | None,
    jobs: int,
    quick: bool,
    joules_per_multiply_add: float | None,
) -> CompareConfig:
    """Return the comparison of all rules on these systems, under every condition.

    Parameters
    ----------
    twins : dict
        Files of the twins by system; None stands for one that is not made yet, and then the
        comparison is good for an estimate only.
    seeds : int or None
        None: as many as the size of the test set asks for.
    quick : bool
        Few epochs and two seeds: a look at the whole, not a result.
    """
    chosen = _TASKS[task]
    devices = []
    for name in systems:
        system = SYSTEMS[name]
        device = system.device or _twin(twins[name])
        for condition, share in CONDITIONS.items():
            change = {"share": share, "gain": system.change, "mixing": system.change}
            wrap = [{"name": "perturbed", "seed": _SEED_OF_CHANGE} | change]
            label = f"{name}, {condition}"
            devices.append(
                device
                | {"label": label, "network": system.network}
                | ({} if share is None else {"wrap": wrap})
            )
    content = {
        "name": f"momeni2023-{task}",
        "data": chosen["data"],
        "rules": [{"name": name} | options for name, options in RULES.items()],
        "devices": devices,
        # Not fitted to a budget: every rule takes its epochs, and what they cost is reported.
        "budgets": [10**9],
        "training": {
            "epochs": 4 if quick else chosen["epochs"],
            "check_every": 2 if quick else 4,
            # The last state counts: the best one would be that before the medium changes.
            "validation": 0.0,
        },
        "run": {
            "seed": seed,
            "seeds": seeds or (2 if quick else chosen["seeds"]),
            "jobs": jobs,
            "curves": True,
            "out": str(out),
            "joules_per_multiply_add": joules_per_multiply_add,
        },
    }
    return validated(CompareConfig, content, f"momeni2023-{task}")


def _twin(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {"name": "sim:random-features", "n_inputs": 20, "n_outputs": 20}
    return {"name": "twin", "path": str(path), "outside": "allow", "noise": True}
