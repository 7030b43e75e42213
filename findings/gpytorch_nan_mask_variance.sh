#!/usr/bin/env bash
# gpytorch 1.15.2: observation_nan_policy keeps missing targets out of the mean, not the variance.
#
# Expected: with observation_nan_policy("mask") an exact Gaussian process predicts as if the rows
# whose target is NaN were not there.
# What happens: the mean is that of the process without them. The variance is that of a process
# which measured there: at the place of a missing target, far from all others, it is that of the
# noise and not that of the prior, so the process is surest where nothing was seen. "fill" gives the
# same. Leaving the rows out by hand is right.
# Source: gpytorch/models/exact_prediction_strategies.py: _mean_cache asks for the policy,
# exact_predictive_covar does not; the page "gpytorch.settings" of the documentation names no
# difference. The description of BoTorch's pull request 3234 says the same.
#
# Seen:
#   nothing was seen near 6; prediction at 6 as (mean, variance)
#   the missing target's row left out: (0.0, 1.0)
#   the policy 'mask':                (0.0, 0.0099)
#   the policy 'fill':                (0.0, 0.0099)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=(torch==2.15.0 gpytorch==1.15.2 linear-operator==0.6.1)
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

import gpytorch
import torch
from gpytorch.settings import observation_nan_policy


class Process(gpytorch.models.ExactGP):
    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        super().__init__(x, y, gpytorch.likelihoods.GaussianLikelihood())
        self.mean, self.kernel = gpytorch.means.ZeroMean(), gpytorch.kernels.RBFKernel()
        self.likelihood.noise = 0.01

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean(x), self.kernel(x))


def at_six(x: torch.Tensor, y: torch.Tensor, policy: str) -> tuple[float, float]:
    process = Process(x, y).double().eval()
    with torch.no_grad(), observation_nan_policy(policy):
        found = process(torch.tensor([[6.0]], dtype=torch.float64))
        return round(found.mean.item(), 4), round(found.variance.item(), 4)


x = torch.tensor([[0.0], [1.0], [2.0], [6.0]], dtype=torch.float64)
y = torch.tensor([1.0, 2.0, 1.0, torch.nan], dtype=torch.float64)
without = at_six(x[:3], y[:3], "ignore")
found = {policy: at_six(x, y, policy) for policy in ("mask", "fill")}
print("nothing was seen near 6; prediction at 6 as (mean, variance)")
print("the missing target's row left out:", without)
for policy, prediction in found.items():
    print(f"the policy {policy!r}:               ", prediction)
assert without == (0.0, 1.0), "the reference moved"
assert all(one == (0.0, 0.0099) for one in found.values()), "gpytorch masks otherwise now"
PYTHON
