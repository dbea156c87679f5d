"""Looking at record files, mending them, and handing their content on."""

from pnn.log_tools.check import Check, check
from pnn.log_tools.describe import describe
from pnn.log_tools.export import export
from pnn.log_tools.migrate import migrate
from pnn.log_tools.repair import Repair, repair
from pnn.log_tools.tail import tail

__all__ = ["Check", "Repair", "check", "describe", "export", "migrate", "repair", "tail"]
