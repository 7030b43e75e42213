"""How near the policies come to what their papers say; ``python -m benchmarks.fidelity --help``."""
