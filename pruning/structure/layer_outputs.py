"""What layers put out in a forward pass, before any activation function can flatten it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pruning.structure.activations import channel_dim
from pruning.structure.copies import named_tensors
from pruning.structure.functions import effect_of, plain_name


@dataclass(frozen=True)
class Place:
    """Where the channels of a layer's output come from, and where they lie.

    weight, axis: the tensor whose entries along that axis they are; None and 0 if it is no
    parameter, as where weights are computed. dim: counted from the end of the output.
    """

    weight: str | None
    axis: int
    dim: int


class LayerOutputs(TorchFunctionMode):
    """While it is entered, `see` is shown each layer's output, and what it returns goes on instead.

    Layers are convolutions, dense layers and embeddings, by module or by function.
    """

    def __init__(self, model: nn.Module, see: Callable[[Place, Tensor], Tensor]) -> None:
        super().__init__()
        self._names = {id(tensor): name for name, tensor in named_tensors(model).items()}
        self._see = see

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = plain_name(func)
        if not isinstance(out, Tensor) or effect_of(name, args, kwargs) != "layer":
            return out
        weight = self._names.get(id(args[1] if len(args) > 1 else kwargs.get("weight")))
        axis = 1 if name.startswith("conv_transpose") or name == "embedding" else 0
        dim = channel_dim(name, out.dim())
        return self._see(Place(weight, axis if weight else 0, dim), out)
