"""Why units stay, in the words of whoever wrote the network: what stands in the way, and where."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pruning.structure.copies import first_line


@dataclass(frozen=True)
class Reason:
    """why: the same words wherever it is the same obstacle. at: which layer or line of code."""

    why: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.why} ({self.at})" if self.at else self.why


PROTECTED = Reason("protected")
OUTPUT = Reason("its units are the network's output")
UNREAD = Reason("nothing was found that reads its units: they count as the network's output")
UNTRACED = Reason("the network cannot be followed as a whole")
RESHAPED = Reason("the shape of the network's output changes with its units")
WHOLE = Reason(
    "all its channels go together: groups, a reshape or a shuffle in the code tie each to others"
)
COUNTED = Reason(
    "what reads its units depends on how many there are, or in which order: a mean, softmax or "
    "norm over channels in the code, a shuffle"
)


def computed(tensor: str) -> Reason:
    """Its weights are no parameters."""
    return Reason(
        "its weights are computed from other parameters (weight_norm, a parametrization)", tensor
    )


def told(reason: Reason, tensors: Iterable[str], names: Sequence[str]) -> Reason:
    """Why units stay: that weights are computed, where that is what stood in the way.

    tensors: that units lie in. names: of the modules whose weights are computed.
    """
    if reason in (PROTECTED, OUTPUT, RANDOM):
        return reason
    places = {part for place in (reason.at, *tensors) for part in _around(place)}
    return next((computed(name) for name in names if name in places), reason)


def _around(place: str) -> Iterator[str]:
    """A tensor or module, and the modules around it, the innermost first."""
    while place:
        yield place
        place = place.rpartition(".")[0]


def failing(error: Exception) -> Reason:
    """The forward pass of the smaller network raises."""
    why = "the network fails without some of its units: is a shape or width fixed in its code?"
    place = _line_of(error)
    return Reason(why, f"{first_line(error)}, in {place}" if place else first_line(error))


def _line_of(error: Exception) -> str:
    """The innermost line of the network's own code: ``net.py:12: x.view(-1, 96)``."""
    others = tuple(
        f"{place}/" for place in (Path(torch.__file__).parent, Path(__file__).parents[1])
    )
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(others):
            return f"{Path(frame.filename).name}:{frame.lineno}: {frame.line}"
    return ""


RANDOM = Reason("the network's outputs are random in evaluation: the same input gives others")
UNSEEN = Reason("no disturbance of its units is seen in what can be compared: nothing is proven")


def untrained(error: Exception, module: str) -> Reason:
    """A step of training raises in the smaller network alone."""
    place = f", in {module!r}" if module else ""
    return Reason("training fails without some of its units", f"{first_line(error)}{place}")


DIVERGING = Reason("training without some of its units gives gradients that are no numbers")
