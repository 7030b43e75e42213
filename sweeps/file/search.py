"""What a sweep file says of its search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pruning.settings import Settings


class SamplerSpec(Settings):
    """random, tpe, nsga2, nsga3, gp, or ``package.module:Class`` of an Optuna sampler.

    options: arguments of its constructor.
    """

    name: str = "tpe"
    options: dict[str, Any] = {}


class EarlyStopping(Settings):
    """Successive halving over several objectives.

    at: shares of the training after which trials are compared with all that came so far. keep: the
    share of them that goes on; the others are paused.
    """

    at: Annotated[tuple[float, ...], Field(min_length=1)] = (0.25, 0.5)
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5

    @field_validator("at")
    @classmethod
    def _shares_that_rise(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        if list(given) != sorted(set(given)) or not 0 < given[0] <= given[-1] < 1:
            raise ValueError(f"{list(given)} is not allowed: shares above 0 and below 1 that rise")
        return given


def _wanted(given: Any) -> Any:
    return EarlyStopping() if given is True else None if given is False else given


def _named(given: Any) -> Any:
    return {"name": given} if isinstance(given, str) else given


class Search(Settings):
    """How the sampled spaces of a sweep are explored.

    trials: how many settings are tried. gpu_hours: no new one is begun once so much was spent, by
    all of the sweep. seeds: ``front`` gives a setting another of the sweep's seeds only while it
    might belong to the Pareto set, ``all`` gives it all of them. seed: of the sampler. parallel:
    settings in flight, by default as many as the cluster can train at once. study: address of the
    Optuna database, ``sqlite:///PATH`` or ``postgresql://...``; by default beside the storage.
    """

    sampler: Annotated[SamplerSpec, BeforeValidator(_named)] = SamplerSpec()
    trials: Annotated[int, Field(ge=1)] | None = None
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    seeds: Literal["front", "all"] = "front"
    seed: Annotated[int, Field(ge=0)] = 0
    parallel: Annotated[int, Field(ge=1)] | None = None
    early_stopping: Annotated[EarlyStopping | None, BeforeValidator(_wanted)] = None
    study: str | None = None

    @model_validator(mode="after")
    def _ends(self) -> Search:
        if self.trials is None and self.gpu_hours is None:
            raise ValueError("trials or gpu_hours must be given, or the search would never end")
        return self
