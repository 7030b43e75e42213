"""What a sweep file says of its data, and of the changes to training pictures."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pruning.errors import InputError
from pruning.known import SourceName
from pruning.reading.target import Asked
from pruning.settings import Options, Settings

Normalize = dict[str, list[float]]
Layout = Literal["chw", "hwc", "series", "features"]

READING = 2
"""Raised where the same file is read otherwise than before: a stored training is another one then.
2: features are scaled one by one, labels have no class for a gap, pictures change only if asked."""

_READ_AS_EVER = {
    "digits",
    *(
        f"torchvision:{name}"
        for name in "MNIST FashionMNIST KMNIST CIFAR10 CIFAR100 SVHN STL10 USPS".split()
    ),
}


class Augment(Settings):
    """Changes to pictures; training pictures only, but for mean and std. None unless asked for.

    crop: pixels of padding to crop from, or ``resized``: a part of random size, as ImageNet's
    trainings have it (pictures that are read one by one). flip: half of them mirrored. mean, std:
    that pictures are given, a value a channel, in fractions of the brightest; by default those of
    the training part, or ImageNet's for pictures that are read one by one. transform: in place of
    crop and flip, ``package.module:name`` of a transform of torchvision's v2: it is given a picture
    [channels, height, width] of fractions, and ends with the size that is trained on.
    """

    crop: Annotated[int, Field(ge=0)] | Literal["resized"] = 0
    flip: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    transform: str | None = None

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if len(self.mean or ()) != len(self.std or ()):
            raise ValueError("mean: mean and std have a value a channel each, and go together")
        if self.transform and (self.crop or self.flip):
            raise ValueError("transform: stands in place of crop and flip; give one or the other")
        return self

    def normalize(self, channels: int) -> Normalize | None:
        """The mean and deviation that are asked for. Raises InputError for another number."""
        if self.mean is None or self.std is None:
            return None
        if len(self.mean) != channels:
            raise InputError(
                f"task.augment.mean: {list(self.mean)} is not allowed: the pictures have "
                f"{channels} channels"
            )
        return {"mean": list(self.mean), "std": list(self.std)}


class DataSpec(Settings):
    """The data: ``digits``, ``npz:FILE``, ``npy:FOLDER``, ``imagefolder:FOLDER``,
    ``parquet:FOLDER``, ``torchvision:NAME`` or ``package.module:callable``.

    validation: share of the training part that policies and the search are judged on, where the
    source has no such part. test: share of everything that is kept for the final figure, where the
    source has none. split_seed: draws both; the same for all trials of a task. train_limit: train
    on so many samples only. root: folder of torchvision's sets. image_size: of pictures that are
    read one by one. workers: processes that load a large set. layout: what the axes of arrays are,
    after the first: ``chw`` or ``hwc`` pictures, ``series`` [channels, length], ``features``; where
    it can be seen it need not be said. channels: of pictures that are read one by one; by default 1
    if all are grey, else 3; 4 keeps how opaque they are. annotations: a file that says the class of
    each picture of a part without folders of classes. targets: ``classes``, even where numbers look
    like values, or ``values`` to be met; by default the task's loss says it (of one's own loss:
    floats are values). unlabelled: of labels a pixel the one that counts for nothing (255 in VOC).
    options: of ``torchvision:``, ``parquet:`` and of one's own code. reading: set by itself, part
    of the task's address.
    """

    source: SourceName
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.2
    test: Annotated[float, Field(ge=0, lt=1)] = 0.25
    split_seed: int = 0
    train_limit: Annotated[int, Field(ge=1)] | None = None
    root: str = "data"
    image_size: Annotated[int, Field(ge=1)] = 224
    workers: Annotated[int, Field(ge=0)] = 0
    layout: Layout | None = None
    channels: Literal[1, 3, 4] | None = None
    annotations: str | None = None
    targets: Asked = "auto"
    unlabelled: int | None = None
    options: Options = {}
    reading: int = 1

    @model_validator(mode="before")
    @classmethod
    def _as_it_is_read_now(cls, data: Any) -> Any:
        """``reading`` is no choice: it follows from the source, so a task is what it is now."""
        if not isinstance(data, dict):
            return data
        return {**data, "reading": 1 if data.get("source") in _READ_AS_EVER else READING}
