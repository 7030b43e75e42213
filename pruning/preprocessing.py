"""How samples as they were given become what a network is trained on, and a network that does it.

Data are read by it, and an exported network begins with it, so that both do the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pruning.settings import Settings


class Preprocessing(Settings):
    """From samples as they were given to those that a network is trained on.

    dtype: of an element as given. given: the shape of a sample. scale: what elements are divided
    by. order: of the axes, the samples' own first, if they change places. shape: of a sample then;
    an axis of one channel may come in. mean, std: subtracted and divided by, of each channel or
    feature; empty for none.
    """

    dtype: str = "float32"
    given: tuple[int, ...]
    scale: float = 1.0
    order: tuple[int, ...] = ()
    shape: tuple[int, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def input(self) -> str:
        """What it takes: ``uint8 [n, 28, 28]``."""
        return described(self.dtype, self.given)

    @property
    def steps(self) -> str:
        """What it does, in words."""
        moved = tuple(self.given[axis - 1] for axis in self.order[1:]) or self.given
        told = [
            f"divided by {self.scale:g}" * (self.scale != 1),
            f"axes in the order {list(self.order)}" * bool(self.order),
            f"as {described('float32', self.shape)}" * (moved != self.shape),
            f"less mean {list(self.mean)}, divided by std {list(self.std)}" * bool(self.mean),
        ]
        return ", ".join(filter(None, told)) or "unchanged"

    def normalizing(self, mean: Sequence[float] = (), std: Sequence[float] = ()) -> Preprocessing:
        """This, and these subtracted and divided by at its end."""
        return self.model_copy(update={"mean": tuple(mean), "std": tuple(std)})

    def arranged(self, samples: Tensor) -> Tensor:
        """float32 [n, *shape], scaled, not yet normalized, from samples as given [n, *given]."""
        scaled = samples.float() if self.scale == 1 else samples.float() / self.scale
        ordered = scaled.permute(self.order) if self.order else scaled
        return ordered.reshape(samples.shape[0], *self.shape).contiguous()

    def normalization(self) -> tuple[Tensor, Tensor] | None:
        """mean and std, float32 [1, channels, 1, ...]; None for none."""
        if not self.mean:
            return None
        form = (1, -1, *(1 for _ in self.shape[1:]))
        return torch.tensor(self.mean).reshape(form), torch.tensor(self.std).reshape(form)

    def undo(self, samples: Tensor) -> Tensor:
        """Samples as given, from those of a training [n, *shape]: exact where they were bytes."""
        found = self.normalization()
        scaled = self.scale * (samples * found[1] + found[0] if found else samples)
        back = [self.order.index(axis) for axis in range(len(self.order))]
        moved = [self.given[axis - 1] for axis in self.order[1:]] or self.given
        raw = scaled.reshape(len(samples), *moved)
        raw = raw.permute(back).contiguous() if back else raw
        kind: torch.dtype = getattr(torch, self.dtype)
        return (raw if kind.is_floating_point else raw.round()).to(kind)


class Prepared(nn.Module):
    """A network that takes samples as they were given."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model, self.preprocessing = model, preprocessing
        # No part of its state: they stand beside the weights of a file, in its card.
        found = preprocessing.normalization() or (torch.zeros(()), torch.ones(()))
        for name, value in zip(("mean", "std"), found, strict=True):
            self.register_buffer(name, value, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        found = self.preprocessing.arranged(samples)
        if self.preprocessing.mean:
            found = (found - self.mean) / self.std
        return self.model(found)  # type: ignore[no-any-return]


def described(dtype: str, shape: tuple[int, ...]) -> str:
    """A batch of samples in words."""
    return f"{dtype} [{', '.join(map(str, ('n', *shape)))}]"
