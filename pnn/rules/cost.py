"""What a rule declares that it costs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cost"]


@dataclass(frozen=True)
class Cost:
    """Queries of a rule per sample, layer and mask, as `pnn rules` lists them.

    Attributes
    ----------
    update : int
        Of one update; for a search, its fewest candidates, each judged on every sample.
    predict : int
        Of one prediction.
    once : bool
        Whether those of `update` are spent once, in the layer-wise schedule, and serve all
        updates.
    first_once : int
        How many of those of `update` the first layer spends once, where the others do not.
    per_layer : int
        Queries of training that come on top for each layer, whatever the samples.
    growth : str
        What `update` grows by with the n numbers that are searched, in words.
    """

    update: int
    predict: int
    once: bool = False
    first_once: int = 0
    per_layer: int = 0
    growth: str = ""
