"""Is this box worth training through? Ask it before, with a few hundred random drives."""

import numpy as np

import calibration
import pnn
from devices import DeadChannels, Noisy, Quantised

horns = np.random.default_rng(2).normal(size=(24, 8, 2)) @ [1, 1j]


def cavity(drives):
    """A linear wave, read by its magnitude."""
    return np.abs(drives @ horns.T) / 8


box = pnn.FunctionDevice(cavity, n_inputs=8, n_outputs=24, name="cavity")
# A bench as it is: a broken loudspeaker, two dead microphones, noise, and a 10-bit converter.
bench = DeadChannels(box, outputs=[5, 17], inputs=[3])
bench = Quantised(Noisy(bench, additive=0.01), answer_bits=10, full_scale=1.0)
with bench as device:
    found = calibration.characterise(device, rows=400)
    print(calibration.verdict(found))
    drift = calibration.Drift(rounds=8)
    print(f"\n{drift.announcement(device.spec)}")
    change = drift.run(device)
    print(f"drift {change.rate_per_sqrt_query:.1e} per sqrt(query)")
