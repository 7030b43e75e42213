#!/usr/bin/env bash
# Optuna 5.0.0: target=lambda trial: trial.value turns the ranking of get_param_importances around.
#
# Expected: importances are fANOVA's shares of the variance. They know no direction, and a target
# that gives the very value of the trial is what is taken without one.
# What happens: the default is PED-ANOVA, which asks what sets the best tenth of the trials apart.
# Without a target "best" follows the study's direction; with any target it means low, in a study
# that maximizes too (a UserWarning says so). So the same numbers give first what makes trials good,
# then what makes them bad. Give -trial.value, or name the evaluator.
# Source: optuna/importance/__init__.py, get_param_importances; optuna/importance/_ped_anova/
# evaluator.py, _get_top_quantile_trials, and the note in the docstring of
# PedAnovaImportanceEvaluator.
#
# Seen:
#   default, no target     most important: width
#   default, target=value  most important: rate
#   fANOVA, no target      most important: rate
#   fANOVA, target=value   most important: rate
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=(optuna==5.0.0 scikit-learn==1.9.1 numpy==2.4.6)
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

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

optuna.logging.set_verbosity(optuna.logging.ERROR)


def score(trial: optuna.Trial) -> float:
    """Too high a rate ruins the run; in a run that is not ruined the width decides."""
    rate, width = (trial.suggest_float(name, 0, 1) for name in ("rate", "width"))
    return -10.0 if rate > 0.8 else width


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(score, n_trials=500)


def first(**options: object) -> str:
    return next(iter(get_param_importances(study, **options)))


def value(trial: optuna.trial.FrozenTrial) -> float:
    return trial.value


found = {
    "default, no target": first(),
    "default, target=value": first(target=value),
    "fANOVA, no target": first(evaluator=FanovaImportanceEvaluator(seed=0)),
    "fANOVA, target=value": first(evaluator=FanovaImportanceEvaluator(seed=0), target=value),
}
for how, name in found.items():
    print(f"{how:22} most important: {name}")
assert list(found.values()) == ["width", "rate", "rate", "rate"], "Optuna ranks otherwise now"
PYTHON
