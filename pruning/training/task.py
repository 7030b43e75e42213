"""A task: what is trained, on what, for how long."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from pruning.names import is_dotted
from pruning.settings import Settings, digest
from pruning.training.losses import LossSpec
from pruning.training.metrics import Direction, MetricSpec, as_list, measured
from pruning.training.optimizer import OptimizerSpec, Positive, ScheduleSpec
from pruning.training.target import Asked


def _named(field: str) -> Any:
    """Accept ``name`` for ``{field: name}``."""
    return BeforeValidator(lambda given: {field: given} if isinstance(given, str) else given)


class ModelSpec(Settings):
    """The network: one of ours, ``torchvision:NAME`` or ``package.module:callable``."""

    name: str
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
    workers: processes that load a large set. targets: ``classes``, or ``values`` to be met; by
    default the task's loss says it (of one's own loss: floats are values). unlabelled: of labels a
    pixel the one that counts for nothing (255 in VOC).
    """

    source: str
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.2
    test: Annotated[float, Field(ge=0, lt=1)] = 0.25
    split_seed: int = 0
    train_limit: Annotated[int, Field(ge=1)] | None = None
    root: str = "data"
    image_size: Annotated[int, Field(ge=1)] = 224
    workers: Annotated[int, Field(ge=0)] = 0
    targets: Asked = "auto"
    unlabelled: int | None = None
    options: dict[str, Any] = {}


class Task(Settings):
    """What to train. Every trial of a sweep shares it.

    loss, metrics: what the training brings down, and what its networks are judged by, the first
    metric above all; by default accuracy, of mse the mse, of one's own loss the loss itself.
    epochs: length of the training. batch_size: samples a step; an incomplete last batch is dropped.
    precision: ``bf16`` computes under autocast. channels_last: memory layout of pictures.
    deterministic: the same bits every time, where the device can. sample_batches: of so many
    batches of the first epoch is the sample that probes measure on beside training: gradients of
    the untrained network, likelihoods. protect: names of layers that are never pruned.
    clip_gradient: the largest norm of a step's gradients; saliencies see them unclipped. ema: decay
    of an average of weights and buffers, which is cut alike, and is evaluated and exported in the
    network's place. revision: changes nothing but the address of what is stored; to be changed when
    the data or the code behind a name has changed, as a store cannot know.
    """

    model: Annotated[ModelSpec, _named("name")]
    data: Annotated[DataSpec, _named("source")]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)] = 64
    optimizer: Annotated[OptimizerSpec, _named("name")] = OptimizerSpec()
    schedule: Annotated[ScheduleSpec, _named("name")] = ScheduleSpec()
    loss: Annotated[LossSpec, _named("name")] = LossSpec()
    metrics: Annotated[tuple[MetricSpec, ...], BeforeValidator(as_list)] = ()
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augment: Augment = Augment()
    precision: Literal["float32", "bf16"] = "float32"
    channels_last: bool = False
    deterministic: bool = True
    sample_batches: Annotated[int, Field(ge=1)] = 8
    protect: tuple[str, ...] = ()
    revision: str = ""
    clip_gradient: Positive | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None

    @field_validator("schedule")
    @classmethod
    def _gives_learning_rates(cls, schedule: ScheduleSpec, info: ValidationInfo) -> ScheduleSpec:
        if not is_dotted(schedule.name) and {"epochs", "optimizer"} <= info.data.keys():
            schedule.check(info.data["epochs"], info.data["optimizer"].lr)
        return schedule

    @model_validator(mode="after")
    def _loss_and_metrics_are_known(self) -> Task:
        try:
            kind = self.loss.kind
        except ValueError as error:
            raise ValueError(f"loss: {error}") from None
        if self.label_smoothing and self.loss.name != "cross_entropy":
            raise ValueError(f"label_smoothing: is for cross_entropy, not for {self.loss.name}")
        if self.data.targets not in ("auto", kind.targets) and kind.targets != "typed":
            raise ValueError(
                f"data.targets: {self.data.targets!r} is not allowed: {self.loss.name} is of "
                f"{kind.targets}"
            )
        try:
            self.measured  # noqa: B018 - raises for what is unknown
        except ValueError as error:
            raise ValueError(f"metrics: {error}") from None
        return self

    @property
    def judged_by(self) -> tuple[MetricSpec, ...]:
        """Its metrics, or the loss's own."""
        return self.metrics or (MetricSpec(name=self.loss.kind.metric),)

    @cached_property
    def measured(self) -> dict[str, Direction]:
        """Each metric by its name in the results, and whether it is to be high or low."""
        return measured(self.judged_by)

    def identity(self) -> dict[str, Any]:
        """The settings that differ from their defaults, without those that change no result."""
        said = {"metrics"} if self.metrics == (MetricSpec(name=self.loss.kind.metric),) else set()
        without: dict[str, Any] = {"data": {"workers"}, **dict.fromkeys(said, True)}
        return self.model_dump(mode="json", exclude_defaults=True, exclude=without)

    def address(self) -> str:
        """The task's place in a path: the digest of its settings, defaults left out."""
        return digest(self.identity())
