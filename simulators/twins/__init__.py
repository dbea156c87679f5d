"""Stand-ins for devices, learned from recordings: fitted by `pnn.fit_twin`, kept in a file."""

from simulators.twins.laws import LAWS, Affine, Law, Magnitude, Network, Quadratic
from simulators.twins.range import OutsideRangeWarning, Range
from simulators.twins.twin import Twin, TwinModel
from simulators.twins.twin_file import read_twin, write_twin

__all__ = [
    "LAWS",
    "Affine",
    "Law",
    "Magnitude",
    "Network",
    "OutsideRangeWarning",
    "Quadratic",
    "Range",
    "Twin",
    "TwinModel",
    "read_twin",
    "write_twin",
]
