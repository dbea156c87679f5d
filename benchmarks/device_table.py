"""Every simulator and setting on the digits task: accuracy, what the device adds, and how.

Prints a table in Markdown. For each simulator and setting it runs

    pnn train digits-optical --rule readout --device "NAME?setting=..." --seeds N --json

and measures the affine share (held out, pooled over outputs) and the participation ratio of the
standardised answers, both under drives that are uniform between the limits.

    python benchmarks/device_table.py [--seeds 3] [NAME ...]
"""

from __future__ import annotations

import argparse
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from calibration import affine_share, participation_ratio, uniform_drives
from devices import available_devices, build_device
from devices.registry import factory_of

ROWS_PER_INPUT = 12
INPUTS = 64


def figures(source: str) -> tuple[float, float, int]:
    """Return affine share, participation ratio and number of outputs of a device."""
    with build_device(source, defaults={"n_inputs": INPUTS}) as device:
        rows = max(ROWS_PER_INPUT * device.spec.n_inputs, 4 * device.spec.n_outputs)
        drives = uniform_drives(device, min(rows, 4000), seed=1)
        answers = device.measure(drives, purpose="calibration")
        return affine_share(drives, answers), participation_ratio(answers), device.spec.n_outputs


def digits(source: str, seeds: int) -> dict:
    """Return the summary of the digits task through a device."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["train", "digits-optical", "--rule", "readout", "--device", source]
        command += ["--seeds", str(seeds), "--json", "--out", str(Path(folder) / "run.h5")]
        done = subprocess.run(
            [sys.executable, "-m", "pnn", *command], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{source}: {done.stderr}")
    return json.loads(done.stdout)


def points(gain: dict) -> str:
    """Return a gain with its interval, in points."""
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * gain[k] for k in ("mean", "low", "high")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    names = given.names or [name for name in available_devices() if name.startswith("sim:")]
    print(
        "| device | setting | affine share | participation ratio | accuracy, % | gain over linear "
        "| gain over affine | gain over matched digital | seconds per seed |\n" + "|---" * 9 + "|"
    )
    for name in names:
        settings = ["measured-like", "rich"]
        if "setting" not in inspect.signature(factory_of(name)).parameters:
            settings = [""]
        for setting in settings:
            source = f"{name}?setting={setting}" if setting else name
            share, ratio, outputs = figures(source)
            result = digits(source, given.seeds)
            gains = result["gains"]
            cells = [
                f"`{name}`",
                setting,
                f"{share:.3f}",
                f"{ratio:.1f} of {outputs}",
                f"{100 * result['accuracy']:.1f} +- {100 * (result['accuracy_std'] or 0):.1f}",
                *(points(gains[k]) for k in ("linear", "affine", "matched_digital")),
                f"{result['seconds'] / given.seeds:.1f}",
            ]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
