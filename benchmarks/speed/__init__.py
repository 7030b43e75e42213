"""What a pruned epoch and a forecast cost."""
