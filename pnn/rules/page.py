"""The list of methods as a page; ``docs/rules.md`` is what this gives."""

from __future__ import annotations

import inspect
import re

from pnn.rules import RULES, RuleClass

__all__ = ["rules_page"]

_INTRODUCTION = """# Learning rules

This page is printed by `pnn rules --page`. Formulas, options and sources stand in the docstring of
each rule (`pnn/rules/`); measured figures are in [comparing](comparing.md), and
[choosing a rule](choosing-a-rule.md) tells which one for which device, and which methods of the
literature are not rules here. *Queries* are per sample, layer and mask, C the number of classes;
"once" means that in the layer-wise schedule they are spent once and serve all updates, "(online)"
that a rule goes on learning from a stream. What a source reports is for its own network, most often
a digital one, and is quoted second hand where no number of the paper was at hand.
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
            made = rule()
            update, predict = (
                _cost(rows(10), rows(20)) for rows in (made.rows_per_update, made.rows_per_sample)
            )
            once = " once" if rule.measures_once else ""
            what = re.sub(r"\s+", " ", (inspect.getdoc(rule) or "").partition("\n\n")[0])
            cells = [
                f"`{rule.name}`{' (online)' if rule.online else ''}",
                what.rstrip("."),
                ", ".join(rule.can_train),
                f"{update}{once}, {predict}",
                rule.works_on,
                rule.reported,
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cost(ten: int, twenty: int) -> str:
    """Return a cost in words of the number of classes, from those for 10 and 20 classes."""
    if ten == twenty:
        return str(ten)
    slope, rest = (twenty - ten) // 10, ten - (twenty - ten)
    return f"{slope if slope > 1 else ''}C" + (f" + {rest}" if rest else "")
