"""The package: its names, its version, and files that hide it."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import pnn


def python(code, folder):
    """Run code in a folder, as `python -c` does: files there come first."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", pnn.__all__)
def test_every_name_that_is_promised_is_there(name):
    assert name in dir(pnn)
    assert getattr(pnn, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pnn' has no attribute 'nonsense'"):
        _ = pnn.nonsense


def test_the_version_is_that_of_the_distribution():
    assert pnn.__version__ == version("pnn-toolkit")


@pytest.mark.parametrize("name", ["devices", "calibration", "simulators"])
@pytest.mark.parametrize("as_folder", [False, True])
def test_a_file_that_hides_one_of_our_packages_is_named(tmp_path, name, as_folder):
    file = tmp_path / name / "__init__.py" if as_folder else tmp_path / f"{name}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine = 1\n")
    done = python("import pnn", tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {file} hides the package {name!r} that pnn needs")
    assert "Rename that file, or start Python from another folder" in last


def test_other_files_hide_nothing_and_importing_is_light(tmp_path):
    (tmp_path / "device.py").write_text("raise RuntimeError\n")
    code = "import sys, pnn; print(sorted({'torch', 'sklearn', 'h5py'} & set(sys.modules)))"
    done = python(code, tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
