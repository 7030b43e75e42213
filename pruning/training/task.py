"""A task: what is trained, on what, for how long."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from pruning.known import ModelName
from pruning.names import is_dotted
from pruning.reading.spec import Augment, DataSpec
from pruning.settings import Options, Settings, digest
from pruning.training.losses import LossSpec
from pruning.training.metrics import Direction, MetricSpec, as_list, measured
from pruning.training.optimizer import OptimizerSpec, Positive, ScheduleSpec

__all__ = ["Augment", "DataSpec", "ModelSpec", "Task"]


def _named(field: str) -> Any:
    """Accept ``name`` for ``{field: name}``."""

    def mapping(given: Any) -> Any:
        if isinstance(given, str):
            return {field: given}
        if not isinstance(given, (dict, Settings)):
            raise ValueError(f"{given!r} is not allowed: a {field}, or a mapping with {field}")
        return given

    return BeforeValidator(mapping)


class ModelSpec(Settings):
    """The network: one of ours, ``torchvision:NAME`` or ``package.module:callable``."""

    name: ModelName
    options: Options = {}


class Task(Settings):
    """What to train. Every trial of a sweep shares it.

    loss, metrics: what the training brings down, and what its networks are judged by, the first
    metric above all; by default accuracy, of mse the mse, of one's own loss the loss itself.
    epochs: length of the training. batch_size: samples a step; an incomplete last batch is dropped.
    precision: ``bf16`` computes under autocast. channels_last: memory layout of pictures; ``auto``
    has it wherever a network of convolutions takes it.
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
    augment: Annotated[Augment, _named("transform")] = Augment()
    precision: Literal["float32", "bf16"] = "float32"
    channels_last: bool | Literal["auto"] = False
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
