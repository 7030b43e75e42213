"""What one trial holds while it runs: a part of the sweep file that those who train must know."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from pruning.settings import Settings


class Resources(Settings):
    """What one trial holds while it runs, all of it on one machine.

    gpus: a fraction of one lets several trials share it. workers: processes that train the trial
    together; one for each GPU, on CPUs one if nothing else is asked for. cpus: one a worker, if
    nothing else is asked for; each worker has its part of them as threads.
    """

    gpus: Annotated[float, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=1)] = Field(
        default_factory=lambda known: _whole(known.get("gpus", 0))
    )
    cpus: Annotated[float, Field(gt=0)] = Field(
        default_factory=lambda known: known.get("workers", 1)
    )

    @field_validator("gpus")
    @classmethod
    def _one_or_whole(cls, given: float) -> float:
        if given != _whole(given) and given > 1:
            raise ValueError(
                f"{given:g} is not allowed: a GPU is shared or held whole (allowed: up to 1, or a "
                "whole number)"
            )
        return given

    @field_validator("workers")
    @classmethod
    def _one_a_gpu(cls, given: int, info: ValidationInfo) -> int:
        gpus = info.data.get("gpus", 0)
        if gpus and given != _whole(gpus):
            raise ValueError(
                f"{given} is not allowed: with gpus: {gpus:g} each worker has a GPU of its own "
                f"(allowed: {_whole(gpus)})"
            )
        return given

    @field_validator("cpus")
    @classmethod
    def _one_a_worker(cls, given: float, info: ValidationInfo) -> float:
        workers = info.data.get("workers", 1)
        if workers > max(1, given):
            raise ValueError(
                f"{given:g} is not allowed: each of {workers} workers needs a CPU "
                f"(allowed: {workers} or more)"
            )
        return given

    @property
    def devices(self) -> float:
        """Devices a trial is charged for: GPUs, or CPUs where it uses none."""
        return self.gpus or self.cpus

    @property
    def threads(self) -> int:
        """Of each worker."""
        return max(1, int(self.cpus / self.workers))


def _whole(gpus: float) -> int:
    return max(1, int(gpus))
