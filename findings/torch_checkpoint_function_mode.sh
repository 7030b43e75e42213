#!/usr/bin/env bash
# torch 2.15.0: activation checkpointing computes again without the TorchFunctionMode of the forward.
#
# Expected: torch.utils.checkpoint gives the gradients that there would be without it; it restores
# random states and autocast for what it computes again. A TorchFunctionMode, and so torch.device as
# a context and torch.set_default_device, is a setting of the same kind.
# What happens: the mode is not restored. Where it changes what a function gives, forward and backward
# are of two functions: no error, other gradients. Even with backward inside the mode's scope nothing
# of what is computed again is shown to it, as backward itself is a call that it is off in. An error
# comes only where the number of tensors that are kept differs (CheckpointError).
# Source: torch/utils/checkpoint.py, _checkpoint_without_reentrant_generator, which keeps the states
# of random generators and of autocast; torch/overrides.py, handle_torch_function.
#
# Seen:
#   without a checkpoint:                 gradient 3.637
#   with one:                             gradient 1.819
#   with one, backward within the mode:   gradient 1.819, the mode saw the function 1 time
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=(torch==2.15.0 numpy==2.4.6)
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
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint


class Doubled(TorchFunctionMode):
    seen = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.seen += func is torch.sin
        return out * 2 if func is torch.sin else out


def loss(value):
    return torch.sin(value).square().sum()


def gradient(checked, inside=False):
    x, mode = torch.ones(1, requires_grad=True), Doubled()
    with mode:
        found = checkpoint(loss, x, use_reentrant=False) if checked else loss(x)
        if inside:
            found.backward()
    if not inside:
        found.backward()
    return round(x.grad.item(), 3), mode.seen


plain, checked, within = gradient(False), gradient(True), gradient(True, inside=True)
print(f"without a checkpoint:                 gradient {plain[0]}")
print(f"with one:                             gradient {checked[0]}")
times = f"the mode saw the function {within[1]} time"
print(f"with one, backward within the mode:   gradient {within[0]}, {times}")
assert (plain, checked, within) == ((3.637, 1), (1.819, 1), (1.819, 1)), "a mode is kept now"
PYTHON
