"""Numbers that code computes of sizes and multiplies with: ``q * (c // heads) ** -0.5``.

Attention scales by the size of a head, and a smaller network by what is left of it. The two
networks make the same calls in the same order; the dense one computes with the numbers of the cut
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

_TIMES = frozenset("mul rmul imul div rdiv idiv truediv rtruediv itruediv multiply divide".split())


class Amounts(TorchFunctionMode):
    """Notes the numbers of a cut network, or, given those, computes with them.

    exchanged: the functions in which the dense network's own were others.
    """

    def __init__(self, seen: Sequence[float] | None) -> None:
        super().__init__()
        self.seen: list[float] = []
        self.exchanged: dict[str, None] = {}
        self._others = None if seen is None else iter(seen)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func is scaled_dot_product_attention and given.get("scale") is None:
            query: Tensor = args[0] if args else given["query"]
            given["scale"] = self._other(name, query.shape[-1] ** -0.5)
        elif name.strip("_") in _TIMES:
            args = tuple(self._other(name, a) if type(a) is float else a for a in args)
        return func(*args, **given)

    def _other(self, name: str, own: float) -> float:
        if self._others is None:
            self.seen.append(own)
            return own
        other = next(self._others, own)
        if other != own:
            self.exchanged[name] = None
        return other
