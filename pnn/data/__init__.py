"""Data sets: rows of features with a label or a number each, where from, and how to split them."""

from pnn.data.dataset import Dataset, Task
from pnn.data.load import available, load
from pnn.data.split import led_in, split, split_rows

__all__ = ["Dataset", "Task", "available", "led_in", "load", "split", "split_rows"]
