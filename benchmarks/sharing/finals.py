"""What trials end with, and every way of training them must agree on."""

from __future__ import annotations

FINALS = (
    "prune_epochs sparsity unit_sparsity params macs train_flops val_accuracy test_accuracy"
).split()
