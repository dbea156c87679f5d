"""Learning rules, one file each, behind the interface of `pnn.rules.base`."""

import inspect
from typing import Any

from devices.checks import did_you_mean
from pnn.rules.augmented_dfa import AugmentedDFA
from pnn.rules.backward import BackwardRule
from pnn.rules.base import Rule, RuleClass
from pnn.rules.cafo import CaFo
from pnn.rules.cma_es import CMAES
from pnn.rules.contrastive import ContrastiveRule
from pnn.rules.counter_current import CounterCurrent
from pnn.rules.dfa import DFA
from pnn.rules.digital_backprop import DigitalBackprop
from pnn.rules.dual_propagation import DualPropagation
from pnn.rules.equilibrium_propagation import EquilibriumPropagation
from pnn.rules.ffzero import FFZero
from pnn.rules.forward_forward import ForwardForward
from pnn.rules.forward_gradient import ForwardGradient
from pnn.rules.guided_forward_gradient import GuidedForwardGradient
from pnn.rules.ideal_backprop import IdealBackprop
from pnn.rules.in_silico import InSilico
from pnn.rules.layer_collaboration import LayerCollaboration
from pnn.rules.likelihood_ratio import LikelihoodRatio
from pnn.rules.local import LocalRule
from pnn.rules.logistic import Logistic
from pnn.rules.mono_forward import MonoForward
from pnn.rules.node_perturbation import NodePerturbation
from pnn.rules.noprop import NoProp
from pnn.rules.nudging import NudgingRule
from pnn.rules.particle_swarm import ParticleSwarm
from pnn.rules.pepg import PEPG
from pnn.rules.pepita import Pepita
from pnn.rules.phyll import PhyLL
from pnn.rules.phyll_remeasured import RemeasuredPhyLL
from pnn.rules.physics_aware import PhysicsAware
from pnn.rules.product_feedback import ProductFeedback
from pnn.rules.readout import Readout
from pnn.rules.recurrent_forward_forward import RecurrentForwardForward
from pnn.rules.scalable_forward_forward import ScalableForwardForward
from pnn.rules.search import SearchRule
from pnn.rules.self_contrastive import SelfContrastive
from pnn.rules.spsa import SPSA
from pnn.rules.stack import StackRule
from pnn.rules.streaming import Streaming
from pnn.rules.symba import SymBa
from pnn.rules.target_projection import DRTP, TargetProjectionSGD
from pnn.rules.unsupervised import UnsupervisedForwardForward, UnsupervisedPhyLL

__all__ = [
    "CMAES",
    "DFA",
    "DRTP",
    "PEPG",
    "RULES",
    "SPSA",
    "AugmentedDFA",
    "BackwardRule",
    "CaFo",
    "ContrastiveRule",
    "CounterCurrent",
    "DigitalBackprop",
    "DualPropagation",
    "EquilibriumPropagation",
    "FFZero",
    "ForwardForward",
    "ForwardGradient",
    "GuidedForwardGradient",
    "IdealBackprop",
    "InSilico",
    "LayerCollaboration",
    "LikelihoodRatio",
    "LocalRule",
    "Logistic",
    "MonoForward",
    "NoProp",
    "NodePerturbation",
    "NudgingRule",
    "ParticleSwarm",
    "Pepita",
    "PhyLL",
    "PhysicsAware",
    "ProductFeedback",
    "Readout",
    "RecurrentForwardForward",
    "RemeasuredPhyLL",
    "Rule",
    "RuleClass",
    "ScalableForwardForward",
    "SearchRule",
    "SelfContrastive",
    "StackRule",
    "Streaming",
    "SymBa",
    "TargetProjectionSGD",
    "UnsupervisedForwardForward",
    "UnsupervisedPhyLL",
    "make_rule",
    "options_of",
]

#: The rules by name.
RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        PhyLL,
        RemeasuredPhyLL,
        UnsupervisedPhyLL,
        ForwardForward,
        UnsupervisedForwardForward,
        SymBa,
        LayerCollaboration,
        RecurrentForwardForward,
        SelfContrastive,
        ScalableForwardForward,
        MonoForward,
        DRTP,
        TargetProjectionSGD,
        CounterCurrent,
        Pepita,
        CaFo,
        NoProp,
        Readout,
        Logistic,
        Streaming,
        NodePerturbation,
        FFZero,
        ForwardGradient,
        GuidedForwardGradient,
        LikelihoodRatio,
        SPSA,
        CMAES,
        PEPG,
        ParticleSwarm,
        DFA,
        AugmentedDFA,
        ProductFeedback,
        PhysicsAware,
        InSilico,
        IdealBackprop,
        DigitalBackprop,
        EquilibriumPropagation,
        DualPropagation,
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
        hint = did_you_mean(rule, RULES)
        raise ValueError(f"rule={rule!r} is not one of {', '.join(RULES)}.{hint}")
    known = options_of(RULES[rule])
    for option in options:
        if option not in known:
            said = ", ".join(f"{name}={value!r}" for name, value in known.items()) or "none"
            raise ValueError(
                f"rule {rule!r}: there is no option {option!r}.{did_you_mean(option, known)} Its "
                f"options are {said}"
            )
    try:
        return RULES[rule](**options)
    except TypeError as error:
        raise ValueError(f"rule {rule!r}: {error}") from error


def options_of(rule: Rule | type[Rule]) -> dict[str, Any]:
    """Return the options of a rule with their defaults."""
    made = rule if isinstance(rule, type) else type(rule)
    return {name: p.default for name, p in inspect.signature(made).parameters.items()}
