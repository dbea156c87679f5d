"""Published experiments as one command on our devices."""

from pnn.reproduce.run import Reproduction, prepare

__all__ = ["Reproduction", "prepare"]
