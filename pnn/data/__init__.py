"""Data sets: rows of features with a label or a number each, where from, and how to split them."""

from pnn.data.dataset import Dataset, Task
from pnn.data.load import available, load
from pnn.data.split import split, split_rows

__all__ = ["Dataset", "Task", "available", "load", "split", "split_rows"]
