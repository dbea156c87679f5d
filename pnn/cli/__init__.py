"""The command ``pnn``. Heavy packages are imported by the commands that need them."""

from pnn.cli.main import main

__all__ = ["main"]
