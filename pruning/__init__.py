"""One network: its prunable units, their saliency, the policies, the training of one trial.

A user with a training loop of their own needs only this package. Torch takes seconds to import:
its names are loaded when the first is asked for, so that whoever only needs the policies, to refuse
a file or to plan a sweep, does not wait.
"""
# ruff: noqa: F403, F405

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pruning.public import *

__all__ = [
    "EPI",
    "POLICIES",
    "SALIENCIES",
    "Action",
    "AtEpoch",
    "Dense",
    "History",
    "InputError",
    "Magnitude",
    "Mask",
    "OneShot",
    "Policy",
    "Probe",
    "Prune",
    "Pruner",
    "Random",
    "Record",
    "Saliency",
    "Sample",
    "Taylor",
    "policy",
    "saliency",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pruning import public

    return getattr(public, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """``saliency`` is the function, although the import of the folder binds that name, too."""

    @property
    def saliency(self) -> Any:
        return __getattr__("saliency")

    @saliency.setter
    def saliency(self, folder: ModuleType) -> None: ...


sys.modules[__name__].__class__ = _Package
