"""The feature maps of a network while it trains, and which units their channels are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from pruning.structure.activations import Forewarn, Site, Tracker
from pruning.structure.layout import Ints
from pruning.structure.network import Network
from pruning.structure.survey import Numbering, survey

_unwatched: ContextVar[bool] = ContextVar("unwatched", default=False)


@contextmanager
def unwatched() -> Iterator[None]:
    """Forward passes in here are no training: their feature maps are not shown."""
    token = _unwatched.set(True)
    try:
        yield
    finally:
        _unwatched.reset(token)


class FeatureMaps:
    """Shows a network's feature maps in every forward pass of its training, in anybody's loop.

    Of each group those of its best kind. A pass counts in training mode, with gradients enabled,
    and if it is not ``unwatched``.

    network: its model gets two hooks, until ``close``. see: is shown every feature map with the
    units of its channels, as ``owners`` tells them. Raises ValueError where none could be seen.
    """

    def __init__(
        self, network: Network, see: Callable[[Site, Ints, Tensor], Forewarn | None]
    ) -> None:
        if network.wrapped:
            raise ValueError(
                "no feature maps of a model that is compiled or in DataParallel can be seen: take "
                "a saliency of weights or gradients, or give the model itself and train that"
            )
        self._network, self._see = network, see
        self._open: list[Tracker | None] = []
        self._of: object = None
        model = network.model
        self._hooks = [
            model.register_forward_pre_hook(lambda module, _: self._enter(module)),
            model.register_forward_hook(lambda *_: self._leave(), always_call=True),
        ]

    def close(self) -> None:
        """Show nothing any more."""
        self._stop()
        for hook in self._hooks:
            hook.remove()

    def owners(self, site: Site) -> Ints | None:
        """The unit of each channel, a position among the alive ones, -1 for none that counts.

        int64 [channels], the same array until units are removed; None if there is none at all.
        """
        self._renumber()
        if site not in self._owners:
            self._owners[site] = self._numbering.counted(site, survey(self._network))
        return self._owners[site]

    def _renumber(self) -> None:
        if self._of is not self._network.group_slices():
            self._of = self._network.group_slices()
            self._numbering = Numbering(self._network, self._network.model)
            self._owners: dict[Site, Ints | None] = {}

    def _enter(self, module: nn.Module) -> None:
        tracker = None
        own = module is self._network.model  # and no copy of it that has its hooks
        if own:
            self._stop()  # what was interrupted by Ctrl-C; or the network calls itself
        if own and module.training and torch.is_grad_enabled() and not _unwatched.get():
            self._renumber()
            tracker = Tracker(self._numbering.names, self._numbering.widths, self._show)
            tracker.__enter__()  # type: ignore[no-untyped-call]
        self._open.append(tracker)

    def _stop(self) -> None:
        for tracker in self._open:
            if tracker:
                tracker.stop()

    def _leave(self) -> None:
        tracker = self._open.pop() if self._open else None
        if tracker:
            tracker.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def _show(self, site: Site, feature_map: Tensor) -> Forewarn | None:
        owners = self.owners(site)
        return None if owners is None else self._see(site, owners, feature_map)
