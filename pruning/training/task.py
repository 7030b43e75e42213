"""A task: what is trained, on what, for how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pruning.settings import Settings, digest
from pruning.training.known import ModelName, SourceName
from pruning.training.optimizer import OptimizerSpec, ScheduleSpec


def _named(field: str) -> Any:
    """Accept ``name`` for ``{field: name}``."""
    return BeforeValidator(lambda given: {field: given} if isinstance(given, str) else given)


class ModelSpec(Settings):
    """The network: one of ours, ``torchvision:NAME`` or ``package.module:callable``."""

    name: ModelName
    options: dict[str, Any] = {}


class Augment(Settings):
    """Random changes to training pictures. crop: pixels of padding to crop from. flip: mirrored."""

    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False


class DataSpec(Settings):
    """The data: ``digits``, ``npz:PATH``, ``torchvision:NAME``, ``imagefolder:PATH`` or
    ``package.module:callable``.

    validation: share of the training part that policies and the search are judged on, where the
    source has no such part. test: share of everything that is kept for the final figure, where the
    source has none. split_seed: draws both; the same for all trials of a task. train_limit: train
    on so many samples only. root: folder of torchvision's sets. image_size: of an image folder.
    workers: processes that load a large set.
    """

    source: SourceName
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.2
    test: Annotated[float, Field(ge=0, lt=1)] = 0.25
    split_seed: int = 0
    train_limit: Annotated[int, Field(ge=1)] | None = None
    root: str = "data"
    image_size: Annotated[int, Field(ge=1)] = 224
    workers: Annotated[int, Field(ge=0)] = 0
    options: dict[str, Any] = {}


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
    augment: Augment = Augment()
    precision: Literal["float32", "bf16"] = "float32"
    channels_last: bool = False
    deterministic: bool = True
    sample_batches: Annotated[int, Field(ge=1)] = 8
    protect: tuple[str, ...] = ()
    revision: str = ""

    def identity(self) -> dict[str, Any]:
        """The settings that differ from their defaults, without those that change no result."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"data": {"workers"}})

    def address(self) -> str:
        """The task's place in a path: the digest of its settings, defaults left out."""
        return digest(self.identity())
