"""What a sweep file says of its data, and of the changes to training pictures."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pruning.settings import Settings


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

    source: str
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.2
    test: Annotated[float, Field(ge=0, lt=1)] = 0.25
    split_seed: int = 0
    train_limit: Annotated[int, Field(ge=1)] | None = None
    root: str = "data"
    image_size: Annotated[int, Field(ge=1)] = 224
    workers: Annotated[int, Field(ge=0)] = 0
    options: dict[str, Any] = {}
