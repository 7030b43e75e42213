"""Follow torch-pruning's dependency graph from a layer's output channels.

torch-pruning's own walk (`DependencyGraph.get_pruning_group`) does the same, but it compares lists
of indices pairwise, and has no bound: on swin_t it takes all memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch_pruning as tp
from torch import nn
from torch_pruning._helpers import _HybridIndex

from pruning.structure.layout import Ints

_LIMIT = 1_000_000


@dataclass(frozen=True, eq=False)
class Step:
    """Channels `root` of the first layer are channels `index` of `target`'s outputs or inputs."""

    target: Any
    out: bool
    index: Ints
    root: Ints


class LostError(RuntimeError):
    """The graph cannot be followed from here."""


def follow(graph: tp.DependencyGraph, module: nn.Module, size: int) -> Iterator[Step]:
    """Everything tied to the `size` output channels of a module, which comes first.

    Raises:
        LostError: indices multiply without end, or can no longer be traced to the module's.
    """
    start = [_HybridIndex(idx=i, root_idx=i) for i in range(size)]
    node = graph.module2node[module]
    todo: list[tuple[Any, Callable[..., Any], list[Any]]] = [
        (node, graph.get_pruner_of_module(module).prune_out_channels, start)
    ]
    seen: set[Any] = set()
    walked = 0
    while todo:
        node, handler, indices = todo.pop()
        key = (node, handler, tuple(indices))
        if key in seen:
            continue
        seen.add(key)
        walked += len(indices)
        # its mapping for heads of grouped-query attention forgets whose channels they were
        if walked > _LIMIT or any(i.root_idx is None for i in indices):
            raise LostError("torch-pruning loses track of its units")
        pairs = np.array([(i.idx, i.root_idx) for i in indices], dtype=np.int64)
        yield Step(node, graph.is_out_channel_pruning_fn(handler), pairs[:, 0], pairs[:, 1])
        for dep in node.dependencies:
            if dep.is_triggered_by(handler):
                mapped = indices
                for mapping in dep.index_mapping:
                    mapped = mapped if mapping is None else mapping(mapped)
                if mapped:
                    todo.append((dep.target, dep.handler, mapped))
