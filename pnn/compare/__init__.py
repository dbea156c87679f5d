"""Rules, devices and seeds side by side, under one budget of queries."""

from pnn.compare.config import CompareConfig, load_compare
from pnn.compare.plan import Cell, ComparePlan, plan_comparison
from pnn.compare.run import compare, resume
from pnn.compare.table import Comparison, read_comparison

__all__ = [
    "Cell",
    "CompareConfig",
    "ComparePlan",
    "Comparison",
    "compare",
    "load_compare",
    "plan_comparison",
    "read_comparison",
    "resume",
]
