"""Learning rules, one file each, behind the interface of `pnn.rules.base`."""

from typing import Any

from pnn.rules.backward import BackwardRule
from pnn.rules.base import Rule, RuleClass
from pnn.rules.contrastive import ContrastiveRule
from pnn.rules.forward_forward import ForwardForward
from pnn.rules.ideal_backprop import IdealBackprop
from pnn.rules.local import LocalRule
from pnn.rules.mono_forward import MonoForward
from pnn.rules.node_perturbation import NodePerturbation
from pnn.rules.phyll import PhyLL
from pnn.rules.readout import Readout

__all__ = [
    "RULES",
    "BackwardRule",
    "ContrastiveRule",
    "ForwardForward",
    "IdealBackprop",
    "LocalRule",
    "MonoForward",
    "NodePerturbation",
    "PhyLL",
    "Readout",
    "Rule",
    "RuleClass",
    "make_rule",
]

#: The rules by name.
RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        PhyLL,
        ForwardForward,
        MonoForward,
        Readout,
        NodePerturbation,
        IdealBackprop,
    )
}


def make_rule(rule: str | Rule, **options: Any) -> Rule:
    """Return the rule of that name with its options; a rule is returned as it is.

    Raises
    ------
    ValueError
        If there is no such rule, or it has no such option.
    """
    if isinstance(rule, Rule):
        if options:
            raise ValueError(f"{rule.name!r} is made already; options {sorted(options)} are late")
        return rule
    if rule not in RULES:
        raise ValueError(f"rule={rule!r} is not one of {', '.join(RULES)}")
    try:
        return RULES[rule](**options)
    except TypeError as error:
        raise ValueError(f"rule {rule!r}: {error}") from error
