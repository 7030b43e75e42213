#!/usr/bin/env bash
# torch 2.15.0: on the meta device a convolution's output is contiguous where a CPU's is channels last.
#
# Expected: a network on the meta device computes nothing, but shapes and strides are those of the
# real one, so that code which fails for how a tensor lies in memory fails there, too.
# What happens: with input and weights channels last, a convolution on the CPU gives channels last;
# on the meta device, the same layer and input give an output that is contiguous. So x.view(n, -1)
# behind it, an error on the CPU, passes a dry run.
# Source: torch/_meta_registrations.py, meta_conv, which says that it leaves the output contiguous;
# FakeTensor has a rule of its own (torch/_subclasses/fake_impls.py).
#
# Seen:
#   cpu:   strides (144, 1, 24, 4), view raises RuntimeError
#   meta:  strides (144, 36, 6, 1), view passes
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
from torch import nn

found = {}
for device in ("cpu", "meta"):
    layer = nn.Conv2d(3, 4, 3, device=device).to(memory_format=torch.channels_last)
    x = torch.zeros(2, 3, 8, 8).contiguous(memory_format=torch.channels_last).to(device)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    out = layer(x)
    try:
        out.view(2, -1)
        viewed = "passes"
    except RuntimeError:
        viewed = "raises RuntimeError"
    found[device] = out.stride(), viewed
    print(f"{device + ':':5}  strides {out.stride()}, view {viewed}")
assert found == {
    "cpu": ((144, 1, 24, 4), "raises RuntimeError"),
    "meta": ((144, 36, 6, 1), "passes"),
}, "the two lie alike now"
PYTHON
