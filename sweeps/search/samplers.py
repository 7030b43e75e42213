"""Optuna's samplers by the names that sweep files use."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection

from pruning.errors import InputError
from pruning.names import lookup
from sweeps.file.search import SamplerSpec

SAMPLERS: dict[str, type[BaseSampler]] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "nsga3": optuna.samplers.NSGAIIISampler,
    "gp": optuna.samplers.GPSampler,
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "tpe": {"multivariate": True, "group": True, "constant_liar": True},
}


def sampler(spec: SamplerSpec, seed: int, trials: int | None = None) -> BaseSampler:
    """A sampler whose draws depend on ``seed`` where it takes one.

    trials: how many are planned; the population of a genetic one is a fifth of them, 8 to 50.
    Raises InputError.
    """
    try:
        kind = lookup("sampler", spec.name, SAMPLERS, BaseSampler)
    except ValueError as error:
        raise InputError(f"search.sampler: {error}") from None
    options = {**DEFAULTS.get(spec.name, {}), **spec.options}
    taken = inspect.signature(kind).parameters
    if "population_size" in taken and trials:
        options.setdefault("population_size", min(50, max(8, trials // 5)))
    if "seed" in taken:
        options.setdefault("seed", seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(**options)
    except Exception as error:  # constructors check their arguments in their own ways
        raise InputError(
            f"search.sampler.options: {spec.options} is not allowed: {error}"
        ) from None


def try_out(spec: SamplerSpec, objectives: Mapping[str, str]) -> None:
    """Raise InputError if the sampler cannot search on so many objectives."""
    directions = [StudyDirection[f"{way}imize".upper()] for way in objectives.values()]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(directions=directions, sampler=sampler(spec, 0))
        try:
            for number in range(3):
                trial = study.ask({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
                study.tell(trial, [number + trial.params["x"]] * len(directions))
        except Exception as error:  # samplers refuse what they cannot do in their own ways
            what = f"{len(objectives)} objectives with {spec.name!r} failed"
            raise InputError(f"search.sampler: {what}: {error}") from None


def conditional(spec: SamplerSpec) -> bool:
    """Whether it learns from parameters that only some trials have.

    The others are given every parameter in every trial; those of policies not chosen count for
    nothing.
    """
    return spec.name in ("random", "tpe")
