#!/usr/bin/env bash
# torch 2.15.0: a TorchFunctionMode sees none of the products inside nn.MultiheadAttention.
#
# Expected: a mode that overrides torch's functions in a scope is shown every call of them, so one
# that counts F.linear finds the two of an attention layer, as it finds those of nn.Linear layers.
# What happens: F.multi_head_attention_forward is itself such a function. The mode is shown that one
# call and is off while it runs, so the input and the output projection pass unseen, weights and
# all. The same layer in a TransformerEncoderLayer: its two nn.Linear are seen, its attention is
# not. A mode that looks at operations instead (TorchDispatchMode) sees all four products.
# Source: torch/nn/functional.py, multi_head_attention_forward, which begins with
# has_torch_function; torch/overrides.py, handle_torch_function, which pops the mode.
#
# Seen:
#   one nn.Linear:                    1 linear seen
#   one nn.MultiheadAttention:        0 linear seen, multi_head_attention_forward 1
#   one nn.TransformerEncoderLayer:   2 linear seen, multi_head_attention_forward 1
#   the same, operations:             4 matrix products
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
from collections import Counter
from importlib.metadata import version

for package in sys.argv[1:]:
    name, _, wanted = package.partition("==")
    assert version(name) == wanted, f"{name} is {version(name)}, not {wanted}"

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Functions(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen[getattr(func, "__name__", "")] += 1
        return func(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.products += func._schema.name in ("aten::addmm", "aten::mm")
        return func(*args, **(kwargs or {}))


torch.backends.mha.set_fastpath_enabled(False)
x = torch.randn(2, 3, 8)
layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
found = []
with torch.no_grad():
    for title, run in {
        "one nn.Linear:                  ": lambda: nn.Linear(8, 8)(x),
        "one nn.MultiheadAttention:      ": lambda: layer.self_attn(x, x, x, need_weights=False),
        "one nn.TransformerEncoderLayer: ": lambda: layer(x),
    }.items():
        with Functions() as mode:
            run()
        whole = mode.seen["multi_head_attention_forward"]
        also = f", multi_head_attention_forward {whole}" if whole else ""
        print(f"{title}  {mode.seen['linear']} linear seen{also}")
        found.append((mode.seen["linear"], whole))
    with Operations() as operations:
        layer(x)
print(f"the same, operations:             {operations.products} matrix products")
found.append(operations.products)
assert found == [(1, 0), (0, 1), (2, 1), 4], "a mode sees other calls now"
PYTHON
