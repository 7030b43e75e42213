#!/usr/bin/env bash
# torchmetrics 1.9.0: Accuracy(task="multiclass") and MulticlassAccuracy give different numbers.
#
# Expected: Accuracy(task="multiclass", num_classes=k) makes a MulticlassAccuracy, so the two are
# the same metric; and accuracy is the share of right answers.
# What happens: the first averages over samples ("micro"), the second over classes ("macro"): on
# nine samples of one class to one of the other, a constant guess scores 0.90 and 0.50. The
# functions accuracy and multiclass_accuracy differ in the same way. Write average= wherever the
# number counts.
# Source: torchmetrics/classification/accuracy.py, the signatures of Accuracy.__new__ and
# of MulticlassAccuracy (by MulticlassStatScores); the page "Accuracy" of the documentation.
#
# Seen:
#   (guess == target).mean()     0.90
#   Accuracy(task='multiclass')  0.90
#   accuracy(task='multiclass')  0.90
#   MulticlassAccuracy()         0.50
#   multiclass_accuracy()        0.50
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=(torchmetrics==1.9.0 torch==2.15.0 numpy==2.4.6)
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
import torchmetrics
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import accuracy, multiclass_accuracy

target = torch.tensor([0] * 90 + [1] * 10)
guess = torch.zeros(100, dtype=torch.long)
task = {"task": "multiclass", "num_classes": 2}
found = {
    "(guess == target).mean()": (guess == target).float().mean(),
    "Accuracy(task='multiclass')": torchmetrics.Accuracy(**task)(guess, target),
    "accuracy(task='multiclass')": accuracy(guess, target, **task),
    "MulticlassAccuracy()": MulticlassAccuracy(num_classes=2)(guess, target),
    "multiclass_accuracy()": multiclass_accuracy(guess, target, num_classes=2),
}
for name, value in found.items():
    print(f"{name:28} {float(value):.2f}")
assert [round(float(value), 2) for value in found.values()] == [0.9, 0.9, 0.9, 0.5, 0.5], (
    "torchmetrics averages otherwise now"
)
PYTHON
