"""The layout shows the architecture: arrows point down only, and heavy packages come on use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "devices": set(),
    "simulators": {"devices"},
    "calibration": {"devices"},
    "pnn": {"devices", "simulators", "calibration"},
}


def imported(path):
    """Return the top-level packages that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_downwards(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        ours = imported(path) & set(MAY_IMPORT) - {package}
        assert ours <= MAY_IMPORT[package], f"{path} imports {ours}"


def test_importing_devices_and_simulators_loads_no_heavy_package():
    code = (
        "import sys, devices, simulators; "
        "import devices.transports, devices.rigs, simulators.bench; "
        "heavy = 'torch sklearn matplotlib numba xarray pyvisa serial slmsuite pymeasure qcodes'; "
        "print([m for m in heavy.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_package_is_typed():
    for package in MAY_IMPORT:
        assert (ROOT / package / "py.typed").is_file()
