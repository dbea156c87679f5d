"""The list of methods as a page (``docs/rules.md`` is what this gives), and a single one."""

from __future__ import annotations

import inspect
import pydoc
import re
import textwrap

from pnn.rules import RULES, Rule, RuleClass, make_rule, options_of

__all__ = ["costs", "rule_text", "rules_page"]

_INTRODUCTION = """# Learning rules

This page is printed by `pnn rules --page`. Formulas, options and sources stand in the docstring of
each rule (`pnn/rules/`); measured figures are in [comparing](comparing.md), and
[choosing a rule](choosing-a-rule.md) tells which one for which device, and which methods of the
literature are not rules here. *Queries* are per sample, layer and mask, C the number of classes;
"once" means that in the layer-wise schedule they are spent once and serve all updates, "first layer
C once" that so many of them are in the first layer, "a layer" that they come on top for each layer
whatever the samples, "ln n" that a generation grows with the n numbers that are searched,
"(online)" that a rule goes on learning from a stream. What a source reports is for its own network,
most often a digital one, and is quoted second hand where no number of the paper was at hand.
"""

_HEAD = (
    "rule",
    "what, and source",
    "trains",
    "queries: update, prediction",
    "works on",
    "reported",
)


def rules_page() -> str:
    """Return the page, in Markdown: one table for each class of rules."""
    lines = [_INTRODUCTION]
    for kind in RuleClass:
        rules = [rule for rule in RULES.values() if rule.rule_class is kind]
        if not rules:
            continue
        lines += [
            f"## `{kind.name}`: {kind.value}",
            "",
            f"| {' | '.join(_HEAD)} |",
            "|---" * len(_HEAD) + "|",
        ]
        for rule in rules:
            what = re.sub(r"\s+", " ", (inspect.getdoc(rule) or "").partition("\n\n")[0])
            cells = [
                f"`{rule.name}`{' (online)' if rule.online else ''}",
                what.rstrip("."),
                ", ".join(rule.can_train),
                ", ".join(costs(rule())),
                rule.works_on,
                rule.reported,
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def rule_text(name: str) -> str:
    """Return what there is to know about one rule: its docstring, options, parts and cost.

    Raises
    ------
    ValueError
        If there is no such rule.
    """
    rule = make_rule(name)
    options = ", ".join(f"{option} = {value!r}" for option, value in options_of(rule).items())
    update, predict = costs(rule)
    parts = ", ".join(
        part if part in rule.trains else f"{part} (if asked)" for part in rule.can_train
    )
    facts = {
        "class": f"{rule.rule_class.name}: {rule.rule_class.value}",
        "learns": ", ".join(rule.tasks) + (", also from a stream" if rule.online else ""),
        "trains": parts,
        "queries": f"update {update}, prediction {predict} (per sample, layer and mask; C classes)",
        "works on": rule.works_on,
        "reported": rule.reported,
        "options": options or "none",
    }
    lines = [f"{key.ljust(8)}  {value}" for key, value in facts.items()]
    told = [rule.name, "", inspect.getdoc(rule) or "", ""]
    for place, described in _referred(type(rule), type(rule)).items():
        told += [f"{place}:", described, ""]
    return "\n".join([*told, *lines])


def _referred(rule: type[Rule], described: type) -> dict[str, str]:
    """Return the options that a docstring leaves to other docstrings ("See `...`"), by these."""
    bases = {base.__name__: base for base in rule.__mro__}
    found: dict[str, str] = {}
    for place in re.findall(r"[Ss]ee\s+`([\w.]+)`", inspect.getdoc(described) or ""):
        other = bases.get(place) or pydoc.locate(place)
        _, _, options = (inspect.getdoc(other) or "").partition("\nParameters\n----------\n")
        if options and isinstance(other, type):
            found |= {place: textwrap.indent(options, "    "), **_referred(rule, other)}
    return found


def costs(rule: Rule, n_classes: int | None = None) -> tuple[str, str]:
    """Return the declared queries of an update and of a prediction, in words.

    Without a number of classes, in words of C.
    """
    ten, twenty = (rule.cost(n_classes or n) for n in (10, 20))
    update = _cost(ten.update, twenty.update)
    update += f" + {ten.growth}" if ten.growth else ""
    update += " once" if ten.once else ""
    first = _cost(ten.first_once, twenty.first_once)
    update += f" (first layer {first} once)" if ten.first_once else ""
    update += f" + {ten.per_layer} a layer" if ten.per_layer else ""
    return update, _cost(ten.predict, twenty.predict)


def _cost(ten: int, twenty: int) -> str:
    """Return a cost in words of the number of classes, from those for 10 and 20 classes."""
    if ten == twenty:
        return str(ten)
    slope, rest = (twenty - ten) // 10, ten - (twenty - ten)
    return f"{slope if slope > 1 else ''}C" + (f" + {rest}" if rest else "")
