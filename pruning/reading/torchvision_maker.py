"""Makes torchvision's own sets, which have no common form.

What each can be told is read off its signature, with those of the classes that it passes the rest
on to; which parts there are, off what it answers when it is asked for a part that it has not.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pruning.errors import InputError, unknown
from pruning.foreign import foreign
from pruning.reading.spec import DataSpec

_OURS = {"self", "root", "train", "download", "transform", "target_transform", "transforms"}
_SPLITS = {
    "train": ("train", "trainval", "train-standard"),
    "val": ("val", "valid", "validation"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Maker:
    """Makes the parts of one of torchvision's sets."""

    name: str
    kind: Callable[..., Any]
    spec: DataSpec

    def parts(self) -> dict[str, Any]:
        """Each part that the set has, train first. Raises ValueError, InputError."""
        takes = _parameters(self.kind)
        options = dict(self.spec.options)
        allowed = set(takes) - _OURS
        for option in options:
            if option not in allowed:
                raise InputError(f"task.data.options: {unknown('option', option, allowed)}")
        if "train" in takes:
            self._refuse_missing(takes, options)
            return {
                "train": self._make(options, train=True),
                "test": self._make(options, train=False),
            }
        if "split" not in takes:
            self._refuse_missing(takes, options)
            return {"train": self._make(options)}
        given = options.pop("split", None)
        self._refuse_missing(takes, {**options, "split": given})
        splits = self._splits(options)
        if given is not None and not str(given).startswith("train"):
            return {"train": self._make(options, split=given)}
        chosen = {
            part: next((one for one in names if one in splits), None)
            for part, names in _SPLITS.items()
        }
        chosen["train"] = given or chosen["train"]
        if chosen["train"] is None:
            raise InputError(
                f"task.data.options: split is missing; torchvision:{self.name} has no training "
                f"part by itself (allowed: {', '.join(splits) or 'see its documentation'})"
            )
        if chosen["train"] == "trainval":
            chosen["val"] = None
        return {part: self._make(options, split=one) for part, one in chosen.items() if one}

    def _make(self, options: Mapping[str, Any], **more: Any) -> Any:
        takes, root = _parameters(self.kind), os.path.expanduser(self.spec.root)
        ours = {"root": root, "download": True}
        given = {name: value for name, value in ours.items() if name in takes}
        with foreign(f"torchvision:{self.name} cannot be had in {self.spec.root!r}"):
            return self.kind(**given, **options, **more)

    def _splits(self, options: Mapping[str, Any]) -> list[str]:
        """Its parts by name: torchvision lists them where it is asked for one that it has not."""
        root = os.path.expanduser(self.spec.root)
        try:
            self.kind(root=root, **options, split="?")
        except Exception as error:  # what else it needs is found missing when it is made
            listed = re.search(r"Valid values are \{(.*?)\}", str(error))
            return re.findall(r"'([^']+)'", listed[1]) if listed else ["train", "val", "test"]
        return []

    def _refuse_missing(
        self, takes: Mapping[str, inspect.Parameter], options: Mapping[str, Any]
    ) -> None:
        for name, parameter in takes.items():
            if parameter.default is parameter.empty and name not in {*_OURS, *options}:
                what = ", ".join(self._splits({})) if name == "split" else ""
                allowed = f" (allowed: {what})" if what else ""
                raise InputError(
                    f"task.data.options: {name} is missing; torchvision:{self.name} needs it"
                    f"{allowed}"
                )


def _parameters(kind: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a class takes, with what it passes on to those above it."""
    found: dict[str, inspect.Parameter] = {}
    for one in inspect.getmro(kind) if isinstance(kind, type) else ():
        if "__init__" not in vars(one):
            continue
        parameters = inspect.signature(vars(one)["__init__"]).parameters
        named = {
            name: p
            for name, p in parameters.items()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        found = {**named, **found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return found
