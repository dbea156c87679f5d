"""Angular spectrum against torchoptics, in one run: equal grids, padding, precision and threads.

torchoptics computes in double precision whatever it is given, so that only that is compared; the
time of single precision is printed beside it. Both start from a batch of fields and end at their
fields on the same grid, twice padded. The project asks for 3 times torchoptics.

    python benchmarks/bench_angular_spectrum.py --threads 1
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torchoptics
from timing import seconds

from simulators import AngularSpectrum

WAVELENGTH, PITCH, DISTANCE = 532e-9, 8e-6, 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_default_dtype(torch.float64)
    random = np.random.default_rng(0)
    print(f"{given.threads} thread(s), best of {given.repeats}, ms a field")
    print("    n  batch  torchoptics  double  ratio  with limit  ratio  single  largest difference")
    for n, batch in ((64, 32), (128, 16), (256, 4), (512, 1), (512, 4)):
        fields = random.standard_normal((batch, n, n, 2)).view(np.complex128)[..., 0]
        tensor = torch.from_numpy(fields)
        theirs = torchoptics.Field(tensor, wavelength=WAVELENGTH, z=0, spacing=PITCH)
        kinds = {"n": n, "pitch_m": PITCH, "wavelength_m": WAVELENGTH, "distance_m": DISTANCE}
        plain = AngularSpectrum(**kinds, band_limited=False)
        limited = AngularSpectrum(**kinds)
        single = AngularSpectrum(**kinds, precision="single")
        narrow = tensor.to(torch.complex64)

        def other(field=theirs, n=n):
            return field.propagate(
                (n, n), DISTANCE, spacing=PITCH, propagation_method="ASM", asm_pad=(n // 2, n // 2)
            ).data

        works = [
            other,
            lambda s=plain, t=tensor: s(t),
            lambda s=limited, t=tensor: s(t),
            lambda s=single, t=narrow: s(t),
        ]
        t = [1e3 * s / batch for s in seconds(works, given.repeats)]
        difference = float((other() - plain(tensor)).abs().max())
        print(
            f"{n:5d}  {batch:5d}  {t[0]:11.2f}  {t[1]:6.2f}  {t[0] / t[1]:5.1f}  {t[2]:10.2f}"
            f"  {t[0] / t[2]:5.1f}  {t[3]:6.2f}  {difference:.1e}"
        )


if __name__ == "__main__":
    main()
