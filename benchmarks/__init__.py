"""How fast the sync is, against other loaders and against the limits of this machine: `python -m benchmarks`."""
