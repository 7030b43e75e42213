"""A task: what is trained, on what, for how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pruning.reading.spec import Augment, DataSpec
from pruning.settings import Options, Settings, digest
from pruning.training.optimizer import OptimizerSpec, ScheduleSpec

__all__ = ["Augment", "DataSpec", "ModelSpec", "Task"]


def _named(field: str) -> Any:
    """Accept ``name`` for ``{field: name}``."""
    return BeforeValidator(lambda given: {field: given} if isinstance(given, str) else given)


class ModelSpec(Settings):
    """The network: one of ours, ``torchvision:NAME`` or ``package.module:callable``."""

    name: str
    options: Options = {}


class Task(Settings):
    """What to train. Every trial of a sweep shares it.

    epochs: length of the training. batch_size: samples a step; an incomplete last batch is dropped.
    precision: ``bf16`` computes under autocast. channels_last: memory layout of pictures.
    deterministic: the same bits every time, where the device can. sample_batches: of so many
    batches of the first epoch is the sample that probes measure on beside training: gradients of
    the untrained network, likelihoods. protect: names
    of layers that are never pruned. revision: changes nothing but the address of what is stored; to
    be changed when the data or the code behind a name has changed, as a store cannot know.
    """

    model: Annotated[ModelSpec, _named("name")]
    data: Annotated[DataSpec, _named("source")]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)] = 64
    optimizer: Annotated[OptimizerSpec, _named("name")] = OptimizerSpec()
    schedule: Annotated[ScheduleSpec, _named("name")] = ScheduleSpec()
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augment: Annotated[Augment, _named("transform")] = Augment()
    precision: Literal["float32", "bf16"] = "float32"
    channels_last: bool = False
    deterministic: bool = True
    sample_batches: Annotated[int, Field(ge=1)] = 8
    protect: tuple[str, ...] = ()
    revision: str = ""

    def identity(self) -> dict[str, Any]:
        """The settings that differ from their defaults, without those that change no result."""
        found = self.model_dump(mode="json", exclude_defaults=True, exclude={"data": {"workers"}})
        return found | ({"reading": self.data.reading} if self.data.reading > 1 else {})

    def address(self) -> str:
        """The task's place in a path: the digest of its settings, defaults left out."""
        return digest(self.identity())
