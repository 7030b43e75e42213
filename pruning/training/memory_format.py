"""Whether pictures lie channels last in memory, where a task leaves that to us.

Convolutions of a processor, and of a GPU in half precision, train faster in it. The rule looks at
the network and the samples alone, never at a clock: results may not hang on a measurement.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pruning.structure.copies import copy_model

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def channels_last(model: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a network of convolutions over pictures [c, h, w] takes them channels last.

    Not one whose code wants them as they are, as ``x.view(n, -1)`` behind a convolution does.
    """
    if len(shape) != 3 or not any(isinstance(one, _CONVOLUTIONS) for one in model.modules()):
        return False
    # not without storage: there, how a convolution of one channel lays its output is another way
    with torch.no_grad(), torch.random.fork_rng():
        try:
            copy = copy_model(model, lambda t: t.clone()).to(memory_format=torch.channels_last)
            x = torch.zeros(2, *shape, device=next(copy.parameters()).device)
            x = x.contiguous(memory_format=torch.channels_last)
            for training in (True, False):
                copy.train(training)(x)
        except Exception:  # a user's model may fail in any way
            return False
    return True
