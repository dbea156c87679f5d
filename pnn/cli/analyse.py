"""``pnn analyse``: what the layers of a trained network represent."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnn.cli.errors import reported

if TYPE_CHECKING:
    from pnn.analysis import LayerAnalysis

__all__ = ["analyse"]


def analyse(
    run: Annotated[Path, typer.Argument(help="A run file.")],
    seed: Annotated[int | None, typer.Option(help="Whose network; the first seed's.")] = None,
    device: Annotated[str | None, typer.Option(help="Another device than the run's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the test rows of a run again and describe what each layer hands on."""
    with reported():
        from pnn.analysis import analyse as analysed
        from pnn.config import Config
        from pnn.data import split
        from pnn.estimators import PhysicalClassifier
        from pnn.experiment import load_data
        from pnn.run_file import load, read_attributes

        attributes = read_attributes(run)
        config = Config.model_validate(attributes["config"])
        estimator = load(run, seed=seed, device=device)
        if not isinstance(estimator, PhysicalClassifier):
            raise ValueError(f"{run} is a regression: there are no classes to look for")
        dataset = load_data(config)
        _, test = split(dataset, config.run.seed if seed is None else seed, config.run.test)
        layers = analysed(estimator, dataset.X[test], dataset.y[test])
        if as_json:
            found = {"run": str(run), "layers": [_as_json(layer) for layer in layers]}
            print(json.dumps(found, allow_nan=False))
            return
        print(f"{run}: {len(test)} test rows, measured again")
        print("layer  units  sparsity  selective (by chance)  overlap  accuracy  up to here")
        for one in layers:
            mark = "*" if one.probed else " "
            print(
                f"{one.layer:5d}  {one.units:5d}  {one.sparsity:8.3f}  "
                f"{100 * one.selective:7.1f} % ({100 * one.selective_by_chance:.1f} %)     "
                f"{one.overlap:7.3f}  {100 * one.accuracy:6.2f} %{mark}  "
                f"{100 * one.accuracy_up_to:.2f} %{mark}".rstrip()
            )
        print(
            "sparsity: Hoyer, 0 even to 1 one unit alone; selective: units more active for a class "
            "by\n4 standard errors; overlap: of two classes' units"
        )
        if any(one.probed for one in layers):
            print(
                "*: the layer has no class scores of its own; a ridge regression of what it hands "
                "on,\nfitted on half of these rows and scored on the other half"
            )


def _as_json(layer: LayerAnalysis) -> dict[str, Any]:
    """Return the fields; what is not a number becomes null."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in vars(layer).items()
    }
