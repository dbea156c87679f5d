"""``pnn analyse``: what the layers of a trained network represent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pnn.cli.errors import reported

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
            print(json.dumps({"run": str(run), "layers": [vars(layer) for layer in layers]}))
            return
        print(f"{run}: {len(test)} test rows, measured again")
        print("layer  units  sparsity  selective (by chance)  overlap  accuracy  up to here")
        for one in layers:
            print(
                f"{one.layer:5d}  {one.units:5d}  {one.sparsity:8.3f}  "
                f"{100 * one.selective:7.1f} % ({100 * one.selective_by_chance:.1f} %)     "
                f"{one.overlap:7.3f}  {100 * one.accuracy:6.2f} %   "
                f"{100 * one.accuracy_up_to:.2f} %"
            )
        print(
            "sparsity: Hoyer, 0 even to 1 one unit alone; selective: units more active for a class "
            "by\n4 standard errors; overlap: of two classes' units"
        )
