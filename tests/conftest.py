"""Settings for all tests."""

import os

# One thread per process: tests run in several processes, and threads that compete for cores slow
# each other down many times over. Set before NumPy and torch are imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
