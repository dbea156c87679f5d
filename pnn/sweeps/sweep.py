"""``pnn.sweep``: from a configuration or arguments to a measured file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from devices import Device, build_device
from devices.hdf5 import recover
from pnn.config import ConfigError
from pnn.reading import Run, open_h5, open_run
from pnn.run_path import default_path
from pnn.sweeps.config import SweepConfig, load_sweep
from pnn.sweeps.file import done_points, read_plan
from pnn.sweeps.metrics import Metric
from pnn.sweeps.plan import Plan, check, differences, plan_of
from pnn.sweeps.run import Progress, run

__all__ = ["Sweep", "prepare", "sweep"]

DeviceLike = str | Path | Mapping[str, Any] | Device


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep that was checked and can be run."""

    plan: Plan
    base: Device
    path: Path
    metrics: Mapping[str, Metric]
    attributes: Mapping[str, Any]
    resume: bool
    programmed: bool
    n_done: int
    finished: bool

    def summary(self) -> dict[str, Any]:
        """Return points, queries and time, all and left."""
        plan, n = self.plan, len(self.plan.design)
        seconds, share = plan.seconds(self.base.spec), 1 - self.n_done / n
        return {
            "name": plan.name,
            "device": repr(self.base),
            "points": n,
            "done": self.n_done,
            "drives": plan.n_drives,
            "queries": plan.queries,
            "queries_left": round(plan.queries * share),
            "seconds_left": None if seconds is None else seconds * share,
            "axes": {axis.name: len(axis.values) for axis in plan.design.axes},
            "repeats": plan.design.repeats,
            "run": str(self.path),
        }

    def run(
        self,
        *,
        accept: bool = False,
        progress: Progress = lambda *_: None,
        told: Callable[[], object] = lambda: None,
    ) -> Run:
        """Measure what is missing; see `pnn.sweeps.run.run`. A finished file is left alone."""
        if self.finished:
            return open_run(self.path)
        run(
            self.plan,
            self.base,
            self.path,
            self.metrics,
            attributes=self.attributes,
            programmed=self.programmed,
            resume=self.resume,
            accept=accept,
            progress=progress,
            told=told,
        )
        return open_run(self.path)


def prepare(
    config: SweepConfig | None,
    *,
    device: DeviceLike | None = None,
    functions: Mapping[str, Metric] | None = None,
    resume: str | Path | None = None,
) -> Sweep:
    """Check everything that can be checked without driving.

    Raises
    ------
    LimitError
        If a drive or parameter of any point is outside its limits.
    ConfigError
        If axes, device and file do not go together.
    OSError
        If there is no such file to resume.
    """
    if config is None and resume is None:
        raise ConfigError("a sweep needs a configuration, or a file to resume")
    there: dict[str, Any] = {}
    plan: Plan | None = None
    if resume is not None:
        recover(resume)
        plan, there = read_plan(resume)
    source = device
    if source is None:
        source = (config.device if config is not None else None) or there.get("source")
    if not source:
        raise ConfigError("a sweep needs a device; give a name, a table or a Device")
    base = build_device(source)
    if config is not None:
        asked = plan_of(config, base)
        lines = differences(plan, asked) if plan is not None else []
        if lines:
            raise ConfigError(
                f"{resume}: the plan is another one; resume with the configuration of the file, "
                "or begin a new file:\n" + "\n".join(f"  {line}" for line in lines)
            )
        # The file's own order holds: it was planned there.
        plan = plan or asked
    assert plan is not None
    plan = replace(plan, functions=functions or {})
    programmed = isinstance(source, Device)
    if base.is_open and plan.rebuilds:
        raise ConfigError(
            f"axis {plan.rebuilds[0].name}: it builds the device anew, which is open; close it "
            "before the sweep"
        )
    metrics = check(plan, base, programmed=programmed)
    attributes = {
        "name": plan.name,
        "config": _shortened(config) if config is not None else {},
        "source": "" if programmed else _named(source),
        "device": repr(base),
    }
    path = Path(resume or (config.out if config is not None else None) or default_path(plan.name))
    n_done = 0
    if resume is None:
        if path.exists() and not path.is_dir():  # of a folder, the writer will tell
            raise FileExistsError(
                f"{path} exists already and is not overwritten; resume it, or choose another file"
            )
    else:
        with open_h5(path) as file:
            n_done = int(done_points(file, plan).sum())
    return Sweep(
        plan=plan,
        base=base,
        path=path,
        metrics=metrics,
        attributes=attributes,
        resume=resume is not None,
        programmed=programmed,
        n_done=n_done,
        finished=n_done == len(plan.design) and there.get("status") == "done",
    )


def sweep(
    config: SweepConfig | str | Path | Mapping[str, Any] | None = None,
    *,
    device: DeviceLike | None = None,
    axes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    probe: int | ArrayLike | Mapping[str, Any] | None = None,
    metrics: Sequence[str | Metric] = (),
    resume: str | Path | None = None,
    accept: bool = False,
    progress: Progress = lambda *_: None,
    **settings: Any,
) -> Run:
    """Vary something, measure at every point, and return the file that holds it.

    Parameters
    ----------
    config : path, mapping or SweepConfig, optional
        As for ``pnn sweep``; the arguments below replace its keys.
    device : str, mapping, path or Device, optional
        A name as for `pnn.open_device`, or a device. One that is open is used as it is and left
        open; its programmable parameters are put back.
    axes : mapping or sequence of mappings, optional
        ``{"drive.0": [0, 0.5, 1], "device.noise": {"from": 1e-3, "to": 1, "points": 4, "scale":
        "log"}}``, or tables as in a configuration.
    probe : int, array or mapping, optional
        Number of random drives at each point, or the drives, (drives, n_inputs).
    metrics : sequence of str or callable
        Names, or functions of (drives, answers) that return a number.
    resume : path, optional
        The file of a sweep that ended early: exactly the missing points are measured.
    accept : bool
        Whether to resume although device, limits or code are not the same as before.
    progress : callable, optional
        Called with the share that is done and a text, before each point.
    **settings
        Other keys of a configuration: ``repeats``, ``averages``, ``settle_s``, ``order``,
        ``seed``, ``sampling``, ``out``, ``name`` ...

    Returns
    -------
    Run
        The file; see `pnn.open_run`.

    Raises
    ------
    LimitError
        If a drive or a parameter of any point is outside its limits; nothing was driven.
    ConfigError
        If the arguments do not go together; nothing was driven.
    DeviceError
        If the device fails. The points before are in the file, which can be resumed.
    KeyboardInterrupt
        After Ctrl-C, when the point was finished.

    Examples
    --------
    >>> import tempfile
    >>> run = sweep(
    ...     device="sim:scattering-medium?n_inputs=4&n_outputs=8&seed=1",
    ...     axes={"drive.0": [0.0, 1.0, 2.0]},
    ...     probe=2,
    ...     out=f"{tempfile.mkdtemp()}/sweep.h5",
    ... )
    >>> run.status
    'done'
    >>> run.grid.answers.dims
    ('drive_0', 'repeat', 'probe', 'output')
    """
    functions = {one.__name__: one for one in metrics if callable(one)}
    changes = {key: _named(value) for key, value in settings.items()}
    if metrics:
        changes["metrics"] = [one.__name__ if callable(one) else one for one in metrics]
    if axes is not None:
        changes["axis"] = _axis_tables(axes)
    if probe is not None:
        changes["probe"] = _probe_table(probe)
    if isinstance(config, SweepConfig):
        config = config.model_dump(by_alias=True, exclude_unset=True)
    given: SweepConfig | None = None
    if config is not None or axes is not None:
        given = load_sweep({} if config is None else config, **changes)
    elif late := [key for key in changes if key != "metrics" or len(functions) < len(metrics)]:
        raise ConfigError(f"{', '.join(late)}: a sweep that is resumed has them in its file")
    return prepare(given, device=device, functions=functions, resume=resume).run(
        accept=accept, progress=progress
    )


def _axis_tables(axes: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if not isinstance(axes, Mapping):
        return list(axes)
    tables = {what: v if isinstance(v, Mapping) else {"values": v} for what, v in axes.items()}
    return [{"what": what, **table} for what, table in tables.items()]


def _probe_table(probe: int | ArrayLike | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(probe, Mapping):
        return probe
    return {"rows": probe} if isinstance(probe, int) else {"table": probe}


def _named(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _shortened(config: SweepConfig) -> dict[str, Any]:
    """Return the configuration for the record; long lists stand in the file as arrays anyway."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [short(one) for one in value] if len(value) <= 32 else f"{len(value)} values"
        return value

    content: dict[str, Any] = short(
        config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    )
    return content
