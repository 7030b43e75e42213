"""The names of models and data, known before anything is loaded to build or read them.

A misspelt one is refused when the file is read: torch alone would take seconds, the data minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from pydantic import AfterValidator

from pruning.errors import unknown
from pruning.names import is_dotted

OUR_MODELS = ("small_cnn", "small_mlp", "small_resnet", "resnet18_cifar", "vgg16_bn_cifar")
MODEL_FORMS = (*OUR_MODELS, "torchvision:NAME", "package.module:callable")
SOURCE_FORMS = (
    "digits",
    "npz:PATH",
    "npy:PATH",
    "torchvision:NAME",
    "imagefolder:PATH",
    "parquet:PATH",
    "package.module:load",
)


def _known(what: str, forms: Sequence[str], name: str) -> str:
    """The name. Raises ValueError if it is none of ours, and nothing that is looked up by path."""
    if name not in forms and not is_dotted(name):
        raise ValueError(unknown(what, name, forms))
    return name


ModelName = Annotated[str, AfterValidator(partial(_known, "model", MODEL_FORMS))]
SourceName = Annotated[str, AfterValidator(partial(_known, "data", SOURCE_FORMS))]
