#!/usr/bin/env bash
# Torch-Pruning 1.6.1: round_to rounds down, not to the nearest, and can leave a layer whole.
#
# Expected: as the docstring of BasePruner says, the channels that stay are the nearest multiple of
# round_to: 15 becomes 16 with round_to=8, and 6 becomes 8.
# What happens: they are rounded down, so 15 becomes 8. A layer that would keep fewer than round_to
# falls to 0 by that; such a layer is then not pruned at all, and nothing is said: a ratio of 0.75
# leaves all of 24 channels.
# Source: torch_pruning/pruner/algorithms/base_pruner.py, the docstring of BasePruner and
# _round_to, which subtracts the remainder.
#
# Seen:
#   half of 30 units:                        15
#   the same with round_to=8:                8 (the nearest is 16)
#   half of 12 units, 6, with round_to=8:    12 (the nearest is 8)
#   a quarter of 24 units, 6, round_to=8:    24 (the nearest is 8)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=(torch==2.15.0 torch-pruning==1.6.1 numpy==2.4.6)
venv=${FINDINGS_VENV:-$work/venv}
if [ -z "${FINDINGS_VENV:-}" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet uv==0.13.9
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" "${packages[@]}"
fi
cd "$work"

"$venv/bin/python" -W ignore - "${packages[@]}" <<'PYTHON'
import sys
from importlib.metadata import version

for package in sys.argv[1:]:
    name, _, wanted = package.partition("==")
    assert version(name) == wanted, f"{name} is {version(name)}, not {wanted}"

import torch
import torch_pruning
from torch import nn


def kept(units: int, ratio: float, multiple: int) -> int:
    network = nn.Sequential(nn.Linear(16, units), nn.ReLU(), nn.Linear(units, 4))
    torch_pruning.pruner.BasePruner(
        network,
        torch.randn(2, 16),
        importance=torch_pruning.importance.MagnitudeImportance(),
        pruning_ratio=ratio,
        round_to=multiple,
        ignored_layers=[network[2]],
    ).step()
    return network[0].out_features


found = [kept(30, 0.5, 1), kept(30, 0.5, 8), kept(12, 0.5, 8), kept(24, 0.75, 8)]
print("half of 30 units:                       ", found[0])
print("the same with round_to=8:               ", found[1], "(the nearest is 16)")
print("half of 12 units, 6, with round_to=8:   ", found[2], "(the nearest is 8)")
print("a quarter of 24 units, 6, round_to=8:   ", found[3], "(the nearest is 8)")
assert found == [15, 8, 12, 24], "Torch-Pruning rounds otherwise now"
PYTHON
