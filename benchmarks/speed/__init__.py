"""What a pruned epoch and a forecast cost; ``python -m benchmarks.speed --help``."""
