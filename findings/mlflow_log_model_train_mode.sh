#!/usr/bin/env bash
# MLflow 3.17.2: a network logged in train mode is served in train mode, and is changed by logging.
#
# Expected: log_model pickles the network and touches nothing; what load_model gives is in eval
# mode, so it matters little in which mode the network was at the end of its epoch.
# What happens: outside Databricks the default format is pt2. It is a graph exported in the mode of
# that moment, and no eval() comes after loading: in train mode the served model drops units at
# random and normalizes by the batch. Nothing warns. Besides, the example is sent through the
# network itself to infer a signature, which in train mode moves batch norm's running statistics
# (serialization_format="pickle" does that too). Call eval() before log_model.
# Source: mlflow/pytorch/__init__.py, save_model and _load_model ("if not is_exported_model:
# pytorch_model.eval()"), and the entry serialization_format of log_model's docstring.
#
# Seen:
#   logged in eval mode: 0% of the loaded model's outputs are zero;
#     batch norm of the network that was logged has counted 0 batches
#   logged in train mode: 50% of the loaded model's outputs are zero;
#     batch norm of the network that was logged has counted 1 batches
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=(mlflow==3.17.2 torch==2.15.0 numpy==2.4.6)
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

import logging

import mlflow
import numpy as np
import torch
from torch import nn

logging.disable(logging.WARNING)
mlflow.set_tracking_uri("sqlite:///runs.db")


def logged(training: bool) -> tuple[float, int]:
    """The share of outputs that dropout made zero in the loaded model; batches the norm counted."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 200), nn.BatchNorm1d(200), nn.Dropout(0.5))
    network.train(training)
    samples = torch.randn(50, 8).numpy()
    with mlflow.start_run():
        model = mlflow.pytorch.log_model(network, name="network", input_example=samples)
    output = mlflow.pyfunc.load_model(model.model_uri).predict(samples)
    return float(np.mean(output == 0)), int(network[1].num_batches_tracked)


found = {mode: logged(mode == "train") for mode in ("eval", "train")}
for mode, (zeros, batches) in found.items():
    print(f"logged in {mode} mode: {zeros:.0%} of the loaded model's outputs are zero;")
    print(f"  batch norm of the network that was logged has counted {batches} batches")
assert found["eval"] == (0.0, 0), "the reference moved"
assert 0.4 < found["train"][0] < 0.6 and found["train"][1] == 1, "MLflow logs otherwise now"
PYTHON
