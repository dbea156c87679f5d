"""What one seed leaves in the run file: laid out before anything is driven, filled arm by arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import DeviceError
from devices.hdf5 import Column, RecordGroup, read_attributes, read_bundle, tables
from pnn.drift_settings import REACTIONS
from pnn.layer import PhysicalLayer
from pnn.result import Arm

__all__ = ["SeedRecord"]

Array = NDArray[Any]

_SLOTS = {"status": 32, "error": 2048, "ledger": 2048, "scores": 1024, "arms": 4096, "notes": 4096}
_METRICS = {
    "layer": Column(dtype=np.int64, long_name="layer, from 0"),
    "epoch": Column(dtype=np.int64, long_name="passes over the training rows"),
    "loss": Column(long_name="training loss"),
    "validation_loss": Column(),
    "validation_accuracy": Column(),
}
_LOOKS = {
    "epoch": Column(dtype=np.int64, long_name="epochs that were over, of all layers"),
    "device": Column(dtype=np.int64, long_name="device, from 0"),
    "queries": Column(dtype=np.int64, long_name="queries of all looks until then"),
    "drifted": Column(dtype=np.int64, long_name="1 for a drift beyond the repeatability"),
    "z": Column(long_name="mean square change over its noise, in standard deviations"),
    "relative_change": Column(long_name="rms change over rms answer"),
    "correlation": Column(long_name="of the answers with those of the start"),
    "agreement": Column(long_name="R2 of the features after a refit; NaN without one"),
    "tried": Column(
        dtype=np.int64, long_name=f"reactions: sum of 2^i over the i in {', '.join(REACTIONS)}"
    ),
    "enough": Column(dtype=np.int64, long_name="the reaction that was enough, i as above; or -1"),
}


class SeedRecord:
    """The group ``seed_N`` of a run file.

    An arm is done once the attribute ``arms`` tells its size; its merits are in the file by then.

    Parameters
    ----------
    group : RecordGroup
        Laid out by `lay_out`, now or by the process that began the run.
    """

    def __init__(self, group: RecordGroup) -> None:
        self.group = group
        self._state, self._controls = group.bundle("state"), group.bundle("controls")
        self._metrics = group.group("metrics")
        self._checks = self._metrics.rows(_METRICS, "check")
        self._looks = group.group("drift").rows(_LOOKS, "look") if "drift" in group else None
        self._learned = False  # something that readers do not see yet
        self.seed = int(group.h5.attrs["seed"])

    @classmethod
    def lay_out(
        cls,
        group: RecordGroup,
        seed: int,
        train: Array,
        test: Array,
        arms: Sequence[str],
        *,
        drift: bool = False,
    ) -> SeedRecord:
        """Make everything that a seed will need, empty; for looks at `drift` as well."""
        if drift:
            group.group("drift")
        for name, size in _SLOTS.items():
            group.slot(name, size)
        group.set(seed=seed, status="waiting", seconds=0.0)
        group.write("train_row", train, ("train_row",), long_name="row of the data set")
        group.write("test_row", test, ("test_row",), long_name="row of the data set")
        for name in arms:
            group.write(
                f"merit_{name}",
                np.full(len(test), np.nan),
                ("test_row",),
                long_name="1 for a right label, 0 for a wrong one; 1 - error^2 / variance for "
                "numbers; NaN before the arm is done",
            )
        return cls(group)

    # -- what is there -------------------------------------------------------------------------

    @property
    def attributes(self) -> dict[str, Any]:
        """What the group says of the seed."""
        return read_attributes(self.group.h5)

    def arms(self) -> dict[str, Arm]:
        """Return the arms that are done."""
        known = {field.name for field in fields(Arm)}
        return {
            name: Arm(
                merit=self.group.h5[f"merit_{name}"][()],
                **{key: value for key, value in size.items() if key in known},
            )
            for name, size in self.attributes.get("arms", {}).items()
        }

    def alignment(self) -> float | None:
        """Return the last cosine of feedback and true gradient, if the rule tells of it."""
        values = self._metrics.h5.get("alignment", [])
        known = np.asarray(values, float)
        known = known[np.isfinite(known)]
        return float(known[-1]) if len(known) else None

    def restore_layers(self, layers: Sequence[PhysicalLayer]) -> None:
        """Give untrained layers what the controls need of the trained ones."""
        found = read_bundle(self.group.h5, "controls") or {}
        for i, layer in enumerate(layers):
            of_layer = f"layer{i}.affine."
            sums = {k.removeprefix(of_layer): v for k, v in found.items() if of_layer in k}
            layer.affine.restore(sums)
            layer.sample = found[f"layer{i}.sample"]

    # -- the device's arm ----------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the device's arm, from its start if it was begun before."""
        metrics = self._metrics.h5
        stale = [name for name in metrics if name not in _METRICS and not metrics[name].is_scale]
        if stale:
            with self.group.restructuring():
                for name in stale:
                    del metrics[name]
        for table in list(tables(self._metrics.h5)):
            replace(table, rows=0).cut()
        self._checks = self._metrics.rows(_METRICS, "check")
        if "drift" in self.group:
            drift = self.group.group("drift")
            for table in list(tables(drift.h5)):
                replace(table, rows=0).cut()
            self._looks = drift.rows(_LOOKS, "look")
        self.group.set(status="running", error="")
        self.group.flush()

    def look(self, metrics: Mapping[str, Any], ledger: Mapping[str, Any]) -> None:
        """Take note of one look at the validation rows, and of what was spent until then."""
        self._checks.append(
            **{name: [metrics.get(name, _missing(name))] for name in _METRICS}  # one row
        )
        self.spent(ledger)

    def looked(self, look: Mapping[str, Any]) -> None:
        """Take note of one look at the probe drives."""
        if self._looks is None:
            return
        tried, enough = look.get("tried", ()), look.get("reaction")
        row = {name: look.get(name, np.nan) for name in _LOOKS} | {
            "tried": sum(1 << REACTIONS.index(name) for name in tried),
            "enough": -1 if enough is None else REACTIONS.index(enough),
        }
        self._looks.append(**{name: [value] for name, value in row.items()})

    def looks(self) -> list[dict[str, Any]]:
        """Return the looks at the probe drives, as they were told."""
        if self._looks is None:
            return []
        self.group.flush()
        columns = {name: self.group.h5["drift"][name][()].tolist() for name in _LOOKS}
        found = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        for look in found:
            tried, enough = look.pop("tried"), look.pop("enough")
            look |= {name: None for name, value in look.items() if np.isnan(value)}
            look["drifted"] = bool(look["drifted"])
            look["tried"] = [name for i, name in enumerate(REACTIONS) if tried >> i & 1]
            look["reaction"] = REACTIONS[enough] if enough >= 0 else None
        return found

    def learned(self, state: Mapping[str, Array]) -> None:
        """Keep what the network knows, over what it knew before."""
        self._state.write(state)
        self._learned = True

    def spent(self, ledger: Mapping[str, Any]) -> None:
        """Take note of what was spent on the devices so far."""
        self.group.set(ledger=ledger)

    def warned(self, texts: Sequence[str]) -> None:
        """Keep what was warned of while the device was trained with: each once, the first few."""
        self.group.set(notes=[text[:400] for text in dict.fromkeys(texts)][:8])

    def trained(
        self, layers: Sequence[PhysicalLayer], history: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keep what the controls need of the layers, and the metrics without a column."""
        kept = {f"layer{i}.sample": layer.sample for i, layer in enumerate(layers)}
        for i, layer in enumerate(layers):
            kept |= {f"layer{i}.affine.{k}": v for k, v in layer.affine.state().items()}
        self._controls.write(kept)
        more = dict.fromkeys(key for row in history for key in row if key not in _METRICS)
        if more:
            with self.group.restructuring():
                for key in more:
                    values = [row.get(key, np.nan) for row in history]
                    self._metrics.write(key, values, ("check",))

    # -- ends ----------------------------------------------------------------------------------

    def finish_arm(self, name: str, arm: Arm, seconds: float) -> None:
        """Write what an arm gave; from then on it is done."""
        self.group.rewrite(f"merit_{name}", arm.merit)
        self.group.flush()  # before what says that it is there
        size = {f.name: getattr(arm, f.name) for f in fields(arm) if f.name != "merit"}
        told = self.attributes
        self.group.set(
            arms=told.get("arms", {}) | {name: size | {"seconds": seconds}},
            scores=told.get("scores", {}) | {name: arm.score},
            seconds=float(told["seconds"] + seconds),
        )
        self.group.flush()

    def finish(self) -> None:
        """Say that all arms are done."""
        self._controls.clear()
        self.group.set(status="done", error="")
        self.group.flush()

    def fail(self, error: BaseException) -> None:
        """Say how the seed ended, and keep the rows that were measured before a device failed."""
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        self.group.set(
            status="interrupted" if interrupted else "failed",
            error=str(error)[: _SLOTS["error"] // 4],
        )
        if isinstance(error, DeviceError) and error.rows is not None and len(error.rows):
            with self.group.restructuring():
                self._remove("failure")
                failure = self.group.group("failure")
                failure.write(
                    "answers",
                    error.rows,
                    ("row", "output"),
                    long_name="answers of the failing call before the row that failed",
                )
                failure.set(failed_row=error.failed_row)

    def publish(self) -> None:
        """Write what was learned as named arrays; `pnn.load` needs them not, other readers do."""
        state = read_bundle(self.group.h5, "state")
        if state is None or ("weights" in self.group and not self._learned):
            return
        there = self.group.h5.get("weights", {})
        # In place where that can be: taking something away may make the file shorter, and a kill
        # in that moment leaves one that does not open.
        same = (name in there and there[name].shape == np.shape(v) for name, v in state.items())
        if there and all(same):
            weights = self.group.group("weights")
            for name, values in state.items():
                weights.rewrite(name, values)
        else:
            with self.group.restructuring():
                self._remove("weights")
                weights = self.group.group("weights")
                for name, values in state.items():
                    weights.write(name, values, [f"{name}.axis{i}" for i in range(np.ndim(values))])
        self._learned = False

    def _remove(self, name: str) -> None:
        if name in self.group:
            del self.group.h5[name]


def _missing(name: str) -> float:
    return -1 if _METRICS[name].dtype is np.int64 else np.nan
